//! The state of one task: how far doing it has come, and what stands in the world because of it.

use std::{fmt, sync::Arc};

use deadelus_proto::{Aftermath, Direction, Done, Failure, Undo};

use super::{Awaits, go::Heard};
use crate::event::Told;

/// What is known of one task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskState {
    /// How far doing it has come.
    pub progress: Progress,
    /// What stands in the world because of it.
    pub effect: EffectState,
    /// The way back, as the first attempt recorded it: the first picture of before is the true one.
    pub undo: Option<Undo>,
    /// The last attempt at doing it that was asked for; 0 before the first.
    pub attempt: u32,
    /// The last attempt at taking it back that was asked for; 0 before the first.
    pub undo_attempt: u32,
    /// The number of the event that last asked for doing it: who came later has a higher one.
    pub(super) asked_at: u64,
    /// Its result is an earlier workflow's, and so is its effect.
    pub is_inherited: bool,
    /// Who spoke last of doing it.
    pub told: Told,
    /// The first attempt that counts against the tries it has.
    pub(super) tries_from: u32,
    /// The first undo attempt that counts against the effect that stands now.
    pub(super) undo_from: u32,
    /// The slots it waits for; boxed, because most tasks never do.
    pub(super) awaits: Option<Box<Awaits>>,
    /// What was heard of everybody who had a go at it.
    pub(super) heard: Heard,
}

/// How far doing a task has come.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Progress {
    /// Not begun.
    #[default]
    Waiting,
    /// A specialist was asked and has not answered.
    Doing(InFlight),
    /// An attempt failed; the next one waits for its time.
    Again {
        /// What failed.
        failure: Failure,
        /// In milliseconds since the epoch.
        not_before_unix_ms: i64,
    },
    /// It was done.
    Done(Arc<Done>),
    /// Its tries are used up; a person decides.
    Held(Failure),
    /// It was given up.
    Failed(Failure),
    /// It never starts, or is not tried again.
    Skipped(Skip),
}

/// Why a task is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// The person who left it out; empty where the plan did.
    pub by: String,
    /// In words.
    pub reason: String,
}

/// What stands in the world because of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum EffectState {
    /// Nothing, as far as is known.
    #[default]
    None,
    /// Something, or it must be assumed.
    Stands,
    /// It is being taken back.
    Undoing(InFlight),
    /// An attempt at taking it back failed; the next one waits for its time.
    UndoAgain {
        /// What failed.
        failure: Failure,
        /// In milliseconds since the epoch.
        not_before_unix_ms: i64,
    },
    /// It is taken back, except for what is listed.
    Undone(Vec<String>),
    /// It could not be taken back; a person is needed.
    Stuck(Failure),
}

/// A request that nobody has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// When it was asked, in milliseconds since the epoch.
    pub since_unix_ms: i64,
    /// When it is given up, in milliseconds since the epoch.
    pub deadline_unix_ms: i64,
}

/// Where a task stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it; Progress and EffectState explain")]
pub enum TaskStatus {
    Waiting,
    Running,
    Retrying,
    Held,
    Done,
    Failed,
    Skipped,
    Undoing,
    Undone,
    Stuck,
}

impl TaskState {
    /// Where it stands, in one word.
    pub fn status(&self) -> TaskStatus {
        match (&self.effect, &self.progress) {
            (_, Progress::Doing(_)) => TaskStatus::Running,
            (_, Progress::Again { .. }) => TaskStatus::Retrying,
            (_, Progress::Held(_)) => TaskStatus::Held,
            (EffectState::Stuck(_), _) => TaskStatus::Stuck,
            (EffectState::Undoing(_) | EffectState::UndoAgain { .. }, _) => TaskStatus::Undoing,
            (EffectState::Undone(_), Progress::Done(_)) => TaskStatus::Undone,
            (_, Progress::Waiting) => TaskStatus::Waiting,
            (_, Progress::Done(_)) => TaskStatus::Done,
            (_, Progress::Failed(_)) => TaskStatus::Failed,
            (_, Progress::Skipped(_)) => TaskStatus::Skipped,
        }
    }

    /// What it reported when it was done.
    pub fn done(&self) -> Option<&Done> {
        match &self.progress {
            Progress::Done(done) => Some(done),
            Progress::Waiting
            | Progress::Doing(_)
            | Progress::Again { .. }
            | Progress::Held(_)
            | Progress::Failed(_)
            | Progress::Skipped(_) => None,
        }
    }

    /// Whether doing it is over, one way or another.
    pub fn is_settled(&self) -> bool {
        match self.progress {
            Progress::Done(_) | Progress::Failed(_) | Progress::Skipped(_) => true,
            Progress::Waiting | Progress::Doing(_) | Progress::Again { .. } | Progress::Held(_) => {
                false
            }
        }
    }

    /// Whether a person goes on without it. Nothing of it stays, and nothing waits for it.
    pub fn is_left_out(&self) -> bool {
        matches!(&self.progress, Progress::Skipped(skip) if !skip.by.is_empty())
    }

    /// Whether something of it is, or must be assumed to be, in the world.
    pub(crate) fn stands(&self) -> bool {
        match self.effect {
            EffectState::None | EffectState::Undone(_) => false,
            EffectState::Stands
            | EffectState::Undoing(_)
            | EffectState::UndoAgain { .. }
            | EffectState::Stuck(_) => true,
        }
    }

    /// The requests that nobody has answered.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (Direction, u32, InFlight)> {
        let doing = match self.progress {
            Progress::Doing(in_flight) => Some((Direction::Do, self.attempt, in_flight)),
            Progress::Waiting
            | Progress::Again { .. }
            | Progress::Held(_)
            | Progress::Done(_)
            | Progress::Failed(_)
            | Progress::Skipped(_) => None,
        };
        let undoing = match self.effect {
            EffectState::Undoing(at) => Some((Direction::Undo, self.undo_attempt, at)),
            EffectState::None
            | EffectState::Stands
            | EffectState::UndoAgain { .. }
            | EffectState::Undone(_)
            | EffectState::Stuck(_) => None,
        };
        doing.into_iter().chain(undoing)
    }

    pub(crate) fn is_doing(&self) -> bool {
        matches!(self.progress, Progress::Doing(_))
    }

    /// When the next attempt at doing it is due, in milliseconds since the epoch.
    pub(super) fn retry_due(&self) -> Option<i64> {
        match self.progress {
            Progress::Again { not_before_unix_ms, .. } => Some(not_before_unix_ms),
            Progress::Waiting
            | Progress::Doing(_)
            | Progress::Held(_)
            | Progress::Done(_)
            | Progress::Failed(_)
            | Progress::Skipped(_) => None,
        }
    }

    /// When the next attempt at taking it back is due, in milliseconds since the epoch.
    pub(super) fn undo_retry_due(&self) -> Option<i64> {
        match self.effect {
            EffectState::UndoAgain { not_before_unix_ms, .. } => Some(not_before_unix_ms),
            EffectState::None
            | EffectState::Stands
            | EffectState::Undoing(_)
            | EffectState::Undone(_)
            | EffectState::Stuck(_) => None,
        }
    }

    /// While it is done, from the first request until it settles; while it is taken back, only in
    /// flight, because what took effect late may have to be taken back before it.
    pub(crate) fn holds_locks(&self) -> bool {
        let held = matches!(self.progress, Progress::Held(_));
        held || self.in_flight().next().is_some() || self.retry_due().is_some()
    }

    /// Tries at doing it since a person last wanted it tried again.
    pub(crate) fn tries(&self) -> u32 {
        (self.attempt + 1).saturating_sub(self.tries_from.max(1))
    }

    /// Tries of the present undo so far.
    pub(crate) fn undo_tries(&self) -> u32 {
        (self.undo_attempt + 1).saturating_sub(self.undo_from.max(1))
    }

    /// Whether the success of whoever speaks was already counted.
    pub(crate) fn has_landed(&self, attempt: u32, told: &Told) -> bool {
        self.heard.of(attempt, told).is_some_and(|go| go.landed)
    }

    /// Whether a failure leaves more behind than what was heard before of whoever speaks.
    pub(crate) fn leaves_more(&self, attempt: u32, told: &Told, left: Aftermath) -> bool {
        let begun = self.heard.has_begun(attempt);
        let weight = |left: Aftermath| match left {
            Aftermath::Untouched | Aftermath::TakenBack => 0,
            Aftermath::Unknown => u8::from(begun),
            Aftermath::Partial => 2,
        };
        let before = self.heard.of(attempt, told).and_then(|go| go.failed);
        weight(left) > before.map_or(0, weight)
    }

    /// Whether it is no news that the effect of who speaks is about to begin: they said so before, or
    /// that it is over.
    pub(crate) fn has_announced(&self, attempt: u32, told: &Told) -> bool {
        let known = self.undo.is_some();
        self.heard.of(attempt, told).is_some_and(|go| go.announced || (known && go.is_over()))
    }

    /// Whether this undo attempt was made against the effect that stands now.
    pub(crate) fn undo_counts(&self, attempt: u32) -> bool {
        (self.undo_from.max(1)..=self.undo_attempt).contains(&attempt)
    }
}

impl TaskStatus {
    /// `waiting`, `running`, `retrying`, `done`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Stuck => "stuck",
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
