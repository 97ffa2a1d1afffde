//! What a plan must keep to before a person is asked to approve it, judged against the cards.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_proto::{Capability, Effect, SpecialistCard};
use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value};

use super::{GateRule, OnFailure, Plan, Problems, Task, read::place};
use crate::{expr::is_dynamic, limits::PLAN_PROBLEMS_MAX};

/// Adds what is wrong to `problems`.
pub(super) fn review(plan: &Plan, cards: &[SpecialistCard], problems: &mut Problems) {
    let all = cards.iter().flat_map(|card| card.capabilities.iter().map(move |c| (card, c)));
    let offered: BTreeMap<String, _> = all.map(|(s, c)| (c.name.to_string(), (s, c))).collect();
    if plan.title.trim().is_empty() {
        problems.add("title", "is empty");
    }
    for (id, task) in &plan.tasks {
        let at = format!("tasks.{id}");
        if let Some((card, capability)) = offered.get(&task.does) {
            target(plan, task, card, &at, problems);
            way_back(plan, task, capability, &at, problems);
            inputs(task, capability, &at, problems);
            if let Some((undo, _)) = &capability.undo
                && !offered.contains_key(&undo.to_string())
            {
                let what = format!("is taken back by {undo}, which no specialist offers");
                problems.add(format!("{at}.does"), what);
            }
        }
        written(task, &at, problems);
    }
}

/// What people and locks need is not blank.
fn written(task: &Task, at: &str, problems: &mut Problems) {
    let gate = task.gate.as_ref().map(GateRule::terms).unwrap_or_default();
    let has_gate = task.gate.is_some().then_some(("gate", &gate.reason));
    let people = gate.asks.iter().map(|who| ("gate.asks", who));
    let people = people.chain(gate.escalate_to.iter().map(|who| ("gate.escalate_to", who)));
    if gate.escalate_to.is_some() && gate.timeout.is_none() {
        let what = "is asked after the time of the first is over, and no timeout says when";
        problems.add(format!("{at}.gate.escalate_to"), what);
    }
    let locks = task.locks.iter().map(|l| ("locks", l));
    let texts = std::iter::once(("title", &task.title)).chain(has_gate).chain(people).chain(locks);
    for (name, text) in texts {
        if text.trim().is_empty() {
            problems.add(format!("{at}.{name}"), "is empty");
        }
    }
    let mut seen = BTreeSet::new();
    for (n, need) in task.needs.iter().enumerate() {
        if !seen.insert(need) {
            problems.add(format!("{at}.needs[{n}]"), format!("{need:?} stands here twice"));
        }
    }
}

fn target(plan: &Plan, task: &Task, card: &SpecialistCard, at: &str, problems: &mut Problems) {
    let Some(target) = task.target.as_ref().or(plan.target.as_ref()) else { return };
    let known = || card.targets.iter().map(|t| t.name.as_str());
    if !known().any(|name| name == target) {
        let place = if task.target.is_some() { format!("{at}.target") } else { "target".into() };
        let kind = format!("target of {}", card.specialist);
        problems.unknown(place, &kind, target, known());
    }
}

/// Every effect can be taken back, or the policy has a person agree beforehand that it cannot.
fn way_back(plan: &Plan, task: &Task, does: &Capability, at: &str, problems: &mut Problems) {
    let name = &does.name;
    match (does.effect, &does.undo) {
        (Effect::Pure | Effect::Read, _)
        | (Effect::Reversible | Effect::Compensatable, Some(_)) => {}
        (Effect::Reversible | Effect::Compensatable, None) => {
            problems.add(format!("{at}.does"), format!("{name} has an effect but no undo"));
        }
        (Effect::Pivot, _) => {
            let scope = task.scope.as_ref().and_then(|s| plan.scopes.get(s));
            if scope.is_some_and(|s| s.on_failure == OnFailure::Continue) {
                let what = format!("{name} cannot be taken back with a scope");
                problems.add(format!("{at}.scope"), what);
            }
        }
    }
    if does.timeout.is_zero() {
        problems.add(format!("{at}.does"), format!("{name} names no timeout"));
    }
}

/// What is written out must fit the schema; of what is not known yet, the names must.
fn inputs(task: &Task, does: &Capability, at: &str, problems: &mut Problems) {
    let validator = match jsonschema::validator_for(&does.inputs_schema) {
        Ok(validator) => validator,
        Err(e) => {
            let what = format!("the schema of {} is no schema: {e}", does.name);
            return problems.add(format!("{at}.does"), what);
        }
    };
    let inputs: Map<_, _> = task.inputs.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let inputs = Value::Object(inputs);
    for error in validator.iter_errors(&inputs).take(PLAN_PROBLEMS_MAX) {
        if certain(&error, &inputs) {
            let inside = place(error.instance_path().as_str());
            let dot = if inside.is_empty() { "" } else { "." };
            let what = crate::cut(&error.to_string(), 400);
            problems.add(format!("{at}.inputs{dot}{inside}"), what);
        }
    }
}

/// Whether the error will still be one when the expressions have their values.
fn certain(error: &ValidationError<'_>, inputs: &Value) -> bool {
    let part = inputs.pointer(error.instance_path().as_str()).unwrap_or(inputs);
    let is_text = part.is_string();
    let about_names = matches!(
        error.kind(),
        ValidationErrorKind::AdditionalProperties { .. }
            | ValidationErrorKind::Required { .. }
            | ValidationErrorKind::MinProperties { .. }
            | ValidationErrorKind::MaxProperties { .. }
            | ValidationErrorKind::MinItems { .. }
            | ValidationErrorKind::MaxItems { .. }
            | ValidationErrorKind::Type { .. }
    );
    !has_expression(part) || (about_names && !is_text)
}

fn has_expression(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => is_dynamic(text),
        Value::Array(items) => items.iter().any(has_expression),
        Value::Object(map) => map.values().any(has_expression),
    }
}
