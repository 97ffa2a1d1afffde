//! What a person may say of a workflow, and what it means. Every word names who said it and why;
//! what is not possible now is refused with the reason, and nothing has changed.

use deadelus_proto::{Direction, ErrorClass, Failure, Sha256, TaskId};

use crate::{
    decide::{Draft, Refusal},
    event::{Attempt, Ending, Event, Gate, TakeBackCause, Told},
    plan::CheckedGate,
    workflow::{EffectState, Impossible, Progress, TaskState, Workflow},
};

pub(crate) fn take_back(
    draft: &mut Draft,
    cause: TakeBackCause,
    by: String,
    reason: String,
) -> Result<(), Refusal> {
    let ended = draft.workflow.ended().map(|(ending, _)| ending);
    let order = draft.workflow.take_back().map(|order| order.cause);
    match (cause, ended, order) {
        (_, _, Some(before)) if before == cause => Ok(()),
        (TakeBackCause::Cancel, None, None) | (TakeBackCause::Undo, Some(Ending::Done), None) => {
            Ok(draft.push(Event::TakeBackOrdered { cause, by, reason })?)
        }
        (_, Some(ending), _) => Err(Refusal::Ended(ending)),
        (_, None, Some(_)) => Err(Refusal::BeingTakenBack),
        (_, None, None) => Err(Refusal::NotEnded),
    }
}

pub(crate) fn gate(
    draft: &mut Draft,
    gate: Gate,
    approve: bool,
    digest: Sha256,
    by: String,
    reason: String,
) -> Result<(), Refusal> {
    let actual = draft.workflow.plan().digest();
    if *actual != digest {
        return Err(Refusal::WrongDigest { seen: digest, actual: actual.clone() });
    }
    if let Some((approved, who, _)) =
        draft.workflow.gates().get(&gate).and_then(|state| state.decision.clone())
    {
        let same = approved == approve && who == by;
        return if same { Ok(()) } else { Err(Refusal::GateDecided { gate, approved, by: who }) };
    }
    if !draft.workflow.is_open(&gate) {
        return Err(Refusal::GateNotOpen(gate));
    }
    let asks = draft.workflow.gates().get(&gate).map(|state| state.asks.clone());
    if let Some(asks) = asks.filter(|asks| !asks.is_empty() && *asks != by) {
        return Err(Refusal::AsksOther { gate, asks });
    }
    let words = if reason.is_empty() {
        format!("rejected by {by}")
    } else {
        format!("rejected by {by}: {reason}")
    };
    let decided = Event::GateDecided { gate: gate.clone(), approved: approve, by, reason };
    draft.push(decided)?;
    if !approve {
        rejected(draft, gate, words)?;
    }
    Ok(())
}

pub(crate) fn delegate(
    draft: &mut Draft,
    gate: Gate,
    to: String,
    by: String,
    reason: String,
) -> Result<(), Refusal> {
    if !draft.workflow.is_open(&gate) {
        return Err(Refusal::GateNotOpen(gate));
    }
    if to.is_empty() {
        return Err(Refusal::Nameless);
    }
    if draft.workflow.gates().get(&gate).is_some_and(|state| state.asks == to) {
        return Ok(());
    }
    let deadline_unix_ms = deadline(draft, &gate);
    Ok(draft.push(Event::GateDelegated { gate, to, by, reason, deadline_unix_ms })?)
}

/// Nobody answered in time: the next one is asked, or it is a no.
pub(crate) fn unanswered(draft: &mut Draft, gate: Gate) -> Result<(), Impossible> {
    let escalated = draft.workflow.gates().get(&gate).is_some_and(|state| state.is_escalated);
    let next = terms(draft, &gate).and_then(|terms| terms.escalate_to.clone());
    let reason = "nobody answered in time".to_owned();
    if let Some(to) = next.filter(|_| !escalated) {
        let (by, deadline_unix_ms) = (String::new(), deadline(draft, &gate));
        return draft.push(Event::GateDelegated { gate, to, by, reason, deadline_unix_ms });
    }
    let by = String::new();
    let decided = Event::GateDecided { gate: gate.clone(), approved: false, by, reason };
    draft.push(decided)?;
    rejected(draft, gate, "nobody answered at the gate in time".into())
}

/// What a no means.
fn rejected(draft: &mut Draft, gate: Gate, words: String) -> Result<(), Impossible> {
    match gate {
        Gate::Plan => draft.push(Event::Ended { ending: Ending::Rejected, reason: words }),
        Gate::Task(task) => {
            let failure = Failure::new(ErrorClass::Denied, words);
            let attempt = Attempt { task, direction: Direction::Do, number: 1 };
            draft.push(Event::TaskFailed { attempt, failure, told: Told::default() })
        }
    }
}

fn terms<'a>(draft: &'a Draft, gate: &Gate) -> Option<&'a CheckedGate> {
    match gate {
        Gate::Plan => None,
        Gate::Task(task) => draft.workflow.plan().task(task)?.gate.as_ref(),
    }
}

/// Until when whoever is asked now may answer.
fn deadline(draft: &Draft, gate: &Gate) -> Option<i64> {
    let timeout_ms = terms(draft, gate)?.timeout_ms?;
    Some(draft.at_unix_ms.saturating_add(timeout_ms))
}

pub(crate) fn retry_stuck(draft: &mut Draft, by: String, reason: String) -> Result<(), Refusal> {
    let stuck = |(_, t): (_, &TaskState)| matches!(t.effect, EffectState::Stuck(_));
    if !draft.workflow.tasks().any(stuck) {
        return Err(Refusal::NothingStuck);
    }
    Ok(draft.push(Event::StuckRetried { by, reason })?)
}

pub(crate) fn resolve(
    draft: &mut Draft,
    task: TaskId,
    by: String,
    reason: String,
) -> Result<(), Refusal> {
    match state(draft, &task)?.effect {
        EffectState::Stuck(_) => Ok(draft.push(Event::StuckResolved { task, by, reason })?),
        EffectState::None
        | EffectState::Stands
        | EffectState::Undoing(_)
        | EffectState::UndoAgain { .. }
        | EffectState::Undone(_) => Err(Refusal::NotStuck(task)),
    }
}

/// Nothing more starts. Said of what is being taken back it would mean nothing, and is refused.
pub(crate) fn pause(draft: &mut Draft, by: String, reason: String) -> Result<(), Refusal> {
    goes_forward(draft)?;
    if draft.workflow.pause().is_some_and(|pause| !pause.by.is_empty()) {
        return Ok(());
    }
    Ok(draft.push(Event::Paused { by, reason })?)
}

pub(crate) fn resume(draft: &mut Draft, by: String, reason: String) -> Result<(), Refusal> {
    if draft.workflow.pause().is_none() {
        return Err(Refusal::NotPaused);
    }
    Ok(draft.push(Event::Resumed { by, reason })?)
}

pub(crate) fn retry(
    draft: &mut Draft,
    task: TaskId,
    by: String,
    reason: String,
) -> Result<(), Refusal> {
    let state = state(draft, &task)?;
    match &state.progress {
        Progress::Again { not_before_unix_ms, .. } if *not_before_unix_ms <= draft.at_unix_ms => {
            Ok(())
        }
        Progress::Again { .. } | Progress::Held(_) => {
            Ok(draft.push(Event::TaskRetried { task, by, reason })?)
        }
        Progress::Waiting
        | Progress::Doing(_)
        | Progress::Done(_)
        | Progress::Failed(_)
        | Progress::Skipped(_) => Err(Refusal::NotToBeRetried { task, status: state.status() }),
    }
}

/// Goes on without a task, where nothing reads what it would have given.
pub(crate) fn skip(
    draft: &mut Draft,
    task: TaskId,
    by: String,
    reason: String,
) -> Result<(), Refusal> {
    let state = state(draft, &task)?;
    match &state.progress {
        Progress::Waiting | Progress::Again { .. } | Progress::Held(_) => {}
        Progress::Skipped(before) if before.by == by => return Ok(()),
        Progress::Doing(_) | Progress::Done(_) | Progress::Failed(_) | Progress::Skipped(_) => {
            return Err(Refusal::NotToBeSkipped { task, status: state.status() });
        }
    }
    goes_forward(draft)?;
    if draft.workflow.plan().position(&task).is_some_and(|at| draft.workflow.closing(at)) {
        return Err(Refusal::BeingTakenBack);
    }
    if let Some(reader) = reader(&draft.workflow, &task) {
        return Err(Refusal::Needed { task, reader });
    }
    Ok(draft.push(Event::TaskSkipped { task, by, reason })?)
}

/// A task that may still run and cannot do without what this one gives.
fn reader(workflow: &Workflow, task: &TaskId) -> Option<TaskId> {
    let task = task.as_str();
    let mut open = workflow.tasks().filter(|(_, state)| !state.is_settled());
    let found = open.find(|(spec, _)| match &spec.when {
        Some(when) if when.asks_status(task) => when.insists_on(task),
        Some(when) => when.insists_on(task) || spec.inputs.insists_on(task),
        None => spec.inputs.insists_on(task),
    });
    found.map(|(spec, _)| spec.id.clone())
}

fn goes_forward(draft: &Draft) -> Result<(), Refusal> {
    match (draft.workflow.ended(), draft.workflow.take_back()) {
        (Some((ending, _)), _) => Err(Refusal::Ended(ending)),
        (None, Some(_)) => Err(Refusal::BeingTakenBack),
        (None, None) => Ok(()),
    }
}

fn state<'a>(draft: &'a Draft, task: &TaskId) -> Result<&'a TaskState, Refusal> {
    let found = draft.workflow.task(task);
    found.map(|(_, state)| state).ok_or_else(|| Refusal::UnknownTask(task.clone()))
}
