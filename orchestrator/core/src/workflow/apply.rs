//! The fold: every legal move of a workflow, every other an error with a name.

use std::{collections::BTreeMap, sync::Arc};

use deadelus_proto::{
    Aftermath, Direction, Done, Effect, ErrorClass, Failure, TaskId, Undo, WorkflowId,
};

use super::{
    EffectState, GateState, InFlight, Pause, Progress, ScopeState, Skip, TakeBack, TaskState,
    Workflow,
};
use crate::{
    event::{Attempt, Event, Gate, Told},
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
        let Event::Accepted { plan, submitted_by, traceparent, forked_from } = event else {
            return Err(Impossible::new(format!("{event:?}"), "nothing was accepted before"));
        };
        Ok(Self {
            id,
            tasks: vec![TaskState::default(); plan.tasks().len()],
            scopes: vec![ScopeState::Open; plan.scopes().len()],
            plan: Arc::clone(plan),
            submitted_by: submitted_by.clone(),
            traceparent: traceparent.clone(),
            forked_from: forked_from.clone(),
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
            Event::GateOpened { gate, reason } => self.gate_opened(gate, reason, at)?,
            Event::GateDecided { gate, approved, by, reason } => {
                self.gate_decided(gate, (*approved, by.clone(), reason.clone()))?;
            }
            Event::TaskRequested { attempt, deadline_unix_ms } => {
                let deadline_unix_ms = *deadline_unix_ms;
                let in_flight = InFlight { since_unix_ms: at, deadline_unix_ms };
                self.moved("TaskRequested", &attempt.task, |t, _| t.requested(attempt, in_flight))?;
            }
            Event::UndoRecorded { task, attempt, undo } => {
                let reopens =
                    self.moved("UndoRecorded", task, |t, _| t.recorded(*attempt, undo))?;
                self.reopen(reopens);
            }
            Event::TaskDone { attempt, done, told } => {
                self.moved("TaskDone", &attempt.task, |t, spec| {
                    t.done_by(attempt, done, told, spec)
                })?;
                self.lift_pause();
            }
            Event::TaskFailed { attempt, failure, told } => {
                self.moved("TaskFailed", &attempt.task, |t, spec| {
                    t.failed_by(attempt, failure, told, spec)
                })?;
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
            Event::TaskInherited { task, result } => {
                if self.forked_from.is_none() {
                    return Err(Impossible::new("TaskInherited", "it is no fork"));
                }
                self.moved("TaskInherited", task, |t, _| t.inherited(result))?;
            }
            Event::TaskHeld { task, reason } => {
                self.moved("TaskHeld", task, |t, _| t.held())?;
                let (by, reason) = (String::new(), reason.clone());
                self.pause.get_or_insert(Pause { by, reason, since_unix_ms: at });
            }
            Event::TaskRetried { task, .. } => {
                self.moved("TaskRetried", task, |t, _| t.try_again(at))?;
                self.lift_pause();
            }
            Event::Paused { by, reason } => {
                let (by, reason) = (by.clone(), reason.clone());
                self.paused_by(Pause { by, reason, since_unix_ms: at })?;
            }
            Event::Resumed { .. } => {
                if self.pause.take().is_none() {
                    return Err(Impossible::new("Resumed", "it is not paused"));
                }
                let held = |t: &&mut TaskState| matches!(t.progress, Progress::Held(_));
                self.tasks.iter_mut().filter(held).for_each(|t| _ = t.try_again(at));
            }
            Event::ScopeClosing { scope, .. } => {
                let at = self.move_scope(scope, ScopeState::Open, ScopeState::Closing)?;
                let plan = Arc::clone(&self.plan);
                plan.scopes()[at].tasks.iter().for_each(|t| self.tasks[*t].call_off_retry());
                self.lift_pause();
            }
            Event::ScopeClosed { scope } => {
                self.move_scope(scope, ScopeState::Closing, ScopeState::Closed)?;
            }
            Event::TakeBackOrdered { cause, by, reason } => {
                let (by, reason) = (by.clone(), reason.clone());
                self.take_back_ordered(TakeBack { cause: *cause, by, reason })?;
            }
            Event::LateEffect { task, attempt } => {
                self.moved("LateEffect", task, |t, _| t.late_effect(*attempt))?;
                self.reopen(true);
            }
            Event::StuckRetried { .. } => self.tasks.iter_mut().for_each(TaskState::retry_undo),
            Event::StuckResolved { task, by, reason } => {
                self.moved("StuckResolved", task, |t, _| t.resolved(by, reason))?;
            }
            Event::Ended { ending, reason } => {
                if self.ended.is_some() {
                    return Err(Impossible::new("Ended", "it has ended"));
                }
                self.ended = Some((*ending, reason.clone()));
                self.pause = None;
            }
        }
        self.last_unix_ms = at;
        self.events += 1;
        Ok(())
    }

    fn gate_opened(&mut self, gate: &Gate, reason: &str, at: i64) -> Result<(), Impossible> {
        if let Gate::Task(id) = gate
            && self.plan.position(id).is_none()
        {
            return Err(Impossible::new(format!("GateOpened {gate}"), "no such task"));
        }
        if self.gates.contains_key(gate) {
            return Err(Impossible::new(format!("GateOpened {gate}"), "it was opened before"));
        }
        let state = GateState { reason: reason.to_owned(), since_unix_ms: at, decision: None };
        self.gates.insert(gate.clone(), state);
        Ok(())
    }

    fn gate_decided(
        &mut self,
        gate: &Gate,
        decision: (bool, String, String),
    ) -> Result<(), Impossible> {
        match self.gates.get_mut(gate) {
            Some(state) if state.decision.is_none() => {
                state.decision = Some(decision);
                Ok(())
            }
            Some(_) => Err(Impossible::new(format!("GateDecided {gate}"), "it is decided")),
            None => Err(Impossible::new(format!("GateDecided {gate}"), "it was never opened")),
        }
    }

    fn take_back_ordered(&mut self, order: TakeBack) -> Result<(), Impossible> {
        if self.order.is_some() {
            return Err(Impossible::new("TakeBackOrdered", "it is being taken back"));
        }
        self.order = Some(order);
        self.pause = None;
        self.ended = None;
        self.tasks.iter_mut().for_each(TaskState::call_off_retry);
        Ok(())
    }

    fn paused_by(&mut self, pause: Pause) -> Result<(), Impossible> {
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
        let event = format!("{event} of {id}");
        let at = self.plan.position(id).ok_or_else(|| Impossible::new(&event, "no such task"))?;
        let task = &mut self.tasks[at];
        let was = (task.status(), task.attempt, task.undo_attempt);
        step(task, &self.plan.tasks()[at]).ok_or_else(|| {
            let (status, attempt, undo) = was;
            let why = format!("it is {status}, attempt {attempt}, undo attempt {undo}");
            Impossible::new(&event, why)
        })
    }

    /// Something took effect after the end: what follows from it is still to be done.
    fn reopen(&mut self, reopens: bool) {
        if reopens {
            self.ended = None;
        }
    }
}

/// The moves of one task. `None`: not from here; then nothing has changed.
impl TaskState {
    fn requested(&mut self, attempt: &Attempt, in_flight: InFlight) -> Option<()> {
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Waiting | Progress::Again { .. }, _)
                if attempt.number == self.attempt + 1 =>
            {
                self.attempt = attempt.number;
                self.progress = Progress::Doing(in_flight);
                Some(())
            }
            (Direction::Undo, _, EffectState::Stands | EffectState::UndoAgain { .. })
                if attempt.number == self.undo_attempt + 1 =>
            {
                self.undo_attempt = attempt.number;
                self.effect = EffectState::Undoing(in_flight);
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    /// `Some(true)` when the effect must now be assumed although its attempt was given up.
    fn recorded(&mut self, attempt: u32, undo: &Undo) -> Option<bool> {
        if !(1..=self.attempt).contains(&attempt) || !self.announced.insert(attempt) {
            return None;
        }
        // It could not be taken back for want of this record only.
        let waited = self.undo.is_none() && matches!(self.effect, EffectState::Stuck(_));
        self.undo.get_or_insert_with(|| undo.clone());
        let current = self.is_doing() && attempt == self.attempt;
        let over = self.landed.contains(&attempt)
            || matches!(
                self.failed.get(&attempt),
                Some(Aftermath::Untouched | Aftermath::TakenBack | Aftermath::Partial)
            );
        let assumed = !current && !over && !self.stands();
        if waited {
            self.effect = EffectState::Stands;
        } else if assumed {
            self.new_effect();
        }
        Some(waited || assumed)
    }

    fn done_by(
        &mut self,
        attempt: &Attempt,
        done: &Arc<Done>,
        told: &Told,
        spec: &CheckedTask,
    ) -> Option<()> {
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Doing(_) | Progress::Again { .. } | Progress::Held(_), _)
                if (1..=self.attempt).contains(&attempt.number) =>
            {
                self.progress = Progress::Done(Arc::clone(done));
                self.told = told.clone();
                self.landed.insert(attempt.number);
                if spec.effect.changes() {
                    self.effect = EffectState::Stands;
                }
                Some(())
            }
            (
                Direction::Undo,
                _,
                EffectState::Undoing(_) | EffectState::UndoAgain { .. } | EffectState::Stuck(_),
            ) if self.undo_counts(attempt.number) => {
                let known = self.undo.iter().flat_map(|u| &u.residue);
                let mut residue: Vec<String> = done.residue.iter().chain(known).cloned().collect();
                residue.sort();
                residue.dedup();
                self.effect = EffectState::Undone(residue);
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    fn failed_by(
        &mut self,
        attempt: &Attempt,
        failure: &Failure,
        told: &Told,
        spec: &CheckedTask,
    ) -> Option<()> {
        let number = attempt.number;
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Doing(_), _) if number == self.attempt => {
                self.failed.insert(number, failure.aftermath);
                self.told = told.clone();
                self.give_up(failure.clone(), spec);
                Some(())
            }
            // Never asked: its inputs could not be resolved, or a person said no.
            (Direction::Do, Progress::Waiting, _) if number == self.attempt + 1 => {
                self.told = told.clone();
                self.progress = Progress::Failed(failure.clone());
                Some(())
            }
            (Direction::Undo, _, EffectState::Undoing(_)) if number == self.undo_attempt => {
                self.effect = EffectState::Stuck(failure.clone());
                Some(())
            }
            // Never asked: there is no way back that could be asked for.
            (Direction::Undo, _, EffectState::Stands) if number == self.undo_attempt + 1 => {
                self.effect = EffectState::Stuck(failure.clone());
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    fn timed_out(&mut self, attempt: &Attempt, spec: &CheckedTask) -> Option<()> {
        let failure = Failure::new(ErrorClass::UnknownOutcome, "nobody answered by the deadline");
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Doing(_), _) if attempt.number == self.attempt => {
                self.give_up(failure, spec);
                Some(())
            }
            (Direction::Undo, _, EffectState::Undoing(_))
                if attempt.number == self.undo_attempt =>
            {
                self.effect = EffectState::Stuck(failure);
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    /// A failed attempt may have left something behind. No effect begins before it is announced
    /// with its way back, so where nothing was announced and nothing is known, nothing stands.
    fn give_up(&mut self, failure: Failure, spec: &CheckedTask) {
        let begun = self.announced.contains(&self.attempt) || spec.effect == Effect::Pivot;
        match failure.aftermath {
            Aftermath::Partial if spec.effect.changes() => self.effect = EffectState::Stands,
            Aftermath::Unknown if begun => self.effect = EffectState::Stands,
            Aftermath::TakenBack => self.effect = EffectState::None,
            Aftermath::Partial | Aftermath::Unknown | Aftermath::Untouched => {}
        }
        self.progress = Progress::Failed(failure);
    }

    fn retry(&mut self, attempt: &Attempt, not_before_unix_ms: i64) -> Option<()> {
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Failed(failure), _) if attempt.number == self.attempt + 1 => {
                let failure = failure.clone();
                self.progress = Progress::Again { failure, not_before_unix_ms };
                Some(())
            }
            (Direction::Undo, _, EffectState::Stuck(failure))
                if attempt.number == self.undo_attempt + 1 =>
            {
                let failure = failure.clone();
                self.effect = EffectState::UndoAgain { failure, not_before_unix_ms };
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    /// The plan passes over what has not begun; a person also over what is between two tries.
    fn skipped(&mut self, skip: Skip) -> Option<()> {
        let by_a_person = !skip.by.is_empty();
        let may = match self.progress {
            Progress::Waiting => true,
            Progress::Again { .. } | Progress::Held(_) => by_a_person,
            Progress::Doing(_) | Progress::Done(_) | Progress::Failed(_) | Progress::Skipped(_) => {
                false
            }
        };
        if may {
            self.progress = Progress::Skipped(skip);
        }
        may.then_some(())
    }

    fn inherited(&mut self, result: &Kept) -> Option<()> {
        if self.progress != Progress::Waiting || self.attempt > 0 {
            return None;
        }
        self.is_inherited = true;
        self.progress = match result {
            Kept::Done(done) => Progress::Done(Arc::clone(done)),
            Kept::Skipped(skip) => Progress::Skipped(skip.clone()),
        };
        Some(())
    }

    fn held(&mut self) -> Option<()> {
        let Progress::Failed(failure) = &self.progress else { return None };
        self.progress = Progress::Held(failure.clone());
        Some(())
    }

    fn try_again(&mut self, at_unix_ms: i64) -> Option<()> {
        let (Progress::Held(failure) | Progress::Again { failure, .. }) = &self.progress else {
            return None;
        };
        let failure = failure.clone();
        self.tries_from = self.attempt + 1;
        self.progress = Progress::Again { failure, not_before_unix_ms: at_unix_ms };
        Some(())
    }

    fn late_effect(&mut self, attempt: u32) -> Option<()> {
        let current = self.is_doing() && attempt == self.attempt;
        if current || !(1..=self.attempt).contains(&attempt) {
            return None;
        }
        self.landed.insert(attempt);
        self.new_effect();
        Some(())
    }

    /// Undos asked for before do not count against an effect that is new.
    fn new_effect(&mut self) {
        self.undo_from = self.undo_attempt + 1;
        if !matches!(self.effect, EffectState::Stuck(_)) {
            self.effect = EffectState::Stands;
        }
    }

    fn retry_undo(&mut self) {
        if matches!(self.effect, EffectState::Stuck(_)) {
            self.effect = EffectState::Stands;
            self.undo_from = self.undo_attempt + 1;
        }
    }

    fn resolved(&mut self, by: &str, reason: &str) -> Option<()> {
        if !matches!(self.effect, EffectState::Stuck(_)) {
            return None;
        }
        self.effect = EffectState::Undone(vec![format!("taken back by hand by {by}: {reason}")]);
        Some(())
    }

    /// Nothing of the scope or the workflow starts any more.
    fn call_off_retry(&mut self) {
        if let Progress::Again { failure, .. } | Progress::Held(failure) = &self.progress {
            self.progress = Progress::Failed(failure.clone());
        }
    }
}
