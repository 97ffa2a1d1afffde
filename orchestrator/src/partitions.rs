//! Which partitions this replica looks after, and looking after them.
//!
//! A lease is for efficiency only: two replicas that both believe they have a partition race in the
//! log, and one of them loses there. Losing a lease stops the work on its partition; what was
//! delivered and not acknowledged comes again, to whoever has it then.

mod leases;
mod share;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use deadelus_mesh::{Mesh, MeshError};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

use crate::{
    asks,
    hub::{Hub, Parcel},
    inbox::Inbox,
    projection,
};
use leases::Leases;
use share::{Holder, Move, moves};

/// Renewing, and looking who else is there: four times in the life of a lease.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The partitions of one replica.
#[derive(Debug)]
pub(crate) struct Partitions {
    mesh: Mesh,
    inbox: Inbox,
    hub: Arc<Hub>,
    leases: Leases,
    /// What listens for each partition that is ours; it stops when it is dropped.
    listening: BTreeMap<u16, JoinSet<()>>,
    /// Partitions whose open workflows are still to be taken up.
    fresh: BTreeSet<u16>,
    held: watch::Sender<BTreeSet<u16>>,
}

impl Partitions {
    /// None yet.
    ///
    /// # Errors
    /// [`MeshError`] when the mesh has no bucket of leases.
    pub(crate) async fn open(
        mesh: Mesh,
        owner: &str,
        inbox: Inbox,
        hub: Arc<Hub>,
    ) -> Result<Self, MeshError> {
        let leases = Leases::open(&mesh, owner).await?;
        let (listening, fresh, held) = Default::default();
        Ok(Self { mesh, inbox, hub, leases, listening, fresh, held })
    }

    /// Which they are, as of the last look.
    pub(crate) fn held(&self) -> watch::Receiver<BTreeSet<u16>> {
        self.held.subscribe()
    }

    /// Keeps this replica's share, for ever.
    pub(crate) async fn keep(&mut self) {
        let mut looks = time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.look().await;
        }
    }

    /// One look: renews, takes what is ours and free, hands over what is another's.
    pub(crate) async fn look(&mut self) {
        let Some(mine) = self.leases.renew_seat().await else { return };
        // A seat that nobody speaks for may be taken: nothing is handed to whom nobody has seen.
        let Some(live) = self.leases.live_seats().await else { return };
        let holders = self.leases.holders().await;
        for partition in lost(&self.listening, &holders) {
            tracing::warn!(partition, "another replica has this partition");
            self.stop(partition).await;
        }
        for change in moves(mine, &live, &holders) {
            match change {
                Move::Take(partition) => {
                    if self.leases.take(partition).await && self.begin(partition).await {
                        self.fresh.insert(partition);
                    }
                }
                Move::Release(partition) => {
                    tracing::info!(partition, "handing over");
                    self.stop(partition).await;
                    self.leases.release(partition).await;
                }
            }
        }
        self.tell_who_listens();
        if !self.fresh.is_empty() {
            self.take_up().await;
        }
    }

    fn tell_who_listens(&self) {
        let now: BTreeSet<u16> = self.listening.keys().copied().collect();
        self.held.send_if_modified(|held| {
            let changed = *held != now;
            *held = now;
            changed
        });
    }

    /// Takes nothing more in. What is in hand goes on.
    pub(crate) fn close(&mut self) {
        self.listening.clear();
    }

    /// Gives everything to whoever comes next, at once.
    pub(crate) async fn hand_over(mut self) {
        self.leases.release_all().await;
    }

    async fn begin(&mut self, partition: u16) -> bool {
        let mut listening = JoinSet::new();
        let begun = async {
            asks::listen(&self.mesh, &self.inbox, partition, &mut listening).await?;
            self.inbox.pull(partition, &mut listening).await
        };
        match Box::pin(begun).await {
            Ok(()) => {
                self.listening.insert(partition, listening);
                true
            }
            Err(error) => {
                tracing::warn!(partition, %error, "cannot look after this partition; trying again");
                self.leases.release(partition).await;
                false
            }
        }
    }

    async fn stop(&mut self, partition: u16) {
        self.listening.remove(&partition);
        self.fresh.remove(&partition);
        self.hub.close(partition).await;
    }

    /// Everything in the fresh partitions that has not ended goes on, whoever drove it before.
    async fn take_up(&mut self) {
        let open = match projection::open_workflows(&self.mesh).await {
            Ok(open) => open,
            Err(error) => {
                tracing::warn!(%error, "cannot read the list; trying again");
                return;
            }
        };
        let partitions = std::mem::take(&mut self.fresh);
        let ours: Vec<_> =
            open.into_iter().filter(|id| partitions.contains(&id.partition())).collect();
        tracing::info!(?partitions, workflows = ours.len(), "taken over");
        for workflow in ours {
            self.hub.deliver(Parcel::TakeUp(workflow)).await;
        }
    }
}

/// What we listen for and another holds.
fn lost(listening: &BTreeMap<u16, JoinSet<()>>, holders: &[Holder]) -> Vec<u16> {
    let ours = |partition: &u16| holders[usize::from(*partition)] == Holder::Me;
    listening.keys().copied().filter(|partition| !ours(partition)).collect()
}
