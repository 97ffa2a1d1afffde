//! What happened: the log of a workflow is a list of these, and its state is their fold.

use std::{fmt, sync::Arc};

use deadelus_proto::{Direction, Done, Failure, TaskId, Undo};

use crate::{
    fork::{Kept, Origin},
    plan::{CheckedPlan, PLAN_GATE},
    workflow::Shared,
};

/// One fact about a workflow, decided once and never taken back.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The first event: a checked plan is to be executed.
    Accepted {
        /// With everything that executing it takes.
        plan: Arc<CheckedPlan>,
        /// Who started it.
        submitted_by: String,
        /// W3C traceparent of the workflow's root; may be empty.
        traceparent: String,
        /// Where it was forked from.
        forked_from: Option<Origin>,
        /// What of it is shared with other workflows.
        shared: Shared,
    },
    /// The result of an earlier workflow, kept by its fork.
    TaskInherited {
        /// Which.
        task: TaskId,
        /// What is kept of it.
        result: Kept,
    },
    /// From here on it waits for a person.
    GateOpened {
        /// What waits.
        gate: Gate,
        /// Why a person must look.
        reason: String,
        /// Who alone may answer; empty for anybody.
        asks: String,
        /// When it is answered without anybody, in milliseconds since the epoch.
        deadline_unix_ms: Option<i64>,
    },
    /// Somebody else is asked from here on.
    GateDelegated {
        /// What waits.
        gate: Gate,
        /// Who alone may answer.
        to: String,
        /// Who says so; empty where nobody answered in time.
        by: String,
        /// Why.
        reason: String,
        /// When it is answered without anybody, in milliseconds since the epoch.
        deadline_unix_ms: Option<i64>,
    },
    /// A person has looked.
    GateDecided {
        /// What waited.
        gate: Gate,
        /// What the person said.
        approved: bool,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It starts once it has its slots: others may have them.
    SlotsAwaited {
        /// The try that will start.
        attempt: Attempt,
    },
    /// A specialist is asked; in flight until it answers or the deadline passes.
    TaskRequested {
        /// Which try of what.
        attempt: Attempt,
        /// When it is given up, in milliseconds since the epoch.
        deadline_unix_ms: i64,
    },
    /// The way back is known; the effect is about to begin.
    UndoRecorded {
        /// Of which task.
        task: TaskId,
        /// The attempt that recorded it.
        attempt: u32,
        /// The way back.
        undo: Undo,
        /// Who says so.
        told: Told,
    },
    /// It is done, or taken back.
    TaskDone {
        /// Which try of what.
        attempt: Attempt,
        /// With what came of it.
        done: Arc<Done>,
        /// Who says so.
        told: Told,
    },
    /// It is not.
    TaskFailed {
        /// Which try of what.
        attempt: Attempt,
        /// Why, and what is left behind.
        failure: Failure,
        /// Who says so.
        told: Told,
    },
    /// Nobody answered in time. It may still take effect.
    TaskTimedOut {
        /// Which try of what.
        attempt: Attempt,
    },
    /// It will be tried again.
    RetryScheduled {
        /// The try that will start.
        attempt: Attempt,
        /// When, in milliseconds since the epoch.
        not_before_unix_ms: i64,
    },
    /// It never starts, or is not tried again.
    TaskSkipped {
        /// Which.
        task: TaskId,
        /// The person who left it out; empty where the plan did.
        by: String,
        /// Why.
        reason: String,
    },
    /// Its tries are used up, and the plan wants a person to decide: the workflow pauses.
    TaskHeld {
        /// Which.
        task: TaskId,
        /// What failed.
        reason: String,
    },
    /// A person wants it tried again, with as many tries as before.
    TaskRetried {
        /// Which.
        task: TaskId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wants nothing more to start. What is in flight finishes, and taking back goes on.
    Paused {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It goes on, and what was held is tried again.
    Resumed {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A task of the scope has failed: nothing of it starts any more, its effects are taken back.
    ScopeClosing {
        /// Its id.
        scope: String,
        /// Why.
        reason: String,
    },
    /// Everything of the scope that took effect is taken back.
    ScopeClosed {
        /// Its id.
        scope: String,
    },
    /// The whole workflow is to be taken back.
    TakeBackOrdered {
        /// Why it came to this.
        cause: TakeBackCause,
        /// Who ordered it; empty after a failure.
        by: String,
        /// In words.
        reason: String,
    },
    /// A task that had been given up took effect after all.
    LateEffect {
        /// Which.
        task: TaskId,
        /// By which attempt.
        attempt: u32,
        /// Who says so.
        told: Told,
    },
    /// A person wants the failed undos tried again.
    StuckRetried {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person has taken a task back by hand.
    StuckResolved {
        /// Which.
        task: TaskId,
        /// Who.
        by: String,
        /// How.
        reason: String,
    },
    /// Nothing more follows, unless something took effect late or a person takes it all back.
    Ended {
        /// How.
        ending: Ending,
        /// In words.
        reason: String,
    },
}

/// One try at doing a task or taking it back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// Which task.
    pub task: TaskId,
    /// There or back.
    pub direction: Direction,
    /// From 1; only the orchestrator starts the next one.
    pub number: u32,
}

/// Who said something of a task, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The replica: `db-7f3a`; empty when the orchestrator itself says so.
    pub instance: String,
    /// When it began, in milliseconds since the epoch.
    pub begun_unix_ms: i64,
    /// When it spoke, in milliseconds since the epoch.
    pub reported_unix_ms: i64,
    /// Deliveries of the assignment so far.
    pub deliveries: u64,
}

/// A point where a workflow waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    /// The approval of the whole plan.
    Plan,
    /// Before a task.
    Task(TaskId),
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan => f.write_str(PLAN_GATE),
            Self::Task(task) => task.fmt(f),
        }
    }
}

impl std::str::FromStr for Gate {
    type Err = deadelus_proto::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == PLAN_GATE { Ok(Self::Plan) } else { text.parse().map(Self::Task) }
    }
}

/// Why a whole workflow is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeBackCause {
    /// A task failed for good.
    Failure,
    /// A person cancelled it.
    Cancel,
    /// A person wants a finished workflow undone.
    Undo,
}

/// How a workflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every task is done, was rightly skipped, or failed in a scope that was taken back.
    Done,
    /// Everything that took effect is taken back.
    Undone,
    /// A person cancelled it, and everything that took effect is taken back.
    Cancelled,
    /// A person said no before anything began.
    Rejected,
}

impl Ending {
    /// `done`, `undone`, `cancelled`, `rejected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
