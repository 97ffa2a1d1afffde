//! A workflow's log: read and folded, or one decision longer.

use async_nats::{HeaderMap, jetstream::kv};
use bytes::Bytes;
use deadelus_core::{Chain, Link, Proposal};
use deadelus_mesh::{
    Mesh, MeshError,
    append::{self, Appended},
    streams, trace,
};
use deadelus_proto::{Subject, WorkflowId, pb};
use prost::Message as _;

/// The logs of all workflows, as one replica reads and writes them.
#[derive(Debug, Clone)]
pub struct Journal {
    mesh: Mesh,
    owner: String,
    lists: kv::Store,
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Written {
    /// It is true, and the chain holds it.
    Accepted,
    /// Another replica's decision has its place: read again and decide again.
    Lost,
}

impl Journal {
    /// For this replica: `orchestrator-7f3a21`.
    ///
    /// # Errors
    /// [`MeshError`] when the mesh has no streams yet.
    pub async fn open(mesh: Mesh, owner: String) -> Result<Self, MeshError> {
        let lists = streams::bucket(&mesh, streams::WORKFLOWS).await?;
        Ok(Self { mesh, owner, lists })
    }

    pub(crate) fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub(crate) fn lists(&self) -> &kv::Store {
        &self.lists
    }

    /// The whole log of a workflow, folded; an empty chain when there is none.
    ///
    /// # Errors
    /// [`MeshError`] when it cannot be read.
    pub(crate) async fn read(&self, id: &WorkflowId) -> Result<Chain, MeshError> {
        read(&self.mesh, id).await
    }

    /// Appends what was proposed on the chain; once the log has it, it is the chain's state.
    ///
    /// # Errors
    /// [`MeshError`]; the chain must be read again before anything else is decided.
    pub(crate) async fn write(
        &self,
        workflow: &WorkflowId,
        chain: &mut Chain,
        cause: &str,
        proposal: Proposal,
    ) -> Result<Written, MeshError> {
        let id = format!("{}-{:016x}", self.owner, fastrand::u64(..));
        let (at, events) = (proposal.at_unix_ms(), proposal.events().to_vec());
        let decision = chain.next(id.clone(), self.owner.clone(), cause.to_owned(), at, events);
        let subject = self.mesh.subjects.of(&Subject::Log(workflow.clone()));
        let mut headers = HeaderMap::new();
        trace::inject(&mut headers);
        let bytes: Bytes = decision.encode_to_vec().into();
        let expected = chain.last_sequence();
        match append::append(&self.mesh, &subject, expected, &id, bytes, headers).await? {
            Appended::At(sequence) => {
                chain.adopt(sequence, id, proposal);
                Ok(Written::Accepted)
            }
            Appended::Lost => Ok(Written::Lost),
        }
    }
}

/// The whole log of a workflow, folded; an empty chain when there is none. For whoever only looks:
/// it needs no orchestrator.
///
/// # Errors
/// [`MeshError`] when it cannot be read.
pub async fn read(mesh: &Mesh, id: &WorkflowId) -> Result<Chain, MeshError> {
    let subject = mesh.subjects.of(&Subject::Log(id.clone()));
    let mut chain = Chain::new(id.clone());
    for (sequence, bytes) in append::read_log(mesh, &subject, 0).await? {
        match pb::Decision::decode(bytes) {
            Ok(decision) => tell(id, &chain.read(sequence, decision)),
            Err(problem) => tell(id, &chain.read_junk(sequence, problem)),
        }
    }
    Ok(chain)
}

fn tell(id: &WorkflowId, link: &Link) {
    match link {
        Link::Accepted | Link::Known => {}
        Link::Ignored(alarm) => tracing::error!(workflow = %id, %alarm, "two decisions at once"),
        Link::NeedsReconcile(gap) => tracing::error!(workflow = %id, %gap, "the log is damaged"),
    }
}
