//! What must hold of every log, told from outside: from the messages in the stream, read as every
//! reader reads them, event by event, at the moment each is stored.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use deadelus_core::{
    Attempt, Chain, CheckedPlan, Event, Gate, Link, Progress, TaskStatus, Workflow,
};
use deadelus_proto::{Direction, Effect, WorkflowId, pb};
use prost::Message as _;

use crate::effects::Effects;

/// One workflow's log, as an honest reader has it.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) chain: Chain,
    /// Decisions that do not count, and damage: what a reader is told.
    pub(crate) alarms: Vec<String>,
    /// Decisions by their cause.
    pub(crate) causes: BTreeMap<String, u32>,
    /// Terminal reports that were accepted, and whether they say that it is done.
    reported: BTreeMap<Attempt, bool>,
    events: Vec<Event>,
}

impl Judge {
    pub(crate) fn new(workflow: &WorkflowId) -> Self {
        Self {
            chain: Chain::new(workflow.clone()),
            alarms: vec![],
            causes: BTreeMap::new(),
            reported: BTreeMap::new(),
            events: vec![],
        }
    }

    pub(crate) fn workflow(&self) -> Option<&Workflow> {
        self.chain.workflow()
    }

    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Effects that landed late although another worker had the last word on their attempt.
    pub(crate) fn landed_by_another(&self) -> u64 {
        let late = self.events.iter().filter_map(|event| {
            let Event::LateEffect { task, attempt, told } = event else { return None };
            Some((task, attempt, &told.instance))
        });
        let by_another = late.filter(|(task, number, instance)| {
            self.events.iter().any(|event| {
                let (Event::TaskDone { attempt, told, .. }
                | Event::TaskFailed { attempt, told, .. }) = event
                else {
                    return false;
                };
                let same = attempt.task == **task && attempt.number == **number;
                same && attempt.direction == Direction::Do && told.instance != **instance
            })
        });
        by_another.count() as u64
    }

    /// Reads the next message.
    ///
    /// # Errors
    /// What does not hold.
    pub(crate) fn read(&mut self, sequence: u64, bytes: &Bytes) -> Result<(), String> {
        let decision = pb::Decision::decode(bytes.clone()).map_err(|e| e.to_string())?;
        let mut state = self.chain.workflow().cloned();
        match self.chain.read(sequence, bytes) {
            Link::Accepted => {}
            Link::Known => return Err(format!("{sequence} was read before")),
            Link::Ignored(alarm) => {
                self.alarms.push(alarm.to_string());
                return Ok(());
            }
            Link::NeedsReconcile(gap) => {
                self.alarms.push(gap.to_string());
                return Ok(());
            }
        }
        *self.causes.entry(decision.cause).or_default() += 1;
        for event in decision.events {
            let event = Event::try_from(event).map_err(|e| e.to_string())?;
            if let Some(state) = &mut state {
                self.may_follow(state, &event)?;
                state.apply(&event, decision.decided_unix_ms).map_err(|e| e.to_string())?;
            } else {
                let id = crate::plans::id(&decision.workflow_id);
                let begun = Workflow::begin(id, &event, decision.decided_unix_ms);
                state = Some(begun.map_err(|e| e.to_string())?);
            }
            self.events.push(event);
        }
        let Some(workflow) = self.chain.workflow() else { return Ok(()) };
        let idle = workflow.why().is_empty();
        if idle != workflow.ended().is_some() {
            return Err(format!("it is {} and waits for nothing", workflow.status()));
        }
        one_holder_per_lock(workflow)
    }

    fn may_follow(&mut self, state: &Workflow, event: &Event) -> Result<(), String> {
        match event {
            Event::TaskRequested { attempt, .. } => may_be_asked(state, attempt),
            // Who failed an attempt may have been unsure; that it is done after all is news. Nothing
            // is, after that.
            Event::TaskFailed { attempt, .. } => match self.reported.insert(attempt.clone(), false)
            {
                None => Ok(()),
                Some(_) => Err(format!("a second terminal report of {attempt:?}: it failed")),
            },
            Event::TaskDone { attempt, .. } => match self.reported.insert(attempt.clone(), true) {
                None | Some(false) => Ok(()),
                Some(true) => Err(format!("a second terminal report of {attempt:?}: it is done")),
            },
            Event::Accepted { .. }
            | Event::GateOpened { .. }
            | Event::GateDecided { .. }
            | Event::UndoRecorded { .. }
            | Event::TaskTimedOut { .. }
            | Event::SlotsAwaited { .. }
            | Event::RetryScheduled { .. }
            | Event::TaskSkipped { .. }
            | Event::ScopeClosing { .. }
            | Event::ScopeClosed { .. }
            | Event::TakeBackOrdered { .. }
            | Event::LateEffect { .. }
            | Event::StuckRetried { .. }
            | Event::StuckResolved { .. }
            | Event::TaskInherited { .. }
            | Event::GateDelegated { .. }
            | Event::TaskHeld { .. }
            | Event::TaskRetried { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Ended { .. } => Ok(()),
        }
    }

    /// At the end: what stands in the world is what the workflow says, and nothing is held.
    ///
    /// # Errors
    /// What does not hold.
    pub(crate) fn at_the_end(&self, effects: &Effects) -> Result<(), String> {
        let Some(workflow) = self.workflow() else { return Err("it was never accepted".into()) };
        if workflow.ended().is_none() {
            return Err(format!("it has not ended: {:?}", workflow.why()));
        }
        if !workflow.outstanding().is_empty() {
            return Err(format!("it has ended and holds {:?}", workflow.outstanding()));
        }
        let residue = workflow.residue();
        for (spec, task) in workflow.tasks().filter(|(spec, _)| spec.effect.changes()) {
            let stands = effects.stands(workflow.id(), &spec.id);
            let said = task.status() == TaskStatus::Done;
            let told = spec.effect == Effect::Pivot && residue.iter().any(|r| r.task == spec.id);
            // What has no way back and failed unsurely may stand or not; it is told either way.
            let unsure =
                spec.effect == Effect::Pivot && matches!(task.progress, Progress::Failed(_));
            if stands != said && !told && !unsure {
                let is = if stands { "stands" } else { "does not stand" };
                return Err(format!("{} {is} and the log says {}", spec.id, task.status()));
            }
        }
        Ok(())
    }
}

/// Dependencies and gates hold.
fn may_be_asked(state: &Workflow, attempt: &Attempt) -> Result<(), String> {
    let Some((spec, _)) = state.task(&attempt.task) else {
        return Err(format!("there is no {}", attempt.task));
    };
    if attempt.direction == Direction::Undo {
        return nothing_stands_on(state, attempt);
    }
    if state.take_back().is_some() {
        return Err(format!("{} starts while everything is taken back", spec.id));
    }
    let passed = |gate: &Gate| {
        let decided = state.gates().get(gate).map(|gate| gate.decision.as_ref());
        decided.is_none_or(|decision| decision.is_some_and(|(approved, ..)| *approved))
    };
    if !passed(&Gate::Plan) || !passed(&Gate::Task(spec.id.clone())) {
        return Err(format!("{} starts before its gate", spec.id));
    }
    for need in spec.needs.iter().map(|at| &state.plan().tasks()[*at]) {
        let settled = state.task(&need.id).is_some_and(|(_, task)| task.is_settled());
        if !settled {
            return Err(format!("{} starts before {}", spec.id, need.id));
        }
    }
    Ok(())
}

/// Nothing is taken back while something that is taken back with it stands on it.
fn nothing_stands_on(state: &Workflow, attempt: &Attempt) -> Result<(), String> {
    let plan = state.plan();
    let Some(ground) = plan.position(&attempt.task) else { return Ok(()) };
    // Nothing stands on what a person went on without.
    if state.task(&attempt.task).is_some_and(|(_, task)| task.is_left_out()) {
        return Ok(());
    }
    let scope = plan.tasks()[ground].scope;
    for (other, task) in state.tasks() {
        let alike = state.take_back().is_some() || other.scope == scope;
        let left =
            matches!(task.status(), TaskStatus::Done | TaskStatus::Undoing | TaskStatus::Stuck);
        let counts = other.effect.changes() && other.effect != Effect::Pivot;
        let done = matches!(task.progress, Progress::Done(_));
        let Some(position) = plan.position(&other.id) else { continue };
        if alike && left && counts && done && stands_on(plan, position, ground) {
            return Err(format!("{} is taken back before {}", attempt.task, other.id));
        }
    }
    Ok(())
}

fn stands_on(plan: &CheckedPlan, task: usize, ground: usize) -> bool {
    let needs = &plan.tasks()[task].needs;
    needs.iter().any(|need| *need == ground || stands_on(plan, *need, ground))
}

fn one_holder_per_lock(workflow: &Workflow) -> Result<(), String> {
    let mut held = BTreeSet::new();
    for command in workflow.outstanding() {
        let deadelus_core::Command::Dispatch(key) = command else { continue };
        let Some((spec, _)) = workflow.task(&key.task) else { continue };
        if let Some(lock) = spec.locks.iter().find(|lock| !held.insert((*lock).clone())) {
            return Err(format!("two hold {lock}"));
        }
    }
    Ok(())
}
