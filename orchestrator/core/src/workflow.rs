//! The state of a workflow: the fold of its events, and what can be read from it.
//!
//! Nothing here decides; [`decide`](crate::decide()) does. Nothing here is stored but what the
//! events said: who is ready, who holds a lock, what is to be undone is derived every time.

mod apply;
mod assignment;
mod back;
mod go;
mod moves;
mod slots;
mod task;
mod why;

use std::{collections::BTreeMap, fmt, sync::Arc};

use deadelus_proto::{Direction, TaskId, TaskKey, WorkflowId, pb};

use crate::{
    command::Command,
    event::{Attempt, Ending, Gate, TakeBackCause},
    fork::Origin,
    plan::{Approval, CheckedPlan, CheckedScope, CheckedTask, OnFailure},
};

pub use apply::Impossible;
pub use assignment::NotInFlight;
pub use back::Residue;
pub(crate) use slots::Awaits;
pub use slots::{Claim, NoSlot, Shared, Slot};
pub use task::{EffectState, InFlight, Progress, Skip, TaskState, TaskStatus};
pub use why::Wait;

/// One execution of one plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    id: WorkflowId,
    plan: Arc<CheckedPlan>,
    submitted_by: String,
    traceparent: String,
    forked_from: Option<Origin>,
    shared: Shared,
    accepted_unix_ms: i64,
    /// Shared with the states before: a decision copies what it changes, not the whole plan.
    tasks: Vec<Arc<TaskState>>,
    scopes: Vec<ScopeState>,
    gates: BTreeMap<Gate, GateState>,
    order: Option<TakeBack>,
    pause: Option<Pause>,
    ended: Option<(Ending, String)>,
    last_unix_ms: i64,
    events: u64,
}

/// The order to take a whole workflow back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeBack {
    /// Why it came to this.
    pub cause: TakeBackCause,
    /// Who ordered it; empty after a failure.
    pub by: String,
    /// In words.
    pub reason: String,
}

/// Nothing more starts before a person has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The person who paused it; empty where the tries of a task are used up.
    pub by: String,
    /// In words.
    pub reason: String,
    /// Since when, in milliseconds since the epoch.
    pub since_unix_ms: i64,
}

/// What is known of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateState {
    /// Why a person must look.
    pub reason: String,
    /// Since when it waits, in milliseconds since the epoch.
    pub since_unix_ms: i64,
    /// Who alone may answer; empty for anybody.
    pub asks: String,
    /// When it is answered without anybody, in milliseconds since the epoch.
    pub deadline_unix_ms: Option<i64>,
    /// Whether nobody answered in time, and somebody else is asked since.
    pub is_escalated: bool,
    /// What a person said: approved, by whom, why.
    pub decision: Option<(bool, String, String)>,
}

impl Pause {
    fn new(by: &str, reason: &str, since_unix_ms: i64) -> Self {
        Self { by: by.to_owned(), reason: reason.to_owned(), since_unix_ms }
    }
}

impl GateState {
    fn new(reason: &str, asks: &str, deadline_unix_ms: Option<i64>, since_unix_ms: i64) -> Self {
        let (reason, asks) = (reason.to_owned(), asks.to_owned());
        let (is_escalated, decision) = (false, None);
        Self { reason, since_unix_ms, asks, deadline_unix_ms, is_escalated, decision }
    }

    /// Somebody else is asked; by nobody, if the first did not answer in time.
    fn delegate(&mut self, to: &str, by: &str, deadline_unix_ms: Option<i64>) {
        to.clone_into(&mut self.asks);
        self.deadline_unix_ms = deadline_unix_ms;
        self.is_escalated |= by.is_empty();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScopeState {
    Open,
    Closing,
    Closed,
}

/// Where a workflow stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waits for a person to approve the plan.
    Approval,
    /// Goes forward.
    Running,
    /// Starts nothing more before a person has decided.
    Paused,
    /// Is being taken back.
    TakingBack,
    /// An undo failed; a person is needed.
    Stuck,
    /// Is over.
    Ended(Ending),
}

/// What a worker is told about a task it has in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Continue,
    /// Stop, take back what was done, report.
    Cancel,
    /// Nobody waits for this attempt any more.
    Stale,
}

impl Workflow {
    /// Its id.
    pub fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// The plan it executes.
    pub fn plan(&self) -> &Arc<CheckedPlan> {
        &self.plan
    }

    /// Who started it.
    pub fn submitted_by(&self) -> &str {
        &self.submitted_by
    }

    /// W3C traceparent of its root; may be empty.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// Where it was forked from.
    pub fn forked_from(&self) -> Option<&Origin> {
        self.forked_from.as_ref()
    }

    /// When it was accepted, in milliseconds since the epoch.
    pub fn accepted_unix_ms(&self) -> i64 {
        self.accepted_unix_ms
    }

    /// When its last event was decided, in milliseconds since the epoch.
    pub fn last_unix_ms(&self) -> i64 {
        self.last_unix_ms
    }

    /// How many events it is the fold of.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        if let Some((ending, _)) = &self.ended {
            Status::Ended(*ending)
        } else if self.tasks.iter().any(|t| matches!(t.effect, EffectState::Stuck(_))) {
            Status::Stuck
        } else if self.order.is_some() {
            Status::TakingBack
        } else if self.pause.is_some() {
            Status::Paused
        } else if self.awaits_approval() {
            Status::Approval
        } else {
            Status::Running
        }
    }

    /// How it ended, and why in words.
    pub fn ended(&self) -> Option<(Ending, &str)> {
        self.ended.as_ref().map(|(ending, reason)| (*ending, reason.as_str()))
    }

    /// The order to take it back, once there is one.
    pub fn take_back(&self) -> Option<&TakeBack> {
        self.order.as_ref()
    }

    /// Why nothing more starts, while that is so.
    pub fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }

    /// Every task with its state, in the plan's order.
    pub fn tasks(&self) -> impl Iterator<Item = (&CheckedTask, &TaskState)> {
        self.plan.tasks().iter().zip(self.tasks.iter().map(Arc::as_ref))
    }

    /// One task with its state.
    pub fn task(&self, id: &TaskId) -> Option<(&CheckedTask, &TaskState)> {
        let at = self.plan.position(id)?;
        self.plan.tasks().get(at).zip(self.tasks.get(at).map(Arc::as_ref))
    }

    /// Every gate that was ever opened.
    pub fn gates(&self) -> &BTreeMap<Gate, GateState> {
        &self.gates
    }

    /// The gates that wait for a person now.
    pub fn open_gates(&self) -> impl Iterator<Item = (&Gate, &GateState)> {
        self.gates.iter().filter(|(gate, _)| self.is_open(gate))
    }

    /// Everything that is still to be done, whether or not it was said before: a task for every
    /// request nobody has answered, and the earliest moment at which time alone changes something.
    pub fn outstanding(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        for (spec, task) in self.tasks() {
            for (direction, number, _) in task.in_flight() {
                let attempt = Attempt { task: spec.id.clone(), direction, number };
                commands.push(Command::Dispatch(self.key(attempt)));
            }
        }
        commands.extend(self.wakes_at().map(Command::WakeAt));
        commands
    }

    /// The earliest moment at which time alone changes something, in milliseconds since the epoch.
    pub fn wakes_at(&self) -> Option<i64> {
        let in_flight = self.tasks.iter().flat_map(|task| task.in_flight());
        let deadlines = in_flight.map(|(_, _, in_flight)| in_flight.deadline_unix_ms);
        let forward = if self.pause.is_some() { 0..0 } else { 0..self.tasks.len() };
        let retries = forward.filter_map(|at| {
            let due = self.tasks[at].retry_due()?;
            (!self.awaits(at, Direction::Do)).then_some(due)
        });
        let gates = self.gate_deadlines().map(|(_, deadline)| deadline);
        deadlines.chain(retries).chain(self.undo_retries_due()).chain(gates).min()
    }

    /// What a worker that has this attempt in hand is to do.
    pub fn verdict(&self, key: &TaskKey) -> Verdict {
        let Some(at) = self.plan.position(&key.task) else { return Verdict::Stale };
        let asked = match key.direction {
            Direction::Do => self.tasks[at].attempt,
            Direction::Undo => self.tasks[at].undo_attempt,
        };
        // Another replica has asked for it since this state was read.
        if key.workflow == self.id && key.attempt > asked {
            return Verdict::Continue;
        }
        let current = self.tasks[at]
            .in_flight()
            .any(|(direction, number, _)| direction == key.direction && number == key.attempt);
        if !current || key.workflow != self.id {
            Verdict::Stale
        } else if key.direction == Direction::Do && (self.order.is_some() || self.closing(at)) {
            Verdict::Cancel
        } else {
            Verdict::Continue
        }
    }

    /// The name under which an attempt travels.
    pub fn key(&self, attempt: Attempt) -> TaskKey {
        let Attempt { task, direction, number } = attempt;
        TaskKey { workflow: self.id.clone(), task, direction, attempt: number }
    }

    /// The moment of a decision taken now: clocks of replicas differ, the log's time never runs
    /// backwards.
    pub fn moment(&self, now_ms: i64) -> i64 {
        now_ms.max(self.last_unix_ms)
    }

    /// The gates that do not wait for ever, and until when. While it is paused their time stands
    /// still: nobody is told no who was told to wait.
    pub(crate) fn gate_deadlines(&self) -> impl Iterator<Item = (&Gate, i64)> {
        let timed =
            self.gates.iter().filter_map(|(gate, state)| Some((gate, state.deadline_unix_ms?)));
        timed.filter(|(gate, _)| self.pause.is_none() && self.is_open(gate))
    }

    pub(crate) fn at(&self, at: usize) -> (&CheckedTask, &TaskState) {
        (&self.plan.tasks()[at], &self.tasks[at])
    }

    /// Scopes that have failed and are not yet taken back.
    pub(crate) fn closing_scopes(&self) -> Vec<usize> {
        let scopes = self.scopes.iter().enumerate();
        scopes.filter(|(_, s)| **s == ScopeState::Closing).map(|(at, _)| at).collect()
    }

    pub(crate) fn awaits_approval(&self) -> bool {
        self.plan.plan().approval == Approval::Required
            && self.gates.get(&Gate::Plan).is_none_or(|g| g.decision.is_none())
    }

    pub(crate) fn is_open(&self, gate: &Gate) -> bool {
        let undecided = self.gates.get(gate).is_some_and(|g| g.decision.is_none());
        let waits = match gate {
            Gate::Plan => true,
            Gate::Task(id) => {
                let at = self.plan.position(id);
                at.is_some_and(|at| {
                    !self.closing(at) && self.tasks[at].progress == Progress::Waiting
                })
            }
        };
        undecided && waits && self.order.is_none() && self.ended.is_none()
    }

    /// Whether the task's scope has failed.
    pub(crate) fn closing(&self, at: usize) -> bool {
        self.scope_state(at).is_some_and(|s| s != ScopeState::Open)
    }

    fn scope_state(&self, at: usize) -> Option<ScopeState> {
        self.plan.tasks()[at].scope.map(|scope| self.scopes[scope])
    }

    /// Per scope: whether nothing of it can change any more, as those outside see it.
    pub(crate) fn scopes_over(&self) -> Vec<bool> {
        let settled =
            |scope: &CheckedScope| scope.tasks.iter().all(|t| self.tasks[*t].is_settled());
        let states = self.plan.scopes().iter().zip(&self.scopes);
        let over = states.map(|(scope, state)| match state {
            ScopeState::Closed => true,
            ScopeState::Closing => false,
            ScopeState::Open => settled(scope),
        });
        over.collect()
    }

    /// Whether everything a task stands on has settled for good.
    pub(crate) fn ground_is_firm(&self, at: usize, scopes_over: &[bool]) -> bool {
        let own = self.plan.tasks()[at].scope;
        self.plan.tasks()[at].needs.iter().all(|need| {
            let scope = self.plan.tasks()[*need].scope.filter(|s| Some(*s) != own);
            let whole = scope.filter(|s| self.plan.scopes()[*s].on_failure == OnFailure::Continue);
            let settled = self.tasks[*need].is_settled() && !self.owes_undo(*need);
            settled && whole.is_none_or(|scope| scopes_over[scope])
        })
    }

    /// Whether a task is done and stays so: what its scope takes back does not count.
    pub(crate) fn is_done(&self, at: usize) -> bool {
        let taken_back = self.closing(at) && self.plan.tasks()[at].effect.changes();
        matches!(self.tasks[at].progress, Progress::Done(_)) && !taken_back
    }

    /// Every lock that is held, with the position of its holder. None where they are shared with other
    /// workflows: then who has the slot has the lock.
    pub(crate) fn held_locks(&self) -> BTreeMap<&str, usize> {
        if self.shared.locks {
            return BTreeMap::new();
        }
        let tasks = self.plan.tasks().iter().zip(&self.tasks).enumerate();
        let holders = tasks.filter(|(_, (_, task))| task.holds_locks());
        holders
            .flat_map(|(at, (spec, _))| spec.locks.iter().map(move |l| (l.as_str(), at)))
            .collect()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approval => "awaits approval",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::TakingBack => "taking back",
            Self::Stuck => "stuck",
            Self::Ended(ending) => ending.as_str(),
        })
    }
}

impl From<Verdict> for pb::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Continue => Self::Continue,
            Verdict::Cancel => Self::Cancel,
            Verdict::Stale => Self::Stale,
        }
    }
}
