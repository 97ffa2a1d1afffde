//! What is to be taken back, and in which order. The order falls out of the graph: undoable is
//! what nothing stands on any more. Where the graph leaves it open, whoever shares a lock goes back in
//! the reverse of the order in which they came: each has changed what the one before it left.

use std::collections::BTreeMap;

use deadelus_proto::{Direction, Effect, TaskId};

use super::{EffectState, Workflow};

/// Something that taking back did not, or could not, remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residue {
    /// Of which task.
    pub task: TaskId,
    /// What is left, in a sentence.
    pub what: String,
}

impl Workflow {
    /// Everything that taking back left behind.
    pub fn residue(&self) -> Vec<Residue> {
        let mut list = Vec::new();
        for (at, (spec, task)) in self.tasks().enumerate() {
            let mut add = |what| list.push(Residue { task: spec.id.clone(), what });
            if let EffectState::Undone(residue) = &task.effect {
                residue.iter().cloned().for_each(&mut add);
            }
            if spec.effect == Effect::Pivot && task.stands() && self.must_go(at) {
                add(format!("no way back: {}", spec.does));
            }
        }
        list
    }

    /// Whether the task's effect is to be taken back and still stands.
    pub(crate) fn owes_undo(&self, at: usize) -> bool {
        let pivot = self.plan.tasks()[at].effect == Effect::Pivot;
        self.must_go(at) && self.tasks[at].stands() && !pivot
    }

    /// What may be taken back next, in the reverse of the plan's order: everything in the affected
    /// part has settled, and nothing that stands on it, or came after it under a lock of its own, is
    /// still to be taken back itself.
    pub(crate) fn undoable(&self) -> Vec<usize> {
        let newest = self.newest_under_lock();
        let is_newest = |at: usize| {
            let mut locks = self.plan.tasks()[at].locks.iter();
            locks.all(|lock| newest[lock.as_str()] <= self.tasks[at].asked_at)
        };
        let mut carries = vec![false; self.tasks.len()];
        let mut free = Vec::new();
        let moving = self.tasks.iter().any(|task| task.is_doing());
        for at in (0..self.tasks.len()).rev() {
            let owes = self.owes_undo(at);
            if owes || carries[at] {
                self.plan.tasks()[at].needs.iter().for_each(|need| carries[*need] = true);
            }
            if owes && !carries[at] && is_newest(at) && !(moving && self.part_is_moving(at)) {
                free.push(at);
            }
        }
        free
    }

    /// When retries of undos are due, in milliseconds since the epoch: of those that nothing but
    /// time holds up.
    pub(super) fn undo_retries_due(&self) -> Vec<i64> {
        if self.tasks.iter().all(|task| task.undo_retry_due().is_none()) {
            return Vec::new();
        }
        let held = self.held_locks();
        let locks_free = |at: &usize| {
            self.plan.tasks()[*at].locks.iter().all(|l| !held.contains_key(l.as_str()))
        };
        let waits = |at: &usize| !self.awaits(*at, Direction::Undo);
        let free = self.undoable().into_iter().filter(locks_free).filter(waits);
        free.filter_map(|at| self.tasks[at].undo_retry_due()).collect()
    }

    /// When each lock was last taken by a task that is to be taken back.
    fn newest_under_lock(&self) -> BTreeMap<&str, u64> {
        let mut newest = BTreeMap::new();
        for (at, (spec, task)) in self.tasks().enumerate() {
            for lock in spec.locks.iter().filter(|_| self.owes_undo(at)) {
                let last: &mut u64 = newest.entry(lock.as_str()).or_default();
                *last = task.asked_at.max(*last);
            }
        }
        newest
    }

    fn must_go(&self, at: usize) -> bool {
        self.order.is_some() || self.closing(at) || self.tasks[at].is_left_out()
    }

    /// Whether, while some task is being done, it is one that is taken back together with this.
    fn part_is_moving(&self, at: usize) -> bool {
        let scope = self.plan.tasks()[at].scope.and_then(|s| self.plan.scopes().get(s));
        let in_scope = scope.is_some_and(|s| s.tasks.iter().any(|t| self.tasks[*t].is_doing()));
        self.order.is_some() || in_scope
    }
}
