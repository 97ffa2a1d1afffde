//! The pull loop: never more in hand than there are free places, nothing new once draining.

use std::{convert::Infallible, sync::Arc};

use async_nats::jetstream::{AckKind, Message};
use deadelus_mesh::{
    dead,
    life::Shutdown,
    pull::{Pull, Pulled},
};
use deadelus_proto::Subject;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant},
};

use crate::{Specialist, config::WorkerConfig, hand::Hand, ledger::Ledger, report::Reporter};

/// A busy worker with few free places waits this long for more of them before it asks: a request for
/// each costs the server more than the tasks do. An idle worker never waits.
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
        mut pull: Pull,
        config: &WorkerConfig,
        shutdown: Shutdown,
    ) {
        let mut in_hand = JoinSet::new();
        tokio::select! {
            never = self.work(&mut pull, config.concurrency.max(1), &mut in_hand) => match never {},
            () = shutdown.requested() => {}
        }
        tracing::info!(in_hand = in_hand.len(), "draining: finishing what is in hand");
        let finished = tokio::time::timeout(config.drain(), async {
            while in_hand.join_next().await.is_some() {}
        });
        let (finished, ()) = tokio::join!(finished, hand_back(pull));
        if finished.is_err() {
            tracing::warn!("the drain time is over; what is left will be delivered to another");
        }
    }

    async fn work(
        self: &Arc<Self>,
        pull: &mut Pull,
        places: usize,
        in_hand: &mut JoinSet<()>,
    ) -> Infallible {
        // Few free places are gathered for a moment, from the first one on.
        let mut gathered_at = Instant::now();
        loop {
            let coming = pull.coming();
            let free = places.saturating_sub(in_hand.len() + coming);
            let gathering = coming == 0 && !in_hand.is_empty() && Instant::now() < gathered_at;
            if free > places / 2 || (free > 0 && coming == 0 && !gathering) {
                pull.ask(free).await;
            }
            let look_again = if gathering { gathered_at } else { pull.lapses_at() };
            tokio::select! {
                pulled = pull.next() => match pulled {
                    Pulled::Message(message) => {
                        in_hand.spawn(Arc::clone(self).handle(*message));
                    }
                    Pulled::Over => {}
                    Pulled::Nobody => {
                        tracing::warn!("cannot pull; trying again");
                        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    }
                },
                Some(_) = in_hand.join_next() => {
                    if free == 0 {
                        gathered_at = Instant::now() + GATHER_FOR;
                    }
                }
                () = tokio::time::sleep_until(look_again), if gathering || coming > 0 => {}
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

/// Asks for nothing more; what came too late is another's, at once.
async fn hand_back(pull: Pull) {
    for message in pull.close().await {
        if let Err(error) = message.ack_with(AckKind::Nak(None)).await {
            tracing::debug!(%error, "not handed back; it comes again by itself");
        }
    }
}
