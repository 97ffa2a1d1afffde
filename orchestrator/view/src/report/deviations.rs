//! Where what happened is not what was approved. Pure.
//!
//! A condition that the plan itself names is no deviation, and neither is a retry: both end as the
//! plan says. What a person did besides is one, however good the reason.

use deadelus_core::{
    Event, Progress, TaskState, Workflow,
    plan::{CheckedTask, OnFailure},
};
use deadelus_proto::UndoClass;

use super::plan;
use crate::history::{Entry, History};

/// One sentence each, tasks first.
pub(super) fn deviations(history: &History, workflow: &Workflow) -> Vec<String> {
    let failed = workflow.tasks().filter(|(spec, _)| plan::may_fail(workflow, spec).is_none());
    let mut all: Vec<String> = failed.filter_map(self::failed).collect();
    all.extend(not_run(workflow));
    all.extend(workflow.tasks().filter_map(broken_promise));
    all.extend(history.entries().iter().filter_map(|entry| ordered(entry, workflow)));
    all
}

fn failed((spec, state): (&CheckedTask, &TaskState)) -> Option<String> {
    match &state.progress {
        Progress::Failed(failure) | Progress::Held(failure) => {
            Some(format!("{} ({}) is not done: {failure}", spec.title, spec.id))
        }
        Progress::Waiting
        | Progress::Doing(_)
        | Progress::Again { .. }
        | Progress::Done(_)
        | Progress::Skipped(_) => None,
    }
}

/// Tasks that were passed over for one reason, together.
fn not_run(workflow: &Workflow) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = vec![];
    let not_needed = plan::not_needed(workflow);
    for (spec, state) in workflow.tasks().filter(|(spec, _)| !not_needed.contains(&spec.id)) {
        let Some(reason) = passed_over(state, workflow.ended().is_some()) else { continue };
        if plan::may_fail(workflow, spec).is_some() {
            continue;
        }
        let id = spec.id.as_str();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, tasks)) => tasks.push(id),
            None => reasons.push((reason, vec![id])),
        }
    }
    let sentence = |(reason, tasks): (String, Vec<&str>)| {
        format!("{} did not run: {reason}", tasks.join(", "))
    };
    reasons.into_iter().map(sentence).collect()
}

fn passed_over(state: &TaskState, is_over: bool) -> Option<String> {
    match &state.progress {
        // A person who left it out is told of on their own.
        Progress::Skipped(skip) if !skip.by.is_empty() => None,
        Progress::Skipped(skip) => Some(skip.reason.clone()),
        Progress::Waiting if is_over => Some("it was over before".to_owned()),
        Progress::Waiting
        | Progress::Doing(_)
        | Progress::Again { .. }
        | Progress::Done(_)
        | Progress::Held(_)
        | Progress::Failed(_) => None,
    }
}

/// What was promised to be taken back exactly, and left something.
fn broken_promise((spec, state): (&CheckedTask, &TaskState)) -> Option<String> {
    let promised = spec.undo.as_ref().is_some_and(|(_, class)| *class == UndoClass::Exact);
    let recorded = state.undo.as_ref()?;
    (promised && recorded.class != UndoClass::Exact).then(|| {
        let left = recorded.residue.join("; ");
        format!("{} promised an exact way back and has only one that leaves: {left}", spec.id)
    })
}

/// What people ordered, and what had to be taken back.
fn ordered(entry: &Entry, workflow: &Workflow) -> Option<String> {
    let by = |by: &str| if by.is_empty() { String::new() } else { format!(" by {by}") };
    if let Event::TakeBackOrdered { by: who, reason, .. } = &entry.event {
        Some(format!("the whole was ordered back{}: {reason}", by(who)))
    } else if let Event::ScopeClosing { scope, reason } = &entry.event {
        let known = workflow.plan().scopes().iter().find(|known| known.id == *scope);
        let title = known.map_or(scope, |known| &known.title);
        let goes_on = known.filter(|known| known.on_failure == OnFailure::Continue);
        let how = match goes_on {
            None => "was ordered back",
            Some(group) if plan::changes(workflow, group) => {
                "was taken back, as the plan provides for"
            }
            Some(_) => "did not hold, and the plan went on, as it provides for",
        };
        Some(format!("{title} {how}: {reason}"))
    } else if let Event::StuckResolved { task, by, reason } = &entry.event {
        Some(format!("{task} was taken back by {by}, by hand: {reason}"))
    } else if let Event::TaskSkipped { task, by, reason } = &entry.event
        && !by.is_empty()
    {
        Some(format!("{task} was left out by {by}: {reason}"))
    } else if let Event::TaskRetried { task, by, reason } = &entry.event {
        Some(format!("{task} was given more tries by {by}: {reason}"))
    } else if let Event::Paused { by, reason } = &entry.event {
        Some(format!("it was paused by {by}: {reason}"))
    } else {
        None
    }
}
