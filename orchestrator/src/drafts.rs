//! Plans that were brought and are not detailed enough: kept until their author has answered.
//!
//! A draft is the plan as it was written, with the answers so far in it, in a bucket of the server:
//! it outlives every orchestrator and is forgotten after two weeks. What is asked about it is never
//! stored: it is worked out anew each time, against what the specialists offer then.

use async_nats::jetstream::kv::{self, CreateErrorKind, UpdateErrorKind};
use deadelus_mesh::{Mesh, MeshError, streams};
use serde_json::Value;

/// Letters and digits of a draft's id: forty bits of chance, and a second use of one is refused.
const ID_CHARS: usize = 10;

/// The drafts of a mesh.
#[derive(Debug, Clone)]
pub(crate) struct Drafts {
    bucket: kv::Store,
}

/// A draft, and which of its states this is.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) tree: Value,
    revision: u64,
}

/// Why a draft cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DraftError {
    #[error("there is no draft {0}; drafts are forgotten after two weeks: bring the plan again")]
    Unknown(String),
    #[error("somebody else has just answered about {0}; look again")]
    Changed(String),
    #[error("draft {id} cannot be read: {problem}")]
    Damaged { id: String, problem: String },
    #[error("the draft cannot be kept: {0}")]
    Store(String),
}

impl Drafts {
    pub(crate) async fn open(mesh: &Mesh) -> Result<Self, MeshError> {
        Ok(Self { bucket: streams::bucket(mesh, streams::DRAFTS).await? })
    }

    /// Keeps a plan.
    pub(crate) async fn keep(&self, tree: &Value) -> Result<String, DraftError> {
        let id = format!("dr-{:0width$x}", fastrand::u64(..1 << 40), width = ID_CHARS);
        match self.bucket.create(&id, tree.to_string().into()).await {
            Ok(_) => Ok(id),
            Err(e) if e.kind() == CreateErrorKind::AlreadyExists => Err(DraftError::Changed(id)),
            Err(e) => Err(DraftError::Store(e.to_string())),
        }
    }

    /// Finds one.
    pub(crate) async fn find(&self, id: &str) -> Result<Draft, DraftError> {
        let unknown = || DraftError::Unknown(id.to_owned());
        if !id.starts_with("dr-") || id.len() > "dr-".len() + ID_CHARS {
            return Err(unknown());
        }
        let found = self.bucket.entry(id).await.map_err(|e| DraftError::Store(e.to_string()))?;
        let entry = found.filter(|e| e.operation == kv::Operation::Put).ok_or_else(unknown)?;
        let tree = serde_json::from_slice(&entry.value).map_err(|e| {
            let (id, problem) = (id.to_owned(), e.to_string());
            DraftError::Damaged { id, problem }
        })?;
        Ok(Draft { id: id.to_owned(), tree, revision: entry.revision })
    }

    /// Keeps its next state, unless somebody was faster.
    pub(crate) async fn replace(&self, draft: &Draft, tree: &Value) -> Result<(), DraftError> {
        let bytes = tree.to_string().into();
        match self.bucket.update(&draft.id, bytes, draft.revision).await {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == UpdateErrorKind::WrongLastRevision => {
                Err(DraftError::Changed(draft.id.clone()))
            }
            Err(e) => Err(DraftError::Store(e.to_string())),
        }
    }
}
