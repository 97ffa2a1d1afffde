//! Keeping house: shelves the lines of what has ended, and takes the next step for those that are
//! due. One workflow at a time and a few per look: live work comes first.

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use deadelus_core::{Chain, Entry, Keeping};
use deadelus_mesh::{
    Mesh, MeshError,
    append::{self, Appended},
    archive::{self, Logged},
    clock::now_unix_ms,
    lists::{Line, Lists, Shelf},
    objects,
};
use deadelus_proto::{Subject, WorkflowId};
use tokio::sync::watch;

use super::{Step, is_due, next};
use crate::{config::Retention, journal::Journal, projection};

/// Between two looks: a line that moves to its shelf a little later is nobody's loss.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Between two looks while there is more to do than one look takes on.
const LOOK_AGAIN_EVERY: Duration = Duration::from_millis(250);
/// Lines moved in one look: half a second's work at most.
const SHELVED_MAX: usize = 1_000;
/// Workflows archived, and forgotten, in one look.
const STEPPED_MAX: usize = 32;
/// A line is shelved this long after its workflow's end: its desk may still rewrite it.
const SHELVED_AFTER_MS: i64 = 5_000;
/// Steps of one workflow in one look; the longest way is three.
const STEPS_MAX: usize = 4;
/// Workflows that a person must look at and that are not looked at again by this process. When there
/// are more, the first are looked at again.
const LEFT_MAX: usize = 1_024;

/// The housekeeping of one replica, for the partitions that it holds.
#[derive(Debug)]
pub(crate) struct House {
    journal: Journal,
    lists: Lists,
    terms: Retention,
    held: watch::Receiver<BTreeSet<u16>>,
    /// Open lines below this sequence need no second look.
    seen: u64,
    left: BTreeSet<WorkflowId>,
}

impl House {
    /// For these partitions, whichever they are at the time.
    pub(crate) fn new(
        journal: Journal,
        terms: Retention,
        held: watch::Receiver<BTreeSet<u16>>,
    ) -> Self {
        let lists = Lists::of(journal.mesh());
        Self { journal, lists, terms, held, seen: 0, left: BTreeSet::new() }
    }

    /// Keeps house, for ever.
    pub(crate) async fn keep(mut self) {
        loop {
            let more = match Box::pin(self.look()).await {
                Ok(more) => more,
                Err(error) => {
                    let error = deadelus_mesh::chain(&error);
                    tracing::warn!(error, "could not keep house; trying again");
                    false
                }
            };
            tokio::time::sleep(if more { LOOK_AGAIN_EVERY } else { LOOK_EVERY }).await;
        }
    }

    /// One look. Whether there is more to do at once.
    async fn look(&mut self) -> Result<bool, MeshError> {
        let shelved = self.shelve().await?;
        let archived = self.step_all(Shelf::Ended).await?;
        let forgotten = self.step_all(Shelf::Archived).await?;
        Ok(shelved || archived || forgotten)
    }

    /// Moves the lines of what has ended from the open shelf.
    async fn shelve(&mut self) -> Result<bool, MeshError> {
        if self.held.has_changed().unwrap_or(false) {
            self.held.mark_unchanged();
            self.seen = 0;
        }
        let mut walk = self.lists.walk(Shelf::Open, self.seen).await?;
        let (mut moved, mut fresh) = (0, None);
        while let Some(line) = walk.next().await? {
            let next = line.sequence + 1;
            if self.is_ours(&line) && may_be_shelved(&line) {
                if now_unix_ms() - line.summary.updated_unix_ms < SHELVED_AFTER_MS {
                    fresh = fresh.or(Some(line.sequence));
                } else if moved == SHELVED_MAX {
                    self.seen = fresh.unwrap_or(line.sequence);
                    walk.close().await;
                    return Ok(true);
                } else {
                    self.lists.move_to(Shelf::Ended, &line).await?;
                    moved += 1;
                }
            }
            self.seen = fresh.unwrap_or(next);
        }
        Ok(false)
    }

    /// Takes the steps that are due on a shelf, the oldest end first.
    async fn step_all(&mut self, shelf: Shelf) -> Result<bool, MeshError> {
        if !is_due(&self.terms, shelf, i64::MIN, now_unix_ms()) {
            return Ok(false);
        }
        let mut walk = self.lists.walk(shelf, 0).await?;
        let mut stepped = 0;
        while let Some(line) = walk.next().await? {
            if !is_due(&self.terms, shelf, line.summary.updated_unix_ms, now_unix_ms()) {
                break;
            }
            let Some(id) = self.to_be_stepped(&line) else { continue };
            if stepped == STEPPED_MAX {
                walk.close().await;
                return Ok(true);
            }
            stepped += 1;
            self.steps(&id, &line).await?;
        }
        walk.close().await;
        Ok(false)
    }

    /// All steps that can be taken now.
    async fn steps(&mut self, id: &WorkflowId, line: &Line) -> Result<(), MeshError> {
        for _ in 0..STEPS_MAX {
            let look = Look::at(self.journal.mesh(), id).await?;
            let step = next(&self.terms, line.shelf, &look.chain, look.is_alone, now_unix_ms());
            match self.step(line, look, step).await {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error @ MeshError::TooLarge { .. }) => {
                    self.leave(id, &deadelus_mesh::chain(&error));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes one step. Whether there may be another.
    async fn step(&mut self, line: &Line, look: Look, step: Step) -> Result<bool, MeshError> {
        let (id, mesh) = (look.chain.id(), self.journal.mesh());
        match step {
            Step::Archive => {
                let archive = archive::store(mesh, id, &look.log).await?;
                let decided = self.name();
                let owner = self.journal.owner().to_string();
                let entry = look.chain.archive(decided, owner, now_unix_ms(), archive);
                self.append(&look.chain, entry).await
            }
            Step::Clear { sequence } => {
                append::purge_below(mesh, &look.subject, sequence).await?;
                remove_superseded(mesh, &look).await?;
                self.lists.move_to(Shelf::Archived, line).await?;
                tracing::info!(workflow = %id, decisions = look.log.len(), "archived");
                Ok(false)
            }
            Step::Forget => {
                let owner = self.journal.owner().to_string();
                let entry = look.chain.forget(self.name(), owner, now_unix_ms());
                self.append(&look.chain, entry).await
            }
            Step::Empty { sequence } => {
                let stream = append::read_log(mesh, &look.subject, 0).await?;
                for archive in archive::named(&stream) {
                    objects::remove(mesh, &archive).await?;
                }
                append::purge_below(mesh, &look.subject, sequence).await?;
                tracing::info!(workflow = %id, "forgotten");
                Ok(true)
            }
            Step::Drop { sequence } => {
                append::purge_below(mesh, &look.subject, sequence + 1).await?;
                self.lists.take_off(line).await?;
                Ok(false)
            }
            Step::Relist => {
                if let Some(summary) = projection::summary(id, &look.chain) {
                    self.lists.put_first(Shelf::Open, &summary).await?;
                    self.lists.take_off(line).await?;
                    self.seen = 0;
                }
                Ok(false)
            }
            Step::Wait => Ok(false),
            Step::Leave(why) => {
                let id = id.clone();
                self.leave(&id, why);
                Ok(false)
            }
        }
    }

    /// Appends a decision about keeping. Whoever was faster has changed what the next step is.
    async fn append(&self, chain: &Chain, entry: Option<Entry>) -> Result<bool, MeshError> {
        let Some(entry) = entry else { return Ok(false) };
        let append = self.journal.append(chain.id(), entry, chain.last_sequence())?;
        match Box::pin(append.finish(self.journal.mesh())).await? {
            Appended::At(_) => Ok(true),
            Appended::Lost => Ok(false),
        }
    }

    /// Whose line it is, if it is ours to see to.
    fn to_be_stepped(&self, line: &Line) -> Option<WorkflowId> {
        let id: WorkflowId = line.summary.workflow_id.parse().ok()?;
        (self.is_ours(line) && !self.left.contains(&id)).then_some(id)
    }

    fn is_ours(&self, line: &Line) -> bool {
        let id = line.summary.workflow_id.parse();
        id.is_ok_and(|id: WorkflowId| self.held.borrow().contains(&id.partition()))
    }

    fn leave(&mut self, id: &WorkflowId, why: &str) {
        tracing::warn!(workflow = %id, why, "not archived: it stays where it is; see `deadelus audit`");
        if self.left.len() >= LEFT_MAX {
            self.left.clear();
        }
        self.left.insert(id.clone());
    }

    /// A decision's id.
    fn name(&self) -> String {
        format!("{}-keep-{:x}", self.journal.owner(), fastrand::u64(..))
    }
}

/// A workflow's log as it is now.
struct Look {
    subject: String,
    log: Vec<Logged>,
    chain: Chain,
    is_alone: bool,
}

impl Look {
    async fn at(mesh: &Mesh, id: &WorkflowId) -> Result<Self, MeshError> {
        let subject = mesh.subjects.of(&Subject::Log(id.clone()));
        let log = Box::pin(archive::read(mesh, id, 0)).await?;
        let mut chain = Chain::new(id.clone());
        for (sequence, bytes) in &log {
            // What is wrong with it is in the chain.
            let _ = chain.read(*sequence, bytes);
        }
        let is_alone = match chain.keeping() {
            Keeping::Forgotten { sequence, .. } => {
                let first = append::winner(mesh, &subject, 0).await?;
                first.is_none_or(|first| first.sequence >= *sequence)
            }
            Keeping::Log | Keeping::Archived { .. } => false,
        };
        Ok(Self { subject, log, chain, is_alone })
    }
}

fn may_be_shelved(line: &Line) -> bool {
    line.summary.ended && line.summary.status != projection::NEEDS_RECONCILE
}

/// Archives of the same workflow from before it was taken up again: the newest holds all of them.
async fn remove_superseded(mesh: &Mesh, look: &Look) -> Result<(), MeshError> {
    let Keeping::Archived { archive: newest, .. } = look.chain.keeping() else { return Ok(()) };
    for archive in archive::named(&look.log) {
        if archive.sha256 != newest.sha256 {
            objects::remove(mesh, &archive).await?;
        }
    }
    Ok(())
}
