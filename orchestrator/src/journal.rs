//! A workflow's log: read and folded, or one decision longer.

use std::{sync::Arc, time::Duration};

use async_nats::HeaderMap;
use deadelus_core::{Chain, Entry, Link};
use deadelus_mesh::{Mesh, MeshError, append::Append, archive, lists::Lists, trace};
use deadelus_proto::{Subject, WorkflowId};
use tokio::sync::Semaphore;

/// Between two looks at a log that cannot be read.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A server that lost its place learns so within ten seconds; until then it answers what it knew.
/// After so many looks what is not there has vanished.
const LOOKS_MAX: u32 = 15;

/// Logs read at once: a server drops what it is asked when ten thousand questions wait, and who takes
/// over as many workflows asks several for each.
const READS_MAX: usize = 64;

/// The logs of all workflows, as one replica reads and writes them.
#[derive(Debug, Clone)]
pub struct Journal {
    mesh: Mesh,
    owner: Arc<str>,
    lists: Lists,
    reads: Arc<Semaphore>,
}

impl Journal {
    /// For this replica: `orchestrator-7f3a21`.
    pub fn new(mesh: Mesh, owner: String) -> Self {
        let lists = Lists::of(&mesh);
        let reads = Arc::new(Semaphore::new(READS_MAX));
        Self { mesh, owner: owner.into(), lists, reads }
    }

    pub(crate) fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    pub(crate) fn lists(&self) -> &Lists {
        &self.lists
    }

    /// This replica's name.
    pub(crate) fn owner(&self) -> Arc<str> {
        Arc::clone(&self.owner)
    }

    /// The whole log of a workflow, folded into a copy of `empty`, however long it takes until it can
    /// be read. What is known to be in it is looked for [`LOOKS_MAX`] times.
    pub(crate) async fn read_until_done(&self, empty: &Chain) -> Chain {
        let (id, mut looks) = (empty.id(), 1);
        loop {
            let place = self.reads.acquire().await;
            let read = read_into(&self.mesh, empty.clone()).await;
            drop(place);
            match read {
                Ok(chain) if !chain.lacks() => return chain,
                Ok(mut chain) if looks >= LOOKS_MAX => {
                    chain.give_up();
                    tracing::error!(workflow = %id, gap = ?chain.gap(), "the log is damaged");
                    return chain;
                }
                Ok(_) => {
                    looks += 1;
                    tracing::warn!(workflow = %id, "the log is older than what is known of it");
                }
                Err(error) => {
                    tracing::warn!(workflow = %id, %error, "cannot read the log; trying again");
                }
            }
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    /// A decision at the end of its workflow's log, if `expected` is the log's last sequence. The
    /// current span goes along.
    ///
    /// # Errors
    /// [`MeshError::TooLarge`].
    pub(crate) fn append(
        &self,
        workflow: &WorkflowId,
        entry: Entry,
        expected: u64,
    ) -> Result<Append, MeshError> {
        let subject = self.mesh.subjects.of(&Subject::Log(workflow.clone()));
        let mut headers = HeaderMap::new();
        trace::inject(&mut headers);
        Append::new(subject, expected, entry.id, entry.bytes.into(), headers)
    }
}

/// The whole log of a workflow, folded; an empty chain when there is none. For whoever only looks:
/// it needs no orchestrator.
///
/// # Errors
/// [`MeshError`] when it cannot be read.
pub async fn read(mesh: &Mesh, id: &WorkflowId) -> Result<Chain, MeshError> {
    read_into(mesh, Chain::new(id.clone())).await
}

async fn read_into(mesh: &Mesh, mut chain: Chain) -> Result<Chain, MeshError> {
    let id = &chain.id().clone();
    for (sequence, bytes) in Box::pin(archive::read(mesh, id, 0)).await? {
        tell(id, &chain.read(sequence, &bytes));
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
