//! What two policy sets compare with: values among which the differences between them lie.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::PolicySet;
use serde_json::Value;

/// Of each kind: more constants than that are told apart by chance alone.
const CONSTANTS_MAX: usize = 24;

/// Values that policies speak of, and a few of which they do not.
#[derive(Debug, Default)]
pub(super) struct Constants {
    pub(super) texts: Vec<String>,
    pub(super) numbers: Vec<i64>,
    /// By type: the ids.
    pub(super) entities: BTreeMap<String, BTreeSet<String>>,
}

impl Constants {
    /// Those of all these policies.
    pub(super) fn of<'a>(sets: impl IntoIterator<Item = &'a PolicySet>) -> Self {
        let (mut texts, mut numbers) = (BTreeSet::new(), BTreeSet::from([0, 1]));
        let mut entities: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for policy in sets.into_iter().flat_map(PolicySet::policies) {
            for entity in policy.entity_literals() {
                let ids = entities.entry(entity.type_name().to_string()).or_default();
                ids.insert(entity.id().unescaped().to_owned());
            }
            for entity in policy.template_links().into_iter().flatten().map(|(_, entity)| entity) {
                let ids = entities.entry(entity.type_name().to_string()).or_default();
                ids.insert(entity.id().unescaped().to_owned());
            }
            if let Ok(json) = policy.to_json() {
                collect(&json, &mut texts, &mut numbers);
            }
        }
        texts.insert("other".to_owned());
        Self {
            texts: texts.into_iter().take(CONSTANTS_MAX).collect(),
            numbers: numbers.into_iter().take(CONSTANTS_MAX).collect(),
            entities,
        }
    }
}

/// Literals stand under `Value`, patterns under `pattern`, in Cedar's JSON.
fn collect(json: &Value, texts: &mut BTreeSet<String>, numbers: &mut BTreeSet<i64>) {
    match json {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("Value", Value::String(text)) => {
                        texts.insert(text.clone());
                    }
                    ("Value", Value::Number(number)) => {
                        let number = number.as_i64().unwrap_or_default();
                        numbers.extend([
                            number.saturating_sub(1),
                            number,
                            number.saturating_add(1),
                        ]);
                    }
                    ("pattern", Value::Array(parts)) => {
                        texts.extend(["", "A"].map(|filler| filled(parts, filler)));
                    }
                    _ => collect(value, texts, numbers),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts, numbers)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A text that fits a pattern: its letters, with something in the place of each `*`.
fn filled(parts: &[Value], filler: &str) -> String {
    let part = |part: &Value| match part.get("Literal").and_then(Value::as_str) {
        Some(letters) => letters.to_owned(),
        None => filler.to_owned(),
    };
    parts.iter().map(part).collect()
}
