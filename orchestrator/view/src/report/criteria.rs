//! The criteria that were approved, each beside what was measured. Pure.

use deadelus_core::{Progress, TaskState, Workflow, plan::CheckedTask};
use deadelus_proto::{ErrorClass, Failure};
use serde::Serialize;

use super::{
    Checked,
    facts::{checks_of, closed_scopes, is_taken_back},
    plan,
};
use crate::history::History;

/// One criterion of the plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Criterion {
    /// As the plan says it.
    pub criterion: String,
    pub kind: Kind,
    /// The task that measures it.
    pub checked_by: String,
    pub verdict: Verdict,
    /// Why it is not met; empty where it is.
    pub reason: String,
    /// What that task measured.
    pub checks: Vec<Checked>,
}

/// What a plan calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It has succeeded when this holds.
    Success,
    /// This holds whatever else is reached.
    Constraint,
    /// This held before anything was changed.
    Prerequisite,
}

/// Whether it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Met,
    NotMet,
    /// Nobody has looked, or nobody could.
    NotMeasured,
    /// The plan itself passes over what it is about.
    NotNeeded,
    /// It was met by what does not stand any more.
    TakenBack,
    /// It was not, and so what it is about was taken back, and the plan went on.
    GivenUp,
}

impl Kind {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Constraint => "whatever else",
            Self::Prerequisite => "beforehand",
        }
    }
}

impl Verdict {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::NotMeasured => "not measured",
            Self::NotNeeded => "not needed",
            Self::TakenBack => "met, then taken back",
            Self::GivenUp => "not met, and taken back",
        }
    }
}

/// Every criterion of the plan, in its order: success, constraints, prerequisites.
pub(super) fn judged(history: &History, workflow: &Workflow) -> Vec<Criterion> {
    let written = workflow.plan().plan();
    let success = written.success.iter().map(|c| (Kind::Success, &c.criterion, &c.checked_by));
    let constraints =
        written.constraints.iter().map(|c| (Kind::Constraint, &c.constraint, &c.checked_by));
    let prerequisites =
        written.prerequisites.iter().map(|c| (Kind::Prerequisite, &c.prerequisite, &c.checked_by));
    let all = success.chain(constraints).chain(prerequisites);
    let judge = |(kind, criterion, checked_by): (Kind, &String, &String)| {
        let mut tasks = workflow.tasks();
        let task = tasks.find(|(spec, _)| spec.id.as_str() == checked_by);
        let (verdict, reason) = task.map_or_else(
            || (Verdict::NotMeasured, "no task measures it".to_owned()),
            |task| verdict(history, workflow, task, kind),
        );
        Criterion {
            criterion: criterion.clone(),
            kind,
            checked_by: checked_by.clone(),
            verdict,
            reason,
            checks: task.map(|(spec, state)| checks_of(spec, state)).unwrap_or_default(),
        }
    };
    all.map(judge).collect()
}

/// What of it holds, in a sentence; empty for a plan that names no criterion.
pub(super) fn in_words(criteria: &[Criterion]) -> String {
    let asked = criteria.iter().filter(|c| c.kind != Kind::Prerequisite);
    let count = |verdict| asked.clone().filter(|c| c.verdict == verdict).count();
    let (met, before) = (count(Verdict::Met), count(Verdict::TakenBack));
    let idle = count(Verdict::NotNeeded) + count(Verdict::GivenUp);
    let rest = if idle == 0 { String::new() } else { format!("; {idle} did not come to bear") };
    match (met, before, asked.clone().count() - idle) {
        (_, _, 0) => String::new(),
        (0, 1, 1) => format!("Before that the criterion of its plan was met{rest}."),
        (0, before @ 1.., all) => format!("Before that {before} of {all} criteria were met{rest}."),
        (1, _, 1) => format!("The criterion of its plan is met{rest}."),
        (_, _, 1) => format!("The criterion of its plan is not met{rest}."),
        (met, _, all) if met == all => format!("All {all} criteria of its plan are met{rest}."),
        (met, _, all) => format!("{met} of {all} criteria of its plan are met{rest}."),
    }
}

fn verdict(
    history: &History,
    workflow: &Workflow,
    (spec, state): (&CheckedTask, &TaskState),
    kind: Kind,
) -> (Verdict, String) {
    let closed = closed_scopes(history);
    let scope = spec.scope.and_then(|scope| workflow.plan().scopes().get(scope));
    let is_closed = scope.is_some_and(|scope| closed.contains(&&*scope.id));
    let is_back = kind != Kind::Prerequisite && (is_closed || is_taken_back(history));
    match &state.progress {
        Progress::Done(_) if is_back => {
            (Verdict::TakenBack, "what met it is taken back".to_owned())
        }
        Progress::Done(_) => (Verdict::Met, String::new()),
        Progress::Failed(failure) | Progress::Held(failure) => {
            let goes_on = plan::may_fail(workflow, spec).filter(|_| is_closed);
            let given_up = goes_on.is_some_and(|scope| plan::changes(workflow, scope));
            failed(failure, given_up)
        }
        Progress::Skipped(skip) if plan::not_needed(workflow).contains(&spec.id) => {
            (Verdict::NotNeeded, skip.reason.clone())
        }
        Progress::Skipped(skip) => (Verdict::NotMeasured, skip.reason.clone()),
        Progress::Waiting | Progress::Doing(_) | Progress::Again { .. } => {
            (Verdict::NotMeasured, "it has not come to that".to_owned())
        }
    }
}

/// A check that failed is a measurement; whatever else fails is none.
fn failed(failure: &Failure, given_up: bool) -> (Verdict, String) {
    let verdict = match failure.class {
        _ if given_up => Verdict::GivenUp,
        ErrorClass::CheckFailed => Verdict::NotMet,
        ErrorClass::InvalidInput
        | ErrorClass::Unsupported
        | ErrorClass::PreconditionFailed
        | ErrorClass::Conflict
        | ErrorClass::Unavailable
        | ErrorClass::UnknownOutcome
        | ErrorClass::Denied
        | ErrorClass::UndoFailed => Verdict::NotMeasured,
    };
    (verdict, failure.message.clone())
}
