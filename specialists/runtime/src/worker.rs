//! The pull loop: never more in hand than there are free places, nothing new once draining.

use std::sync::Arc;

use async_nats::jetstream::{Message, consumer::PullConsumer};
use deadelus_mesh::{dead, life::Shutdown};
use deadelus_proto::Subject;
use futures_util::StreamExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::Duration,
};

use crate::{Specialist, config::WorkerConfig, hand::Hand, ledger::Ledger, report::Reporter};

/// An open pull request is renewed this often; a lost one costs no more than this.
const PULL_EXPIRES: Duration = Duration::from_secs(5);
/// A task costs a busy worker at most this much latency, and an idle one none.
const GATHER_FOR: Duration = Duration::from_millis(2);
/// After a pull failed, while the server is away.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// One replica of a specialist.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) specialist: Arc<Specialist>,
    pub(crate) ledger: Ledger,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) hand: Hand,
}

impl Worker {
    /// Pulls and works until told to stop; then finishes what is in hand, within the drain time.
    pub(crate) async fn run(
        self: Arc<Self>,
        consumer: PullConsumer,
        config: &WorkerConfig,
        shutdown: Shutdown,
    ) {
        let places = Arc::new(Semaphore::new(config.concurrency.max(1)));
        let mut tasks = JoinSet::new();
        tokio::select! {
            never = self.pull(&consumer, config, &places, &mut tasks) => match never {},
            () = shutdown.requested() => {}
        }
        tracing::info!(in_hand = tasks.len(), "draining: finishing what is in hand");
        let finished = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(config.drain(), finished).await.is_err() {
            tracing::warn!("the drain time is over; what is left will be delivered to another");
        }
    }

    async fn pull(
        self: &Arc<Self>,
        consumer: &PullConsumer,
        config: &WorkerConfig,
        places: &Arc<Semaphore>,
        tasks: &mut JoinSet<()>,
    ) -> std::convert::Infallible {
        loop {
            let mut free = free_places(places, config.concurrency / 2).await;
            while tasks.try_join_next().is_some() {}
            let batch =
                consumer.batch().max_messages(free.len()).expires(PULL_EXPIRES).messages().await;
            let mut batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(%error, "cannot pull; trying again");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    continue;
                }
            };
            while let Some(message) = batch.next().await {
                match (message, free.pop()) {
                    (Ok(message), Some(place)) => {
                        let worker = Arc::clone(self);
                        tasks.spawn(async move {
                            Box::pin(worker.handle(message)).await;
                            drop(place);
                        });
                    }
                    (Ok(message), None) => tracing::error!(subject = %message.subject, "unasked"),
                    (Err(error), _) => {
                        tracing::debug!(%error, "the pull ended");
                        break;
                    }
                }
            }
        }
    }

    /// What nobody can handle goes to DEAD with the reason, and never comes again.
    pub(crate) async fn bury(&self, message: &Message, reason: &str) {
        let mesh = &self.reporter.mesh;
        let name = match mesh.subjects.parse(&message.subject) {
            Ok(Subject::Task(name)) => Ok(name),
            Ok(_) | Err(_) => format!("{}.unknown", self.specialist.name()).parse(),
        };
        if let Ok(name) = name {
            dead::bury(mesh, message, name, reason).await;
        }
    }
}

/// At least one place. A busy worker waits a moment for more of them to become free, because a pull
/// for each costs the server more than the tasks do.
async fn free_places(places: &Arc<Semaphore>, worth_a_pull: usize) -> Vec<OwnedSemaphorePermit> {
    let mut free = vec![];
    // The semaphore is never closed.
    if let Ok(first) = Arc::clone(places).acquire_owned().await {
        free.push(first);
    }
    if places.available_permits() + 1 < worth_a_pull {
        tokio::time::sleep(GATHER_FOR).await;
    }
    while let Ok(another) = Arc::clone(places).try_acquire_owned() {
        free.push(another);
    }
    free
}
