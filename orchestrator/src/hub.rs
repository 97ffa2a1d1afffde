//! Which driver has which workflow. One driver at a time in this process; two processes may drive
//! one workflow at once, and the log decides between them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::jetstream::Message;
use deadelus_core::Input;
use deadelus_proto::{SpecialistName, TaskKey, WorkflowId, pb};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{driver::Driver, journal::Journal};

/// Letters that wait for one driver. A fuller box holds its partition back, which is right: the
/// stream keeps what is not pulled.
const LETTERS_MAX: usize = 256;

/// What a driver is told.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A message of the inbox, to be acknowledged once it is decided.
    Mail(Box<Mail>),
    /// A worker has this attempt in hand, and asks whether to go on.
    Beat(TaskKey, oneshot::Sender<pb::Verdict>),
    /// Take the workflow up: it has not ended, and nobody may be driving it.
    TakeUp,
}

/// A message of the inbox, parsed.
#[derive(Debug)]
pub(crate) struct Mail {
    /// As it came, to be acknowledged.
    pub(crate) message: Message,
    /// Whose permission it was sent under.
    pub(crate) from: SpecialistName,
    /// The sender's id of it.
    pub(crate) id: String,
    /// Where an answer is waited for; may be empty.
    pub(crate) reply_to: String,
    /// What it says.
    pub(crate) input: Input,
}

/// Hands letters to drivers.
#[derive(Debug)]
pub(crate) struct Hub {
    journal: Journal,
    open_max: usize,
    seats: Mutex<HashMap<WorkflowId, mpsc::Sender<Letter>>>,
    drivers: Mutex<JoinSet<()>>,
}

impl Hub {
    pub(crate) fn new(journal: Journal, open_max: usize) -> Arc<Self> {
        Arc::new(Self { journal, open_max, seats: Mutex::default(), drivers: Mutex::default() })
    }

    /// Whether one more workflow may begin here.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.seats).len() < self.open_max
    }

    /// Hands a letter to the workflow's driver; if there is none, one takes the workflow up.
    pub(crate) async fn deliver(self: &Arc<Self>, workflow: &WorkflowId, mut letter: Letter) {
        loop {
            let seat = self.seat(workflow);
            match seat.send(letter).await {
                Ok(()) => return,
                // The driver left in this very moment; the next one reads the log.
                Err(mpsc::error::SendError(returned)) => {
                    letter = returned;
                    self.leave(workflow, &seat);
                }
            }
        }
    }

    /// The same, if somebody drives the workflow here; otherwise nothing happens.
    pub(crate) async fn deliver_if_driven(&self, workflow: &WorkflowId, letter: Letter) {
        let seat = lock(&self.seats).get(workflow).cloned();
        if let Some(seat) = seat {
            // A driver that has just left has nothing to say to a worker.
            let _ = seat.send(letter).await;
        }
    }

    /// Stops all drivers between two decisions.
    pub(crate) async fn stop(&self) {
        lock(&self.seats).clear();
        let mut drivers = std::mem::take(&mut *lock(&self.drivers));
        while drivers.join_next().await.is_some() {}
    }

    fn seat(self: &Arc<Self>, workflow: &WorkflowId) -> mpsc::Sender<Letter> {
        let mut seats = lock(&self.seats);
        if let Some(seat) = seats.get(workflow) {
            return seat.clone();
        }
        let (seat, letters) = mpsc::channel(LETTERS_MAX);
        seats.insert(workflow.clone(), seat.clone());
        drop(seats);
        let driver = Driver::new(self.journal.clone(), workflow.clone());
        let (hub, id, own) = (Arc::clone(self), workflow.clone(), seat.downgrade());
        let mut drivers = lock(&self.drivers);
        while drivers.try_join_next().is_some() {}
        drivers.spawn(async move {
            Box::pin(driver.run(letters)).await;
            if let Some(own) = own.upgrade() {
                hub.leave(&id, &own);
            }
        });
        seat
    }

    fn leave(&self, workflow: &WorkflowId, seat: &mpsc::Sender<Letter>) {
        let mut seats = lock(&self.seats);
        if seats.get(workflow).is_some_and(|current| current.same_channel(seat)) {
            seats.remove(workflow);
        }
    }
}

// Inserted into and removed from, nothing else: a panic elsewhere leaves it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
