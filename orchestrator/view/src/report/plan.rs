//! The plan's sections beside what happened: tasks, specialists, order, risks and ways back. Pure.

use std::collections::BTreeSet;

use deadelus_core::{
    EffectState, Progress, TaskState, Workflow,
    plan::{CheckedScope, CheckedTask, OnFailure},
};
use deadelus_proto::{Direction, SpecialistName, TaskId};
use serde::Serialize;

use super::facts::{checks_of, is_taken_back};
use crate::{history::History, plan_view, timeline::Try};

/// A task and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub task: String,
    pub title: String,
    /// `db.create_index`
    pub does: String,
    /// `looks`, `changes, reversible`
    pub effect: String,
    /// `done`, `failed`, `skipped`, `undone`, …
    pub status: String,
    /// Tries at doing it.
    pub tries: usize,
    /// All tries together.
    pub took_ms: i64,
    /// Who did it last: `db-7f3a`; may be empty.
    pub by: String,
    pub checks: usize,
    pub checks_passed: usize,
    /// Why it is not done; may be empty.
    pub note: String,
}

/// A specialist and its part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Crew {
    pub specialist: String,
    /// In a team's words: `DB Admin`.
    pub roles: Vec<String>,
    pub tasks: usize,
    /// Of these, those that were done, whether or not they were taken back.
    pub done: usize,
    /// The processes that worked: `db-7f3a`.
    pub instances: Vec<String>,
    /// Doing and taking back together.
    pub busy_ms: i64,
}

/// A phase and its milestone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phase {
    pub title: String,
    pub milestone: String,
    /// `reached`, `not reached`, `under way`, `passed over`, `taken back`
    pub state: &'static str,
    pub tasks: usize,
    pub done: usize,
}

/// A risk that the plan named.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Risk {
    pub risk: String,
    /// `low`, `medium`, `high`
    pub likelihood: String,
    pub impact: String,
    pub mitigation: String,
}

/// What a task promised for the case that it is taken back, and what came of that.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WayBack {
    pub task: String,
    /// `taken back by db.drop_index, exactly`
    pub promised: String,
    pub happened: String,
}

pub(super) fn steps(workflow: &Workflow, tries: &[Try]) -> Vec<Step> {
    let step = |(spec, state): (&CheckedTask, &TaskState)| {
        let own =
            || tries.iter().filter(|one| one.task == spec.id && one.direction == Direction::Do);
        let checks = checks_of(spec, state);
        Step {
            task: spec.id.to_string(),
            title: spec.title.clone(),
            does: spec.does.to_string(),
            effect: plan_view::effect(spec.effect).to_owned(),
            status: state.status().to_string(),
            tries: own().count(),
            took_ms: own().map(|one| took(one, workflow)).sum(),
            by: own().next_back().map(|one| one.instance.clone()).unwrap_or_default(),
            checks_passed: checks.iter().filter(|check| check.pass).count(),
            checks: checks.len(),
            note: note(state),
        }
    };
    workflow.tasks().map(step).collect()
}

pub(super) fn crews(workflow: &Workflow, tries: &[Try]) -> Vec<Crew> {
    let crew = |(specialist, roles): (&SpecialistName, BTreeSet<&str>)| {
        let own = || workflow.tasks().filter(|(spec, _)| spec.does.specialist() == specialist);
        let ids: BTreeSet<_> = own().map(|(spec, _)| &spec.id).collect();
        let worked = || tries.iter().filter(|one| ids.contains(&one.task));
        let instances = worked().map(|one| one.instance.clone()).filter(|name| !name.is_empty());
        let instances: BTreeSet<_> = instances.collect();
        Crew {
            specialist: specialist.to_string(),
            roles: roles.into_iter().map(str::to_owned).collect(),
            tasks: own().count(),
            done: own().filter(|(_, state)| state.done().is_some()).count(),
            instances: instances.into_iter().collect(),
            busy_ms: worked().map(|one| took(one, workflow)).sum(),
        }
    };
    workflow.plan().roles().into_iter().map(crew).collect()
}

pub(super) fn phases(history: &History, workflow: &Workflow) -> Vec<Phase> {
    let phase = |phase: &deadelus_core::plan::Phase| {
        let own = || {
            let of_it = |spec: &CheckedTask| spec.phase.as_deref() == Some(&*phase.id);
            workflow.tasks().filter(move |(spec, _)| of_it(spec)).map(|(_, state)| state)
        };
        let began = own().any(|state| state.attempt > 0);
        let state = if !own().all(TaskState::is_settled) {
            if workflow.ended().is_none() && began { "under way" } else { "not reached" }
        } else if began && is_taken_back(history) {
            "taken back"
        } else if own().all(|state| matches!(state.progress, Progress::Skipped(_))) {
            "passed over"
        } else {
            "reached"
        };
        Phase {
            title: phase.title.clone(),
            milestone: phase.milestone.clone(),
            state,
            tasks: own().count(),
            done: own().filter(|state| state.done().is_some()).count(),
        }
    };
    workflow.plan().plan().phases.iter().map(phase).collect()
}

pub(super) fn risks(workflow: &Workflow) -> Vec<Risk> {
    let level = |level| format!("{level:?}").to_lowercase();
    let risk = |risk: &deadelus_core::plan::Risk| Risk {
        risk: risk.risk.clone(),
        likelihood: level(risk.likelihood),
        impact: level(risk.impact),
        mitigation: risk.mitigation.clone(),
    };
    workflow.plan().plan().risks.iter().map(risk).collect()
}

pub(super) fn ways_back(workflow: &Workflow) -> Vec<WayBack> {
    let changing = workflow.tasks().filter(|(spec, _)| spec.effect.changes());
    let way = |(spec, state): (&CheckedTask, &TaskState)| WayBack {
        task: spec.id.to_string(),
        promised: plan_view::way_back(spec),
        happened: happened(state),
    };
    changing.map(way).collect()
}

/// The tasks that the plan itself passes over: their condition did not hold, or what they need was
/// passed over so.
pub(super) fn not_needed(workflow: &Workflow) -> BTreeSet<&TaskId> {
    let mut all = BTreeSet::new();
    let tasks: Vec<_> = workflow.tasks().collect();
    // What a task needs stands before it.
    for (spec, state) in &tasks {
        let by_plan = matches!(&state.progress, Progress::Skipped(skip) if skip.by.is_empty());
        let needs = spec.needs.iter().filter_map(|at| tasks.get(*at));
        let mut missed = needs.filter(|(_, state)| state.done().is_none());
        let so = |(need, _): &(&CheckedTask, &TaskState)| all.contains(&need.id);
        if by_plan && (spec.when.is_some() || missed.all(so)) {
            all.insert(&spec.id);
        }
    }
    all
}

/// The group of a task, if the plan goes on without it.
pub(super) fn may_fail<'a>(workflow: &'a Workflow, spec: &CheckedTask) -> Option<&'a CheckedScope> {
    let scope = spec.scope.and_then(|scope| workflow.plan().scopes().get(scope));
    scope.filter(|scope| scope.on_failure == OnFailure::Continue)
}

/// Whether anything of a group would have to be taken back.
pub(super) fn changes(workflow: &Workflow, scope: &CheckedScope) -> bool {
    let tasks = workflow.plan().tasks();
    scope.tasks.iter().filter_map(|at| tasks.get(*at)).any(|task| task.effect.changes())
}

fn happened(state: &TaskState) -> String {
    match &state.effect {
        _ if state.is_inherited => "it is an earlier workflow's, and stays there".to_owned(),
        EffectState::None => "nothing of it stands".to_owned(),
        EffectState::Stands => "not used: it stands".to_owned(),
        EffectState::Undoing(_) | EffectState::UndoAgain { .. } => "being taken back".to_owned(),
        EffectState::Undone(left) if left.is_empty() => "taken back, nothing is left".to_owned(),
        EffectState::Undone(left) => format!("taken back; left: {}", left.join("; ")),
        EffectState::Stuck(failure) => format!("it failed, a person is needed: {failure}"),
    }
}

fn note(state: &TaskState) -> String {
    match &state.progress {
        _ if state.is_inherited => "kept from the earlier workflow".to_owned(),
        Progress::Failed(failure) | Progress::Held(failure) => failure.to_string(),
        Progress::Skipped(skip) if skip.by.is_empty() => skip.reason.clone(),
        Progress::Skipped(skip) => format!("left out by {}: {}", skip.by, skip.reason),
        Progress::Waiting | Progress::Doing(_) | Progress::Again { .. } | Progress::Done(_) => {
            String::new()
        }
    }
}

fn took(one: &Try, workflow: &Workflow) -> i64 {
    let (from, to) = one.span(workflow.last_unix_ms());
    to - from
}
