//! Why something cannot be shown or said.

use deadelus_mesh::MeshError;

/// What went wrong. The cause is in `source`.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Nothing answers, or no process of ours has been on this server yet.
    #[error("no orchestrator answers")]
    NoOrchestrator,
    /// Its log is empty, or it was forgotten.
    #[error("there is no workflow {0}")]
    NoWorkflow(String),
    /// What names no workflow.
    #[error("{0}")]
    BadId(String),
    /// The log holds what is no decision of ours.
    #[error("the log of {workflow} cannot be read: {problem}")]
    Log {
        /// Whose.
        workflow: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server did not acknowledge what was said.
    #[error("the server did not store it: {0}")]
    NotStored(String),
    /// The server, or what it holds.
    #[error("cannot {what}")]
    Nats {
        /// `read a bucket`
        what: &'static str,
        /// The library's words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The fabric.
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

impl ViewError {
    /// Wraps an error of the NATS library, or of what was read with it.
    pub fn nats<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Nats { what, source: source.into() }
    }
}
