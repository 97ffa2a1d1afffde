//! What is kept of one workflow, or of all, while somebody watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use deadelus_mesh::{Mesh, MeshError, archive};
use deadelus_proto::WorkflowId;
use deadelus_view::ViewError;
use tokio::sync::{Notify, OnceCell, watch};

use super::{
    frame::Told,
    hub::Hub,
    ring::{Frame, Next, Ring},
};

/// A ring, and who waits for it to grow.
#[derive(Debug)]
pub(super) struct Feed {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { ring: Mutex::default(), newest: watch::Sender::new(0) }
    }

    pub(super) fn after(&self, sequence: u64) -> Next {
        self.ring().after(sequence)
    }

    pub(super) fn newest(&self) -> u64 {
        self.ring().newest()
    }

    /// Tells of every change from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(super) fn push(&self, frames: impl IntoIterator<Item = Frame>) {
        let mut ring = self.ring();
        frames.into_iter().for_each(|frame| ring.push(frame));
        let newest = ring.newest();
        drop(ring);
        self.newest.send_replace(newest);
    }

    /// Forgets everything up to a place in the log: whoever is before it reads the log.
    pub(super) fn restart(&self, sequence: u64) {
        *self.ring() = Ring::from(sequence);
        self.newest.send_replace(sequence);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A workflow that is watched; forgotten with the last who watches it.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(super) id: WorkflowId,
    pub(super) feed: Feed,
    /// Its log has grown, or nobody watches any more.
    wake: Arc<Notify>,
    opened: OnceCell<()>,
    hub: Weak<Hub>,
}

impl Topic {
    pub(super) fn new(id: WorkflowId, hub: Weak<Hub>) -> Self {
        let (wake, opened) = (Arc::default(), OnceCell::new());
        Self { id, feed: Feed::new(), wake, opened, hub }
    }

    /// Reads the log so far, once for everybody who came meanwhile.
    ///
    /// # Errors
    /// [`ViewError::NoWorkflow`], and when the log cannot be read.
    pub(super) async fn open(self: &Arc<Self>, hub: &Hub) -> Result<(), ViewError> {
        let read = async {
            let mut told = Told::new(self.id.clone());
            let frames = {
                let _turn = hub.turn().await;
                more(&hub.mesh, &self.id, &mut told).await?
            };
            if !told.is_there() {
                return Err(ViewError::NoWorkflow(self.id.to_string()));
            }
            self.feed.push(frames);
            let (wake, topic) = (Arc::clone(&self.wake), Arc::downgrade(self));
            tokio::spawn(keep(hub.mesh.clone(), topic, wake, told));
            Ok(())
        };
        self.opened.get_or_try_init(|| Box::pin(read)).await.map(|_| ())
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        self.wake.notify_one();
        if let Some(hub) = self.hub.upgrade() {
            hub.forget(&self.id);
        }
    }
}

/// Tells what is decided as long as somebody watches.
async fn keep(mesh: Mesh, topic: Weak<Topic>, wake: Arc<Notify>, mut told: Told) {
    loop {
        wake.notified().await;
        let Some(topic) = topic.upgrade() else { return };
        match more(&mesh, &topic.id, &mut told).await {
            Ok(frames) => topic.feed.push(frames),
            Err(error) => {
                // It is asked again when the reader of the log is back.
                tracing::debug!(workflow = %topic.id, %error, "what was decided cannot be read");
            }
        }
    }
}

/// What was decided since, told.
pub(super) async fn more(
    mesh: &Mesh,
    id: &WorkflowId,
    told: &mut Told,
) -> Result<Vec<Frame>, MeshError> {
    let log = Box::pin(archive::read(mesh, id, told.through() + 1)).await?;
    Ok(log.iter().filter_map(|(sequence, bytes)| told.take(*sequence, bytes)).collect())
}
