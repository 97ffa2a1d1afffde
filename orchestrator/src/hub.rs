//! Which shard has which workflow. One desk per workflow in this process; two processes may drive
//! one workflow at once, and the log decides between them.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use deadelus_mesh::{
    MeshError,
    life::{Shutdown, half_the_cores},
};
use deadelus_proto::{TaskKey, WorkflowId, limits::PARTITIONS, pb};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{inbox::Inbox, journal::Journal, letter::Letter, shard::Shard};

/// Parcels that wait for a shard. A fuller one holds its partitions back, which is right: the stream
/// keeps what is not pulled.
const PARCELS_MAX: usize = 4_096;

/// What a shard is brought.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// Something to decide.
    Letter(WorkflowId, Box<Letter>),
    /// A worker has this attempt in hand, and asks whether to go on.
    Beat(TaskKey, oneshot::Sender<pb::Verdict>),
    /// All the slots are there that a task waits for, by this word of its desk.
    Slots(TaskKey, u64),
    /// Take the workflow up: it has not ended, and nobody may be driving it.
    TakeUp(WorkflowId),
    /// Another replica looks after the partition: clear its desks, once no append is under way.
    Close(u16, oneshot::Sender<()>),
}

impl Parcel {
    fn partition(&self) -> u16 {
        match self {
            Self::Letter(workflow, _) | Self::TakeUp(workflow) => workflow.partition(),
            Self::Beat(key, _) | Self::Slots(key, _) => key.workflow.partition(),
            Self::Close(partition, _) => *partition,
        }
    }
}

/// Hands parcels to shards.
#[derive(Debug)]
pub(crate) struct Hub {
    shards: Vec<mpsc::Sender<Parcel>>,
    open: Arc<AtomicUsize>,
    open_max: usize,
    running: Mutex<JoinSet<()>>,
}

impl Hub {
    /// For at most `open_max` open workflows. The shards begin with [`begin`](Self::begin).
    pub(crate) fn new(open_max: usize) -> (Arc<Self>, Vec<mpsc::Receiver<Parcel>>) {
        let (shards, parcels) = (0..half_the_cores(usize::from(PARTITIONS)))
            .map(|_| mpsc::channel(PARCELS_MAX))
            .unzip();
        let (open, running) = (Arc::default(), Mutex::default());
        (Arc::new(Self { shards, open, open_max, running }), parcels)
    }

    /// Begins to work off what is brought, until the process is asked to stop.
    ///
    /// # Errors
    /// [`MeshError`] when the connection is closed.
    pub(crate) async fn begin(
        &self,
        parcels: Vec<mpsc::Receiver<Parcel>>,
        journal: &Journal,
        inbox: &Inbox,
        shutdown: &Shutdown,
    ) -> Result<(), MeshError> {
        for parcels in parcels {
            let open = Arc::clone(&self.open);
            let shard = Shard::open(journal.clone(), inbox.clone(), open).await?;
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.spawn(shard.run(parcels, shutdown.clone()));
        }
        Ok(())
    }

    /// Why no more workflow may begin here, if so.
    pub(crate) fn is_full(&self) -> Option<String> {
        let open = self.open.load(Ordering::Relaxed);
        (open >= self.open_max).then(|| {
            let most = self.open_max;
            format!(
                "{open} workflows are open here and {most} may be: try again when some have ended, start \
                 another orchestrator, or raise orchestrator.open_workflows_max; `deadelus list \
                 --state waiting` shows who waits for a person"
            )
        })
    }

    /// Hands a parcel to its partition's shard.
    pub(crate) async fn deliver(&self, parcel: Parcel) {
        let shard = usize::from(parcel.partition()) % self.shards.len();
        if self.shards[shard].send(parcel).await.is_err() {
            tracing::debug!("stopping: a parcel is left to come again");
        }
    }

    /// Clears the desks of a partition; what they have begun to append is finished first.
    pub(crate) async fn close(&self, partition: u16) {
        let (closed, done) = oneshot::channel();
        self.deliver(Parcel::Close(partition, closed)).await;
        // A shard that has stopped has no desks.
        let _ = done.await;
    }

    /// Waits until the shards have stopped.
    pub(crate) async fn stopped(&self) {
        let mut running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        while running.join_next().await.is_some() {}
    }
}
