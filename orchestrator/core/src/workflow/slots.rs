//! Slots: what a task holds that tasks of other workflows want, too.
//!
//! A lock is a resource with one slot, a limit of n one with n. Nothing is counted: a task holds its
//! slots while an attempt of it is in flight, forward or back, and that is read from the state. Between
//! two tries it keeps its locks if something of it may stand: half of a change is nobody else's to find.
//! Who has which slot is the shell's to find out; here is said who wants some ([`Claim`]), and a task
//! that wants some is asked for once the shell has said that it has them all.

use std::{collections::BTreeSet, fmt, str::FromStr};

use deadelus_proto::{Direction, TaskKey};

use super::{EffectState, Progress, Workflow};
use crate::{event::Attempt, limits::PRIORITY_STEP_MS};

/// What is shared between workflows, as the shell knows it when one is accepted. What is limited
/// later does not concern it any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// A lock excludes the tasks of every workflow, not only its own.
    pub locks: bool,
    /// Limits there are: `specialists.db`, `targets.shop`, `capabilities.db.migrate`.
    pub limited: BTreeSet<String>,
}

/// A resource of which a task holds a slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Of a lock: the only one.
    Lock(String),
    /// Of a limit, by its name in the configuration.
    Limit(String),
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(name) => write!(f, "lock {name}"),
            Self::Limit(name) => write!(f, "limit {name}"),
        }
    }
}

/// Neither a lock's nor a limit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no slot: `lock NAME` or `limit NAME`")]
pub struct NoSlot(String);

impl FromStr for Slot {
    type Err = NoSlot;

    fn from_str(text: &str) -> Result<Self, NoSlot> {
        match text.split_once(' ') {
            Some(("lock", name)) => Ok(Self::Lock(name.to_owned())),
            Some(("limit", name)) => Ok(Self::Limit(name.to_owned())),
            Some(_) | None => Err(NoSlot(crate::shown(text))),
        }
    }
}

/// A task that waits for its slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Awaits {
    pub(crate) direction: Direction,
    /// The attempt that will start.
    pub(crate) number: u32,
    /// The number of the event that said so: who waits once more has another.
    pub(crate) ticket: u64,
    pub(crate) since_unix_ms: i64,
}

/// A task that has slots, or wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The attempt that has them, or starts once it has.
    pub key: TaskKey,
    /// All of them, in the one order in which everybody takes them: no two can wait for each other.
    pub slots: Vec<Slot>,
    /// What names this wait; none for what is in flight and has them.
    pub ticket: Option<u64>,
    /// Since when, in milliseconds since the epoch.
    pub since_unix_ms: i64,
    /// Who waits is served in this order, the least first: by age, and a step of priority is as good
    /// as [`PRIORITY_STEP_MS`] of it.
    pub rank_ms: i64,
}

impl Claim {
    /// The same without the slots that the same task still claims.
    #[must_use]
    pub fn without(&self, claims: &[Self]) -> Self {
        let mut rest = self.clone();
        for kept in claims.iter().filter(|kept| kept.key.is_same_task(&self.key)) {
            rest.slots.retain(|slot| !kept.slots.contains(slot));
        }
        rest
    }
}

impl Workflow {
    /// The slots a task needs, there and back: an undo needs what its do needs.
    pub(crate) fn slots(&self, at: usize) -> BTreeSet<Slot> {
        let (spec, shared) = (&self.plan.tasks()[at], &self.shared);
        let locks = spec.locks.iter().filter(|_| shared.locks).cloned().map(Slot::Lock);
        let mut slots: BTreeSet<Slot> = locks.collect();
        if !shared.limited.is_empty() {
            let limits = [
                format!("specialists.{}", spec.does.specialist()),
                format!("targets.{}", spec.target),
                format!("capabilities.{}", spec.does),
            ];
            let limits = limits.into_iter().filter(|limit| shared.limited.contains(limit));
            slots.extend(limits.map(Slot::Limit));
        }
        slots
    }

    /// Everything of it that has slots or wants them.
    pub fn claims(&self) -> Vec<Claim> {
        if !self.has_slots() {
            return vec![];
        }
        let mut claims = self.waiting_claims();
        let between = (0..self.tasks.len()).filter_map(|at| self.claim_between_tries(at, &claims));
        let between: Vec<Claim> = between.collect();
        claims.extend(between);
        for (at, (spec, task)) in self.tasks().enumerate() {
            for (direction, number, in_flight) in task.in_flight() {
                let attempt = Attempt { task: spec.id.clone(), direction, number };
                claims.extend(self.claim(at, attempt, None, in_flight.since_unix_ms));
            }
        }
        claims
    }

    /// Whether it has nothing to do with these slots, neither has them nor wants them.
    pub fn is_done_with(&self, key: &TaskKey) -> bool {
        self.ended.is_some() || !self.claims().iter().any(|claim| claim.key.is_same_task(key))
    }

    /// The position of the task that waits under this ticket and may start once it has its slots.
    pub(crate) fn awaited(&self, attempt: &Attempt, ticket: u64) -> Option<usize> {
        let at = self.plan.position(&attempt.task)?;
        let waits = self.awaiting(at).is_some_and(|awaits| {
            let named = (awaits.direction, awaits.number, awaits.ticket);
            named == (attempt.direction, attempt.number, ticket)
        });
        let wanted = waits && self.goes_on(at, attempt.direction) && self.locks_are_free(at);
        wanted.then_some(at)
    }

    /// Whether any of its tasks ever needs a slot.
    fn has_slots(&self) -> bool {
        let locks = self.shared.locks && self.plan.has_locks();
        locks || !self.shared.limited.is_empty()
    }

    /// Whether a task waits for the slots of its next attempt in this direction.
    pub(crate) fn awaits(&self, at: usize, direction: Direction) -> bool {
        self.awaiting(at).is_some_and(|awaits| awaits.direction == direction)
    }

    /// Whether a task has to wait for slots before its next attempt.
    pub(crate) fn needs_slots(&self, at: usize) -> bool {
        !self.slots(at).is_empty()
    }

    pub(super) fn waiting_claims(&self) -> Vec<Claim> {
        let waits = (0..self.tasks.len()).filter_map(|at| {
            let awaits = self.awaiting(at)?;
            let (direction, number) = (awaits.direction, awaits.number);
            let attempt = Attempt { task: self.plan.tasks()[at].id.clone(), direction, number };
            self.goes_on(at, direction)
                .then(|| self.claim(at, attempt, Some(awaits.ticket), awaits.since_unix_ms))?
        });
        waits.collect()
    }

    /// The locks of a task that waits for its next try, or for a person, and may stand half-way. It goes
    /// before everybody who waits.
    fn claim_between_tries(&self, at: usize, waiting: &[Claim]) -> Option<Claim> {
        let (spec, task) = self.at(at);
        if !task.stands() || !task.holds_locks() || task.in_flight().next().is_some() {
            return None;
        }
        let (direction, number) = match self.owes_undo(at) {
            true => (Direction::Undo, task.undo_attempt + 1),
            false => (Direction::Do, task.attempt + 1),
        };
        let attempt = Attempt { task: spec.id.clone(), direction, number };
        let mut claim = self.claim(at, attempt, None, self.accepted_unix_ms())?;
        claim.slots.retain(|slot| matches!(slot, Slot::Lock(_)));
        let asks = waiting.iter().any(|other| other.key.is_same_task(&claim.key));
        (!asks && !claim.slots.is_empty()).then_some(claim)
    }

    fn claim(
        &self,
        at: usize,
        attempt: Attempt,
        ticket: Option<u64>,
        since_unix_ms: i64,
    ) -> Option<Claim> {
        let slots: Vec<Slot> = self.slots(at).into_iter().collect();
        let earlier = i64::from(self.plan.plan().priority).saturating_mul(PRIORITY_STEP_MS);
        let rank_ms = since_unix_ms.saturating_sub(earlier);
        let key = self.key(attempt);
        (!slots.is_empty()).then_some(Claim { key, slots, ticket, since_unix_ms, rank_ms })
    }

    /// What a task waits for, if its state has not gone on since.
    fn awaiting(&self, at: usize) -> Option<&Awaits> {
        let task = &self.tasks[at];
        let awaits = task.awaits.as_deref()?;
        let still = match awaits.direction {
            Direction::Do => {
                let waits = matches!(task.progress, Progress::Waiting | Progress::Again { .. });
                waits && awaits.number == task.attempt + 1
            }
            Direction::Undo => {
                let stands =
                    matches!(task.effect, EffectState::Stands | EffectState::UndoAgain { .. });
                stands && awaits.number == task.undo_attempt + 1
            }
        };
        still.then_some(awaits)
    }

    /// Whether no task of this workflow is in flight with a lock of this one. Where locks are shared
    /// that is so for whoever has their slots; it costs nothing to look.
    fn locks_are_free(&self, at: usize) -> bool {
        let wanted = &self.plan.tasks()[at].locks;
        let mut in_flight = self.tasks().filter(|(_, task)| task.in_flight().next().is_some());
        in_flight.all(|(spec, _)| spec.locks.is_disjoint(wanted))
    }

    fn goes_on(&self, at: usize, direction: Direction) -> bool {
        let goes_on = match direction {
            Direction::Do => {
                self.order.is_none()
                    && self.pause.is_none()
                    && !self.awaits_approval()
                    && !self.closing(at)
            }
            Direction::Undo => self.undoable().contains(&at),
        };
        goes_on && self.ended.is_none()
    }
}
