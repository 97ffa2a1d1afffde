//! One capability's page, and the index of all of them.

use std::fmt::Write as _;

use deadelus_proto::{Capability, Effect, Hazard, Idempotency, SpecialistCard, UndoClass};
use serde_json::Value;

use super::schema;

/// The page of a capability, with the tasks of a plan that uses it.
pub(super) fn of(capability: &Capability, example: &Value) -> String {
    let mut page = format!("# {}\n\n{}\n\n", capability.name, capability.summary);
    page += "| | |\n|---|---|\n";
    for (what, found) in facts(capability) {
        let _ = writeln!(page, "| {what} | {found} |");
    }
    page += "\n## It is done only if\n\n| check | |\n|---|---|\n";
    for check in &capability.checks {
        let _ = writeln!(page, "| `{}` | {} |", check.id, schema::cell(&check.what));
    }
    let _ = write!(page, "\n## Inputs\n\n{}", schema::tables(&capability.inputs_schema));
    let _ = write!(page, "\n## Outputs\n\n{}", schema::tables(&capability.outputs_schema));
    let tasks = serde_json::to_string_pretty(example).unwrap();
    page += "\n## In a plan\n";
    if is_only_a_way_back(capability) {
        page += "\nNo plan names it: it is the way back of the task `example`.\n";
    }
    let _ = write!(page, "\n```json\n\"tasks\": {tasks}\n```\n");
    page
}

/// Whether it only ever takes something back: it has an effect and no way back of its own.
pub(super) fn is_only_a_way_back(capability: &Capability) -> bool {
    let pivot = capability.effect == Effect::Pivot;
    capability.effect.changes() && capability.undo.is_none() && !pivot
}

/// All capabilities, by specialist.
pub(super) fn index(cards: &[SpecialistCard]) -> String {
    let mut page = String::from(
        "# What the specialists can do\n\nThese pages are made of what the specialists announce \
         (`deadelus specialists`). Whatever goes wrong has one of nine\nclasses, the same for all: \
         [errors](../errors.md).\n",
    );
    for card in cards {
        let _ = write!(page, "\n## {}\n\n| | | |\n|---|---|---|\n", card.specialist);
        for capability in &card.capabilities {
            let Capability { name, role, summary, .. } = capability;
            let _ = writeln!(page, "| [{name}]({name}.md) | {role} | {} |", schema::cell(summary));
        }
    }
    page
}

fn facts(capability: &Capability) -> Vec<(&'static str, String)> {
    let locks: Vec<String> = capability.locks.iter().map(|lock| format!("`{lock}`")).collect();
    let asks: Vec<&str> = capability.hazards.iter().map(hazard).collect();
    let mut facts = vec![
        ("role", capability.role.clone()),
        ("effect", effect(capability).to_owned()),
        ("undo", undo(capability)),
        ("twice", twice(capability.idempotency).to_owned()),
        ("at most", format!("{} s", capability.timeout.as_secs())),
    ];
    if !locks.is_empty() {
        facts.push(("holds", locks.join(", ")));
    }
    if !asks.is_empty() {
        facts.push(("asks a person", asks.join(", ")));
    }
    facts
}

fn effect(capability: &Capability) -> &'static str {
    match capability.effect {
        Effect::Reversible | Effect::Compensatable if is_only_a_way_back(capability) => {
            "takes back what another did"
        }
        Effect::Pure => "pure: touches nothing",
        Effect::Read => "read: looks and changes nothing",
        Effect::Reversible => "reversible: its undo is exact",
        Effect::Compensatable => "compensatable: its undo leaves a listed residue",
        Effect::Pivot => "pivot: no way back, a person is asked before",
    }
}

fn undo(capability: &Capability) -> String {
    match &capability.undo {
        None if is_only_a_way_back(capability) => "none: it is itself a way back".to_owned(),
        None if capability.effect.changes() => "none".to_owned(),
        None => "nothing to take back".to_owned(),
        Some((name, UndoClass::Exact)) => format!("[{name}]({name}.md), to the same fingerprint"),
        Some((name, UndoClass::Semantic)) => format!("[{name}]({name}.md), with a listed residue"),
    }
}

fn twice(idempotency: Idempotency) -> &'static str {
    match idempotency {
        Idempotency::Natural => "is once, by its nature",
        Idempotency::Keyed => "is once, by its task's key",
    }
}

fn hazard(hazard: &Hazard) -> &'static str {
    match hazard {
        Hazard::Destructive => "it destroys something",
        Hazard::Money => "it moves money",
    }
}
