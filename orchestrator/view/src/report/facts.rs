//! What the state and the log say, sorted by what a reader wants to know.

use std::collections::BTreeMap;

use deadelus_core::{
    EffectState, Event, Progress, TaskState, TaskStatus, Workflow, plan::CheckedTask,
};
use deadelus_proto::{Artefact, Body, Check, Direction};
use serde_json::Value;

use super::{
    Budget, Cause, Change, Checked, Diagnosis, Evidence, Failed, Stored, figures::MEASURE, way_back,
};
use crate::{
    history::History,
    timeline::{self, Outcome, Try},
};

const DIAGNOSE: &str = "performance.diagnose";
const BUDGET: &str = "performance.check_budget";

/// Fields of a change's outputs that say what it is, the most telling first.
const TELLING: [&str; 4] = ["ddl", "statement", "index", "revision"];

/// Causes shown of one diagnosis.
const CAUSES_MAX: usize = 4;

/// Outputs that travelled by reference and that a report reads.
pub fn stored(workflow: &Workflow) -> Vec<Artefact> {
    let read = |spec: &CheckedTask| {
        let does = spec.does.to_string();
        spec.effect.changes() || does == MEASURE || does == DIAGNOSE
    };
    let done = workflow.tasks().filter(|(spec, _)| read(spec)).filter_map(|(_, t)| t.done());
    let by_reference = done.filter_map(|done| match &done.outputs {
        Body::Stored(artefact) => Some(artefact.clone()),
        Body::Inline(_) => None,
    });
    by_reference.collect()
}

/// What a task has given.
pub(super) fn outputs<'a>(state: &'a TaskState, stored: &'a Stored) -> Option<&'a Value> {
    match &state.done()?.outputs {
        Body::Inline(value) => Some(value),
        Body::Stored(artefact) => stored.get(&artefact.sha256),
    }
}

/// Changes that stand, and those that were tried and do not or shall not.
pub(super) fn changes(
    history: &History,
    workflow: &Workflow,
    stored: &Stored,
) -> (Vec<Change>, Vec<Change>) {
    let reasons = reasons(history);
    let (mut kept, mut back) = (vec![], vec![]);
    for (spec, state) in workflow.tasks().filter(|(spec, _)| spec.effect.changes()) {
        let began = state.done().is_some() || state.effect != EffectState::None;
        if !began {
            continue;
        }
        let whole = reasons.get(WHOLE);
        let scope = spec.scope.and_then(|s| workflow.plan().scopes().get(s));
        let reason = scope.and_then(|scope| reasons.get(scope.id.as_str())).or(whole);
        let change = Change {
            task: spec.id.to_string(),
            title: spec.title.clone(),
            does: spec.does.to_string(),
            what: what(spec, state, stored),
            reason: reason.cloned().unwrap_or_default(),
            way_back: way_back(spec),
            is_gone: matches!(state.effect, EffectState::None | EffectState::Undone(_)),
        };
        let stands = state.effect == EffectState::Stands && reason.is_none();
        if stands { kept.push(change) } else { back.push(change) }
    }
    (kept, back)
}

/// No scope is called so.
const WHOLE: &str = "";

/// Why each scope, or the whole, was taken back.
fn reasons(history: &History) -> BTreeMap<&str, String> {
    let mut reasons = BTreeMap::new();
    for entry in history.entries() {
        if let Event::ScopeClosing { scope, reason } = &entry.event {
            reasons.insert(scope.as_str(), reason.clone());
        } else if let Event::TakeBackOrdered { by, reason, .. } = &entry.event {
            let by = if by.is_empty() { String::new() } else { format!("{by}: ") };
            reasons.insert(WHOLE, format!("{by}{reason}"));
        }
    }
    reasons
}

/// The scopes that were taken back.
pub(super) fn closed_scopes(history: &History) -> Vec<&str> {
    reasons(history).into_keys().collect()
}

/// Whether the whole workflow was, or is to be, taken back.
pub(super) fn is_taken_back(history: &History) -> bool {
    reasons(history).contains_key(WHOLE)
}

fn what(spec: &CheckedTask, state: &TaskState, stored: &Stored) -> String {
    let outputs = outputs(state, stored);
    let field = |name: &str| outputs.and_then(|o| o.get(name)).and_then(Value::as_str);
    let told = TELLING.iter().find_map(|name| Some((*name, field(name)?)));
    match (told, field("previous")) {
        (Some(("revision", now)), Some(before)) => format!("revision {before} → {now}"),
        (Some(("revision", now)), None) => format!("revision {now}"),
        (Some((_, text)), _) => text.to_owned(),
        (None, _) => format!("{} ({})", spec.title, spec.does),
    }
}

/// Every diagnosis. It describes what is now if no kept change came after it, and no change that
/// it saw was taken back with the whole since.
pub(super) fn found(
    workflow: &Workflow,
    (kept, back): (&[Change], &[Change]),
    stored: &Stored,
) -> Vec<Diagnosis> {
    let position =
        |c: &Change| workflow.plan().tasks().iter().position(|t| t.id.as_str() == c.task);
    let last_kept = kept.iter().filter_map(position).max();
    let whole = workflow.take_back().is_some();
    let first_back = back.iter().filter_map(position).min().filter(|_| whole);
    let mut found = vec![];
    for (at, (spec, state)) in workflow.tasks().enumerate() {
        let outputs = outputs(state, stored).filter(|_| spec.does.to_string() == DIAGNOSE);
        let Some(causes) = outputs.and_then(|o| o.get("causes")).and_then(Value::as_array) else {
            continue;
        };
        found.push(Diagnosis {
            task: spec.id.to_string(),
            is_current: last_kept.is_none_or(|kept| kept < at)
                && first_back.is_none_or(|back| back > at),
            causes: causes.iter().take(CAUSES_MAX).map(cause).collect(),
        });
    }
    found
}

fn cause(value: &Value) -> Cause {
    let text = |name: &str| match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let share = value.get("share").and_then(Value::as_f64).unwrap_or_default();
    Cause { cause: text("cause"), share, evidence: text("evidence"), advice: text("advice") }
}

/// The verdict of the last task that held a measurement to the budget. What met it may be gone.
pub(super) fn budget(history: &History, workflow: &Workflow) -> Option<Budget> {
    let verdict = verdict(workflow)?;
    if verdict.met && is_taken_back(history) {
        let verdict = "It was met by what is taken back.".to_owned();
        return Some(Budget { met: false, verdict });
    }
    Some(verdict)
}

fn verdict(workflow: &Workflow) -> Option<Budget> {
    let judged = workflow.tasks().filter(|(spec, _)| spec.does.to_string() == BUDGET);
    let verdicts = judged.filter_map(|(_, state)| match &state.progress {
        Progress::Done(_) => Some(Budget { met: true, verdict: "The budget is met.".to_owned() }),
        Progress::Failed(failure) => Some(Budget {
            met: false,
            verdict: format!("Not proved to be met: {}", failure.message),
        }),
        Progress::Waiting
        | Progress::Doing(_)
        | Progress::Again { .. }
        | Progress::Held(_)
        | Progress::Skipped(_) => None,
    });
    verdicts.last()
}

pub(super) fn failed(workflow: &Workflow) -> Vec<Failed> {
    let failed = workflow.tasks().filter_map(|(spec, state)| match &state.progress {
        Progress::Failed(failure) if spec.does.to_string() != BUDGET => Some(Failed {
            task: spec.id.to_string(),
            title: spec.title.clone(),
            message: failure.to_string(),
        }),
        Progress::Failed(_)
        | Progress::Held(_)
        | Progress::Waiting
        | Progress::Doing(_)
        | Progress::Again { .. }
        | Progress::Done(_)
        | Progress::Skipped(_) => None,
    });
    failed.collect()
}

pub(super) fn checks(workflow: &Workflow) -> Vec<Checked> {
    workflow.tasks().flat_map(|(spec, state)| checks_of(spec, state)).collect()
}

/// What was measured for a task, good enough or not.
pub(super) fn checks_of(spec: &CheckedTask, state: &TaskState) -> Vec<Checked> {
    let checks = match &state.progress {
        Progress::Done(done) => &done.checks,
        Progress::Failed(failure) | Progress::Held(failure) => &failure.checks,
        Progress::Waiting | Progress::Doing(_) | Progress::Again { .. } | Progress::Skipped(_) => {
            return vec![];
        }
    };
    let checked = |check: &Check| Checked {
        task: spec.id.to_string(),
        check: check.id.clone(),
        measured: check.measured.clone(),
        wanted: format!("{} {}", check.op, check.threshold),
        pass: check.pass,
        note: check.note.clone(),
        evidence: check.evidence.as_ref().map(|proof| proof.sha256.to_string()),
    };
    checks.iter().map(checked).collect()
}

/// What tasks kept, and what proves their checks, each once.
pub(super) fn artefacts(workflow: &Workflow) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = vec![];
    for (spec, state) in workflow.tasks() {
        let (kept, checks) = match &state.progress {
            Progress::Done(done) => (&done.artefacts, &done.checks),
            Progress::Failed(failure) | Progress::Held(failure) => {
                (&failure.artefacts, &failure.checks)
            }
            Progress::Waiting
            | Progress::Doing(_)
            | Progress::Again { .. }
            | Progress::Skipped(_) => continue,
        };
        let proofs = checks.iter().filter_map(|check| check.evidence.as_ref());
        for artefact in kept.iter().chain(proofs) {
            let evidence = Evidence {
                task: spec.id.to_string(),
                name: artefact.name.clone(),
                sha256: artefact.sha256.to_string(),
                size_bytes: artefact.size_bytes,
            };
            if !all.contains(&evidence) {
                all.push(evidence);
            }
        }
    }
    all
}

pub(super) fn residue(workflow: &Workflow) -> Vec<String> {
    let mut all: Vec<String> =
        workflow.residue().into_iter().map(|r| format!("{}: {}", r.task, r.what)).collect();
    let stuck = workflow.tasks().filter(|(_, state)| state.status() == TaskStatus::Stuck);
    all.extend(stuck.map(|(spec, _)| format!("{}: its undo failed; it still stands", spec.id)));
    all
}

/// What did not go smoothly and yet as the plan says, in the order in which it happened.
pub(super) fn incidents(history: &History) -> Vec<String> {
    let mut all: Vec<String> = history.workflow().and_then(origin).into_iter().collect();
    all.extend(timeline::tries(history).iter().flat_map(of_try));
    for entry in history.entries() {
        if let Event::LateEffect { task, .. } = &entry.event {
            all.push(format!("{task} took effect after it had been given up; it was taken back"));
        } else if let Event::TaskHeld { reason, .. } = &entry.event {
            all.push(format!("paused for a person: {reason}"));
        }
    }
    let mut owners: Vec<&str> = history.entries().iter().map(|e| e.owner.as_str()).collect();
    owners.dedup();
    if owners.len() > 1 {
        all.push(format!("handed over from one orchestrator to another: {}", owners.join(" → ")));
    }
    all.extend(history.alarms().iter().cloned());
    all
}

/// Where a fork comes from, and what it keeps.
fn origin(workflow: &Workflow) -> Option<String> {
    let origin = workflow.forked_from()?;
    let kept = workflow.tasks().filter(|(_, state)| state.is_inherited);
    let kept: Vec<&str> = kept.map(|(spec, _)| spec.id.as_str()).collect();
    let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
    Some(format!(
        "a fork of {} from {} on; kept from there: {kept}. What that changed is not taken back here",
        origin.workflow, origin.task
    ))
}

fn of_try(one: &Try) -> Vec<String> {
    let way = if one.direction == Direction::Undo { "undo of " } else { "" };
    let name = format!("{way}{}", one.task);
    let mut all = vec![];
    if one.number > 1 {
        all.push(format!("{name} was tried again (try {})", one.number));
    }
    if one.deliveries > 1 {
        let times = one.deliveries;
        all.push(format!("{name} was handed out {times} times: a worker was lost or restarted"));
    }
    if one.reconciled {
        all.push(format!("{name} was found done after a loss, and was not done twice"));
    }
    if one.outcome == Outcome::TimedOut {
        all.push(format!("{name}: nobody answered by the deadline"));
    }
    all
}

/// The second field of a W3C traceparent.
pub(super) fn trace_id(traceparent: &str) -> String {
    traceparent.split('-').nth(1).unwrap_or_default().to_owned()
}
