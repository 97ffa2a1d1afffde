//! What follows from a state by itself: the rules of the engine, in the order they are tried.
//!
//! Each rule reads the state and says what must happen next; they are tried until none has anything
//! to say. A rule never knows which input led here.

use std::collections::BTreeSet;

use deadelus_proto::{Direction, ErrorClass, Failure};

use crate::{
    decide::Draft,
    event::{Attempt, Ending, Event, Gate, TakeBackCause, Told},
    limits::{RETRY_FIRST_MS, RETRY_LONGEST_MS, UNDO_ATTEMPTS},
    plan::{OnExhausted, OnFailure},
    workflow::{EffectState, Impossible, Progress},
};

type Rule = fn(&mut Draft) -> Result<(), Impossible>;

/// The rules. An earlier one is always heard before a later one: what a failure means is settled
/// before anything starts, and the end comes when nobody else has anything to say.
const RULES: [Rule; 7] =
    [approval, failures, skipped_with_scope, forward, back, closed_scopes, the_end];

/// Adds everything that follows. It ends: every event moves a task, gate or scope on, and none goes
/// back without an input.
pub(crate) fn follow(draft: &mut Draft) -> Result<(), Impossible> {
    while draft.workflow.ended().is_none() && first_rule(draft)? {}
    Ok(())
}

/// Whether a rule had something to say.
fn first_rule(draft: &mut Draft) -> Result<bool, Impossible> {
    let before = draft.events.len();
    for rule in RULES {
        rule(draft)?;
        if draft.events.len() > before {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Nothing begins before a person has approved the plan, unless it says that nobody needs to.
fn approval(draft: &mut Draft) -> Result<(), Impossible> {
    let workflow = &draft.workflow;
    let opened = workflow.gates().contains_key(&Gate::Plan);
    if !workflow.awaits_approval() || opened || workflow.take_back().is_some() {
        return Ok(());
    }
    let reason = workflow.plan().plan().title.clone();
    let (asks, deadline_unix_ms) = (String::new(), None);
    draft.push(Event::GateOpened { gate: Gate::Plan, reason, asks, deadline_unix_ms })
}

/// What failed is tried again, or closes its scope, or takes the workflow back.
fn failures(draft: &mut Draft) -> Result<(), Impossible> {
    for at in 0..draft.workflow.plan().tasks().len() {
        failed_task(draft, at)?;
        failed_undo(draft, at)?;
    }
    Ok(())
}

fn failed_task(draft: &mut Draft, at: usize) -> Result<(), Impossible> {
    let workflow = &draft.workflow;
    let (spec, task) = workflow.at(at);
    let Progress::Failed(failure) = &task.progress else { return Ok(()) };
    if workflow.take_back().is_some() || workflow.closing(at) {
        return Ok(());
    }
    let asked = task.attempt > 0;
    if asked && failure.class.may_be_retried() {
        let tries = task.tries();
        if tries < spec.attempts {
            let (task, number) = (spec.id.clone(), task.attempt + 1);
            let attempt = Attempt { task, direction: Direction::Do, number };
            return retry(draft, attempt, tries);
        }
        if spec.on_exhausted == OnExhausted::Pause {
            let reason = format!("{} was tried {tries} times: {failure}", spec.id);
            return draft.push(Event::TaskHeld { task: spec.id.clone(), reason });
        }
    }
    let reason = format!("{} failed: {failure}", spec.id);
    let scope = spec.scope.map(|scope| &workflow.plan().scopes()[scope]);
    match scope.filter(|scope| scope.on_failure == OnFailure::Continue) {
        Some(scope) => {
            let scope = scope.id.clone();
            draft.push(Event::ScopeClosing { scope, reason })
        }
        None => {
            let (cause, by) = (TakeBackCause::Failure, String::new());
            draft.push(Event::TakeBackOrdered { cause, by, reason })
        }
    }
}

fn failed_undo(draft: &mut Draft, at: usize) -> Result<(), Impossible> {
    let (spec, task) = draft.workflow.at(at);
    let EffectState::Stuck(failure) = &task.effect else { return Ok(()) };
    if !failure.class.may_be_retried() || task.undo_tries() >= UNDO_ATTEMPTS {
        return Ok(());
    }
    let (number, tries) = (task.undo_attempt + 1, task.undo_tries());
    let attempt = Attempt { task: spec.id.clone(), direction: Direction::Undo, number };
    retry(draft, attempt, tries)
}

/// Twice as long each time; no chance in it, a replay must find the same moment.
fn retry(draft: &mut Draft, attempt: Attempt, tries: u32) -> Result<(), Impossible> {
    let doublings = tries.saturating_sub(1).min(16);
    let pause_ms = (RETRY_FIRST_MS << doublings).min(RETRY_LONGEST_MS);
    let not_before_unix_ms = draft.at_unix_ms.saturating_add(pause_ms);
    draft.push(Event::RetryScheduled { attempt, not_before_unix_ms })
}

/// Nothing of a scope that has failed starts any more.
fn skipped_with_scope(draft: &mut Draft) -> Result<(), Impossible> {
    if draft.workflow.take_back().is_some() {
        return Ok(());
    }
    for at in 0..draft.workflow.plan().tasks().len() {
        let (spec, task) = draft.workflow.at(at);
        if task.progress == Progress::Waiting && draft.workflow.closing(at) {
            let task = spec.id.clone();
            let reason = "its scope has failed".into();
            draft.push(Event::TaskSkipped { task, by: String::new(), reason })?;
        }
    }
    Ok(())
}

/// Starts, gates or skips every task whose needs have settled.
fn forward(draft: &mut Draft) -> Result<(), Impossible> {
    let workflow = &draft.workflow;
    let stands_still = workflow.take_back().is_some() || workflow.pause().is_some();
    if stands_still || workflow.awaits_approval() {
        return Ok(());
    }
    let over = draft.workflow.scopes_over();
    let mut held: BTreeSet<String> =
        draft.workflow.held_locks().into_keys().map(str::to_owned).collect();
    for at in 0..draft.workflow.plan().tasks().len() {
        let (_, task) = draft.workflow.at(at);
        let event = match &task.progress {
            Progress::Waiting if draft.workflow.ground_is_firm(at, &over) => {
                first_move(draft, at, &held)
            }
            Progress::Again { not_before_unix_ms, .. }
                if *not_before_unix_ms <= draft.at_unix_ms =>
            {
                ask(draft, at, Direction::Do)
            }
            Progress::Waiting
            | Progress::Again { .. }
            | Progress::Held(_)
            | Progress::Doing(_)
            | Progress::Done(_)
            | Progress::Failed(_)
            | Progress::Skipped(_) => None,
        };
        let Some(event) = event else { continue };
        if let Event::TaskRequested { .. } = event {
            held.extend(draft.workflow.at(at).0.locks.iter().cloned());
        }
        let failed = matches!(event, Event::TaskFailed { .. });
        draft.push(event)?;
        if failed {
            // It may be that nothing more starts.
            return Ok(());
        }
    }
    Ok(())
}

/// The first event of a task whose needs have settled; none while a person or a lock holds it up.
fn first_move(draft: &Draft, at: usize, held: &BTreeSet<String>) -> Option<Event> {
    let workflow = &draft.workflow;
    let spec = workflow.at(at).0;
    let gate = Gate::Task(spec.id.clone());
    if workflow.is_open(&gate) {
        return None;
    }
    let resolved = workflow.runs(at).and_then(|runs| match runs {
        Ok(()) => workflow.inputs(at).map(|_| None),
        Err(reason) => {
            let (task, by) = (spec.id.clone(), String::new());
            Ok(Some(Event::TaskSkipped { task, by, reason }))
        }
    });
    match resolved {
        Err(failure) => {
            let attempt = Attempt { task: spec.id.clone(), direction: Direction::Do, number: 1 };
            Some(Event::TaskFailed { attempt, failure, told: Told::default() })
        }
        Ok(Some(skipped)) => Some(skipped),
        Ok(None) => match &spec.gate {
            Some(wanted) if !workflow.gates().contains_key(&gate) => {
                let until = |timeout: i64| draft.at_unix_ms.saturating_add(timeout);
                Some(Event::GateOpened {
                    gate,
                    reason: wanted.reason.clone(),
                    asks: wanted.asks.clone(),
                    deadline_unix_ms: wanted.timeout_ms.map(until),
                })
            }
            Some(_) | None if spec.locks.is_disjoint(held) => ask(draft, at, Direction::Do),
            Some(_) | None => None,
        },
    }
}

/// Asks for a task, or for the slots that it needs first; nothing, while it waits for them.
fn ask(draft: &Draft, at: usize, direction: Direction) -> Option<Event> {
    let event = start(draft, at, direction);
    // There may be no way back that could be asked for.
    let Event::TaskRequested { attempt, .. } = &event else { return Some(event) };
    if !draft.workflow.needs_slots(at) {
        return Some(event);
    }
    let waits = draft.workflow.awaits(at, direction);
    (!waits).then(|| Event::SlotsAwaited { attempt: attempt.clone() })
}

/// The event that starts the next attempt.
pub(crate) fn start(draft: &Draft, at: usize, direction: Direction) -> Event {
    match direction {
        Direction::Do => request(draft, at),
        Direction::Undo => undo(draft, at),
    }
}

fn request(draft: &Draft, at: usize) -> Event {
    let (spec, task) = draft.workflow.at(at);
    let number = task.attempt + 1;
    Event::TaskRequested {
        attempt: Attempt { task: spec.id.clone(), direction: Direction::Do, number },
        deadline_unix_ms: draft.at_unix_ms.saturating_add(spec.timeout_ms),
    }
}

/// Takes back what nothing stands on any more.
fn back(draft: &mut Draft) -> Result<(), Impossible> {
    let mut held: BTreeSet<String> =
        draft.workflow.held_locks().into_keys().map(str::to_owned).collect();
    for at in draft.workflow.undoable() {
        let (spec, task) = draft.workflow.at(at);
        let due = match &task.effect {
            EffectState::UndoAgain { not_before_unix_ms, .. } => {
                *not_before_unix_ms <= draft.at_unix_ms
            }
            EffectState::Stands => true,
            EffectState::None
            | EffectState::Undoing(_)
            | EffectState::Undone(_)
            | EffectState::Stuck(_) => false,
        };
        if due && spec.locks.is_disjoint(&held) {
            let Some(event) = ask(draft, at, Direction::Undo) else { continue };
            if matches!(event, Event::TaskRequested { .. }) {
                held.extend(draft.workflow.at(at).0.locks.iter().cloned());
            }
            draft.push(event)?;
        }
    }
    Ok(())
}

fn undo(draft: &Draft, at: usize) -> Event {
    let (spec, task) = draft.workflow.at(at);
    let number = task.undo_attempt + 1;
    let attempt = Attempt { task: spec.id.clone(), direction: Direction::Undo, number };
    let Some(undo) = &task.undo else {
        let message = format!("{} took effect but recorded no way back", spec.does);
        let failure = Failure::new(ErrorClass::UndoFailed, message)
            .help("take it back by hand, then resolve it");
        return Event::TaskFailed { attempt, failure, told: Told::default() };
    };
    let contract = draft.workflow.plan().capabilities().get(&undo.capability);
    let timeout_ms = contract.map_or(spec.timeout_ms, |c| c.timeout_ms);
    let deadline_unix_ms = draft.at_unix_ms.saturating_add(timeout_ms);
    Event::TaskRequested { attempt, deadline_unix_ms }
}

/// A scope that has failed is closed once everything of it is settled and taken back.
fn closed_scopes(draft: &mut Draft) -> Result<(), Impossible> {
    if draft.workflow.take_back().is_some() {
        return Ok(());
    }
    for scope in draft.workflow.closing_scopes() {
        let tasks = &draft.workflow.plan().scopes()[scope].tasks;
        let over =
            |at: &usize| draft.workflow.at(*at).1.is_settled() && !draft.workflow.owes_undo(*at);
        if tasks.iter().all(over) {
            let scope = draft.workflow.plan().scopes()[scope].id.clone();
            draft.push(Event::ScopeClosed { scope })?;
        }
    }
    Ok(())
}

/// Ends what has nothing left to do.
fn the_end(draft: &mut Draft) -> Result<(), Impossible> {
    let workflow = &draft.workflow;
    let mut all = 0..workflow.plan().tasks().len();
    let owes = all.clone().any(|at| workflow.owes_undo(at));
    let (ending, reason) = match workflow.take_back() {
        Some(order) => {
            let moving = all.any(|at| workflow.at(at).1.is_doing());
            if moving || owes {
                return Ok(());
            }
            let ending = match order.cause {
                TakeBackCause::Failure | TakeBackCause::Undo => Ending::Undone,
                TakeBackCause::Cancel => Ending::Cancelled,
            };
            (ending, order.reason.clone())
        }
        None => {
            let settled = all.all(|at| workflow.at(at).1.is_settled());
            if !settled || owes || !workflow.closing_scopes().is_empty() {
                return Ok(());
            }
            (Ending::Done, done_in_words(draft))
        }
    };
    draft.push(Event::Ended { ending, reason })
}

fn done_in_words(draft: &Draft) -> String {
    let (mut done, mut skipped, mut left_out, mut without) = (0, 0, 0, 0);
    for at in 0..draft.workflow.plan().tasks().len() {
        let task = draft.workflow.at(at).1;
        left_out += u32::from(task.is_left_out());
        match task.progress {
            Progress::Done(_) if draft.workflow.is_done(at) => done += 1,
            Progress::Skipped(_) => skipped += 1,
            Progress::Done(_)
            | Progress::Held(_)
            | Progress::Failed(_)
            | Progress::Waiting
            | Progress::Doing(_)
            | Progress::Again { .. } => without += 1,
        }
    }
    let by_a_person =
        if left_out > 0 { format!(" ({left_out} of them by a person)") } else { String::new() };
    format!(
        "{done} tasks done, {skipped} skipped{by_a_person}, \
         {without} failed or taken back with their scope"
    )
}
