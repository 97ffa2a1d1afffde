//! Gets slots for the workflows of this replica, gives them back, and puts out who has no use for one.
//!
//! What a workflow wants and has is what its desk read from its log ([`Wishes`]); what others want and
//! have is looked up in their logs before anybody is put out. Nothing here decides who is next.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream::kv;
use deadelus_core::{Claim, Slot};
use deadelus_mesh::{Mesh, MeshError};
use deadelus_proto::{TaskKey, WorkflowId};
use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::{Slots, bucket::decode};
use crate::{
    hub::{Hub, Parcel},
    journal,
};

/// How often who waits asks again, and who is before it is looked after: a change that nobody heard
/// of costs no more than this.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks between two at every entry there is, whether or not anybody waits there.
const LOOKS_PER_SWEEP: u32 = 10;
/// Before a watch that ended is begun again.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the desks of this process want and have, each the newest word of its workflow: bounded by the
/// workflows that are open here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    newest: Arc<Mutex<HashMap<WorkflowId, Word>>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
enum Word {
    Claims(u64, Vec<Claim>),
    /// Another replica looks after it.
    Elsewhere,
}

impl Wishes {
    /// What a workflow has and wants from now on, by its log; `word` names this word of its desk.
    pub(crate) fn are(&self, workflow: &WorkflowId, word: u64, claims: Vec<Claim>) {
        self.say(workflow, Word::Claims(word, claims));
    }

    /// Nothing of it is given back: whoever looks after it now has it.
    pub(crate) fn are_elsewhere(&self, workflow: &WorkflowId) {
        self.say(workflow, Word::Elsewhere);
    }

    fn say(&self, workflow: &WorkflowId, word: Word) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.insert(workflow.clone(), word);
        drop(newest);
        self.changed.notify_one();
    }

    fn take(&self) -> HashMap<WorkflowId, Word> {
        std::mem::take(&mut *self.newest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The one task of this process that touches the bucket.
#[derive(Debug)]
pub(crate) struct Keeper {
    mesh: Mesh,
    slots: Slots,
    hub: Arc<Hub>,
    wishes: Wishes,
    here: BTreeMap<WorkflowId, (u64, Vec<Claim>)>,
    /// Who waits here, and for which slot next.
    waiting: BTreeMap<TaskKey, Slot>,
}

impl Keeper {
    pub(crate) fn new(mesh: Mesh, slots: Slots, hub: Arc<Hub>, wishes: Wishes) -> Self {
        Self { mesh, slots, hub, wishes, here: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// Keeps slots for ever.
    pub(crate) async fn keep(mut self) {
        loop {
            match self.slots.watch().await {
                Ok(changes) => self.keep_watching(changes).await,
                Err(error) => tracing::warn!(%error, "cannot watch the slots; trying again"),
            }
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    async fn keep_watching(&mut self, mut changes: kv::Watch) {
        let mut looks = 0;
        let mut clock = tokio::time::interval(LOOK_EVERY);
        let wishes = self.wishes.clone();
        loop {
            tokio::select! {
                () = wishes.changed.notified() => self.heed().await,
                change = changes.next() => match change {
                    Some(Ok(change)) => self.changed(&change).await,
                    Some(Err(error)) => tracing::debug!(%error, "watching the slots"),
                    None => return,
                },
                _ = clock.tick() => {
                    looks += 1;
                    self.look(looks % LOOKS_PER_SWEEP == 0).await;
                }
            }
        }
    }

    /// Gives back what is no longer claimed; asks for what is.
    async fn heed(&mut self) {
        for (workflow, word) in self.wishes.take() {
            let (_, before) = self.here.remove(&workflow).unwrap_or_default();
            before.iter().for_each(|claim| drop(self.waiting.remove(&claim.key)));
            let Word::Claims(word, claims) = word else { continue };
            for claim in &before {
                self.give_back(&claim.without(&claims)).await;
            }
            for claim in &claims {
                self.ask(word, claim).await;
            }
            if !claims.is_empty() {
                self.here.insert(workflow, (word, claims));
            }
        }
    }

    async fn give_back(&self, claim: &Claim) {
        for slot in &claim.slots {
            if let Err(error) = self.slots.leave(slot, &claim.key).await {
                tracing::debug!(key = %claim.key, %slot, %error, "not given back; it is found later");
            }
        }
    }

    /// Has the desk told once everything is there. What is in flight has its slots, and only says that
    /// it is looked after here.
    async fn ask(&mut self, word: u64, claim: &Claim) {
        match self.slots.ask(claim).await {
            Ok(None) => {
                self.waiting.remove(&claim.key);
                if claim.ticket.is_some() {
                    self.hub.deliver(Parcel::Slots(claim.key.clone(), word)).await;
                }
            }
            Ok(Some(slot)) => drop(self.waiting.insert(claim.key.clone(), slot)),
            Err(error) => {
                tracing::warn!(key = %claim.key, %error, "cannot ask for slots; asking again");
                self.waiting.extend(claim.slots.first().map(|s| (claim.key.clone(), s.clone())));
            }
        }
    }

    /// Who waits here and has become a holder goes on.
    async fn changed(&mut self, change: &kv::Entry) {
        let Some((slot, table)) = decode(&change.value) else { return };
        for place in &table.holders {
            if self.waiting.get(&place.key) == Some(&slot) {
                self.ask_again(&place.key).await;
            }
        }
    }

    async fn ask_again(&mut self, key: &TaskKey) {
        let Some((word, claims)) = self.here.get(&key.workflow) else { return };
        let claim = claims.iter().find(|claim| claim.key == *key).cloned();
        if let (word, Some(claim)) = (*word, claim) {
            self.ask(word, &claim).await;
        }
    }

    async fn look(&mut self, everywhere: bool) {
        let waiting: Vec<TaskKey> = self.waiting.keys().cloned().collect();
        for key in waiting {
            self.ask_again(&key).await;
        }
        let mut slots: BTreeSet<Slot> = self.waiting.values().cloned().collect();
        if everywhere {
            match super::list(&self.mesh).await {
                Ok(all) => slots.extend(all.into_iter().map(|(slot, _)| slot)),
                Err(error) => tracing::debug!(%error, "cannot look at the slots"),
            }
        }
        for slot in slots {
            if let Err(error) = self.look_at(&slot).await {
                tracing::debug!(%slot, %error, "cannot look at a slot");
            }
        }
    }

    /// Puts out who has a slot, or waits for it, and has no use for it.
    async fn look_at(&self, slot: &Slot) -> Result<(), MeshError> {
        // The entry first and the log after it: who asks meanwhile writes the entry anew.
        let (table, revision) = self.slots.read(slot).await?;
        for place in table.places() {
            if !self.has_no_use(&place.key).await? {
                continue;
            }
            if self.slots.put_out(slot, &table, revision, &place.key).await? {
                tracing::info!(key = %place.key, %slot, "put out: it has no use for its slot");
            }
            // The entry is another one now; the next look sees to the rest.
            return Ok(());
        }
        Ok(())
    }

    async fn has_no_use(&self, key: &TaskKey) -> Result<bool, MeshError> {
        let here = self.here.get(&key.workflow);
        if here.is_some_and(|(_, claims)| claims.iter().any(|claim| claim.key.is_same_task(key))) {
            return Ok(false);
        }
        // That nothing is known of it here means nothing: another replica may be further on.
        let log = journal::read(&self.mesh, &key.workflow).await?;
        // What a damaged log has in flight nobody knows.
        Ok(log.gap().is_none() && log.workflow().is_none_or(|workflow| workflow.is_done_with(key)))
    }
}
