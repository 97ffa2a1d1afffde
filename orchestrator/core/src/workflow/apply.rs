//! The fold: every legal move of a workflow, every other an error with a name.

use std::{collections::BTreeMap, sync::Arc};

use deadelus_proto::{Done, TaskId, WorkflowId};

use super::{
    GateState, InFlight, Pause, Progress, ScopeState, Skip, TakeBack, TaskState, Workflow,
};
use crate::{
    event::{Attempt, Ending, Event, Gate, Told},
    fork::Kept,
    plan::CheckedTask,
};

/// An event that cannot follow on this state. The log is damaged or the decider has a bug; either
/// way nothing more may be done before a person has looked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot follow: {why}")]
pub struct Impossible {
    /// The event, by name, with its task or scope.
    pub event: String,
    /// What stands against it.
    pub why: String,
}

impl Impossible {
    fn new(event: impl ToString, why: impl ToString) -> Self {
        Self { event: event.to_string(), why: why.to_string() }
    }
}

impl Workflow {
    /// The workflow that an `Accepted` event begins.
    ///
    /// # Errors
    /// Every other event.
    pub fn begin(id: WorkflowId, event: &Event, at_unix_ms: i64) -> Result<Self, Impossible> {
        let Event::Accepted { plan, submitted_by, traceparent, forked_from, shared } = event else {
            return Err(Impossible::new(format!("{event:?}"), "nothing was accepted before"));
        };
        Ok(Self {
            id,
            tasks: vec![Arc::default(); plan.tasks().len()],
            scopes: vec![ScopeState::Open; plan.scopes().len()],
            plan: Arc::clone(plan),
            submitted_by: submitted_by.clone(),
            traceparent: traceparent.clone(),
            forked_from: forked_from.clone(),
            shared: shared.clone(),
            accepted_unix_ms: at_unix_ms,
            gates: BTreeMap::new(),
            order: None,
            pause: None,
            ended: None,
            last_unix_ms: at_unix_ms,
            events: 1,
        })
    }

    /// Folds one event in. The state is unchanged when it is impossible.
    ///
    /// # Errors
    /// [`Impossible`] with the reason.
    pub fn apply(&mut self, event: &Event, at_unix_ms: i64) -> Result<(), Impossible> {
        let at = self.moment(at_unix_ms);
        match event {
            Event::Accepted { .. } => return Err(Impossible::new("Accepted", "it has begun")),
            Event::TaskInherited { task, result } => self.inherited(task, result)?,
            Event::GateOpened { gate, reason, asks, deadline_unix_ms } => {
                self.gate_opened(gate, GateState::new(reason, asks, *deadline_unix_ms, at))?;
            }
            Event::GateDelegated { gate, to, by, deadline_unix_ms, .. } => {
                let gate = self.waiting_gate("GateDelegated", gate)?;
                gate.delegate(to, by, *deadline_unix_ms);
            }
            Event::GateDecided { gate, approved, by, reason } => {
                let decision = (*approved, by.clone(), reason.clone());
                self.waiting_gate("GateDecided", gate)?.decision = Some(decision);
            }
            Event::SlotsAwaited { attempt } => self.slots_awaited(attempt, at)?,
            Event::TaskRequested { attempt, deadline_unix_ms: deadline } => {
                let in_flight = InFlight { since_unix_ms: at, deadline_unix_ms: *deadline };
                self.requested(attempt, in_flight)?;
            }
            Event::UndoRecorded { task, attempt, undo, told } => {
                let recorded = |t: &mut TaskState, _: &_| t.recorded(*attempt, undo, told);
                let again = self.moved("UndoRecorded", task, recorded)?;
                self.reopen(again);
            }
            Event::TaskDone { attempt, done, told } => self.task_done(attempt, done, told)?,
            Event::TaskFailed { attempt: a, failure, told } => {
                self.moved("TaskFailed", &a.task, |t, spec| t.failed_by(a, failure, told, spec))?;
            }
            Event::TaskTimedOut { attempt } => {
                self.moved("TaskTimedOut", &attempt.task, |t, spec| t.timed_out(attempt, spec))?;
            }
            Event::RetryScheduled { attempt, not_before_unix_ms } => {
                let not_before = *not_before_unix_ms;
                self.moved("RetryScheduled", &attempt.task, |t, _| t.retry(attempt, not_before))?;
            }
            Event::TaskSkipped { task, by, reason } => {
                let skip = Skip { by: by.clone(), reason: reason.clone() };
                self.moved("TaskSkipped", task, |t, _| t.skipped(skip))?;
                self.lift_pause();
            }
            Event::TaskHeld { task, reason } => self.held(task, reason, at)?,
            Event::TaskRetried { task, .. } => {
                self.moved("TaskRetried", task, |t, _| t.try_again(at))?;
                self.lift_pause();
            }
            Event::Paused { by, reason } => self.paused(Pause::new(by, reason, at))?,
            Event::Resumed { .. } => self.resumed(at)?,
            Event::ScopeClosing { scope, .. } => self.scope_closing(scope)?,
            Event::ScopeClosed { scope } => {
                self.move_scope(scope, ScopeState::Closing, ScopeState::Closed)?;
            }
            Event::TakeBackOrdered { cause, by, reason } => {
                let (by, reason) = (by.clone(), reason.clone());
                self.take_back_ordered(TakeBack { cause: *cause, by, reason })?;
            }
            Event::LateEffect { task, attempt, told } => {
                self.moved("LateEffect", task, |t, _| t.late_effect(*attempt, told))?;
                self.reopen(true);
            }
            Event::StuckRetried { .. } => self.each_task(TaskState::retry_undo),
            Event::StuckResolved { task, by, reason } => {
                self.moved("StuckResolved", task, |t, _| t.resolved(by, reason))?;
            }
            Event::Ended { ending, reason } => self.end(*ending, reason)?,
        }
        self.last_unix_ms = at;
        self.events += 1;
        Ok(())
    }

    fn inherited(&mut self, task: &TaskId, result: &Kept) -> Result<(), Impossible> {
        if self.forked_from.is_none() {
            return Err(Impossible::new("TaskInherited", "it is no fork"));
        }
        self.moved("TaskInherited", task, |t, _| t.inherited(result))
    }

    fn slots_awaited(&mut self, attempt: &Attempt, at: i64) -> Result<(), Impossible> {
        let ticket = self.events + 1;
        self.moved("SlotsAwaited", &attempt.task, |t, _| t.slots_awaited(attempt, ticket, at))
    }

    fn requested(&mut self, attempt: &Attempt, in_flight: InFlight) -> Result<(), Impossible> {
        let event = self.events + 1;
        let requested = |t: &mut TaskState, _: &_| t.requested(attempt, in_flight, event);
        self.moved("TaskRequested", &attempt.task, requested)
    }

    fn task_done(
        &mut self,
        attempt: &Attempt,
        done: &Arc<Done>,
        told: &Told,
    ) -> Result<(), Impossible> {
        self.moved("TaskDone", &attempt.task, |t, spec| t.done_by(attempt, done, told, spec))?;
        self.lift_pause();
        Ok(())
    }

    /// Whoever paused it before keeps the word.
    fn held(&mut self, task: &TaskId, reason: &str, at: i64) -> Result<(), Impossible> {
        self.moved("TaskHeld", task, |t, _| t.held())?;
        self.pause.get_or_insert_with(|| Pause::new("", reason, at));
        Ok(())
    }

    fn resumed(&mut self, at: i64) -> Result<(), Impossible> {
        if self.pause.take().is_none() {
            return Err(Impossible::new("Resumed", "it is not paused"));
        }
        let held = |t: &&mut Arc<TaskState>| matches!(t.progress, Progress::Held(_));
        self.tasks.iter_mut().filter(held).for_each(|t| _ = Arc::make_mut(t).try_again(at));
        Ok(())
    }

    fn scope_closing(&mut self, scope: &str) -> Result<(), Impossible> {
        let at = self.move_scope(scope, ScopeState::Open, ScopeState::Closing)?;
        let plan = Arc::clone(&self.plan);
        for task in &plan.scopes()[at].tasks {
            Arc::make_mut(&mut self.tasks[*task]).call_off_retry();
        }
        self.lift_pause();
        Ok(())
    }

    fn end(&mut self, ending: Ending, reason: &str) -> Result<(), Impossible> {
        if self.ended.is_some() {
            return Err(Impossible::new("Ended", "it has ended"));
        }
        self.ended = Some((ending, reason.to_owned()));
        self.pause = None;
        Ok(())
    }

    fn gate_opened(&mut self, gate: &Gate, state: GateState) -> Result<(), Impossible> {
        if let Gate::Task(id) = gate
            && self.plan.position(id).is_none()
        {
            return Err(Impossible::new(format!("GateOpened {gate}"), "no such task"));
        }
        if self.gates.contains_key(gate) {
            return Err(Impossible::new(format!("GateOpened {gate}"), "it was opened before"));
        }
        self.gates.insert(gate.clone(), state);
        Ok(())
    }

    fn waiting_gate(&mut self, event: &str, gate: &Gate) -> Result<&mut GateState, Impossible> {
        match self.gates.get_mut(gate) {
            Some(state) if state.decision.is_none() => Ok(state),
            Some(_) => Err(Impossible::new(format!("{event} {gate}"), "it is decided")),
            None => Err(Impossible::new(format!("{event} {gate}"), "it was never opened")),
        }
    }

    fn take_back_ordered(&mut self, order: TakeBack) -> Result<(), Impossible> {
        if self.order.is_some() {
            return Err(Impossible::new("TakeBackOrdered", "it is being taken back"));
        }
        self.order = Some(order);
        self.pause = None;
        self.ended = None;
        self.each_task(TaskState::call_off_retry);
        Ok(())
    }

    fn paused(&mut self, pause: Pause) -> Result<(), Impossible> {
        if self.order.is_some() || self.ended.is_some() {
            return Err(Impossible::new("Paused", "nothing starts any more"));
        }
        if self.pause.as_ref().is_some_and(|p| !p.by.is_empty()) {
            return Err(Impossible::new("Paused", "a person has paused it"));
        }
        self.pause = Some(pause);
        Ok(())
    }

    /// What no person has paused goes on as soon as nothing of it is held.
    fn lift_pause(&mut self) {
        let by_itself = self.pause.as_ref().is_some_and(|p| p.by.is_empty());
        if by_itself && !self.tasks.iter().any(|t| matches!(t.progress, Progress::Held(_))) {
            self.pause = None;
        }
    }

    fn move_scope(
        &mut self,
        scope: &str,
        from: ScopeState,
        to: ScopeState,
    ) -> Result<usize, Impossible> {
        let event = || format!("scope {scope:?} to {to:?}");
        let at = self.plan.scopes().iter().position(|s| s.id == scope);
        let at = at.ok_or_else(|| Impossible::new(event(), "no such scope"))?;
        if self.scopes[at] != from {
            return Err(Impossible::new(event(), format!("it is {:?}", self.scopes[at])));
        }
        self.scopes[at] = to;
        Ok(at)
    }

    fn moved<T>(
        &mut self,
        event: &str,
        id: &TaskId,
        step: impl FnOnce(&mut TaskState, &CheckedTask) -> Option<T>,
    ) -> Result<T, Impossible> {
        let impossible = |why: &str| Impossible::new(format!("{event} of {id}"), why);
        let at = self.plan.position(id).ok_or_else(|| impossible("no such task"))?;
        let task = Arc::make_mut(&mut self.tasks[at]);
        let was = (task.status(), task.attempt, task.undo_attempt);
        step(task, &self.plan.tasks()[at]).ok_or_else(|| {
            let (status, attempt, undo) = was;
            impossible(&format!("it is {status}, attempt {attempt}, undo attempt {undo}"))
        })
    }

    /// Rare moves that may concern every task.
    fn each_task(&mut self, step: fn(&mut TaskState)) {
        self.tasks.iter_mut().for_each(|task| step(Arc::make_mut(task)));
    }

    /// Something took effect after the end: what follows from it is still to be done.
    fn reopen(&mut self, reopens: bool) {
        if reopens {
            self.ended = None;
        }
    }
}
