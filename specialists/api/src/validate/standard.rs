//! What the standard's own schema says. Its files stand beside this one; see `README.md` there.

use std::sync::LazyLock;

use serde_json::Value;

use super::{Kind, Problem};
use crate::document::{Document, Version, child};

/// Of a message; it may quote the whole of what is wrong.
const MESSAGE_MAX_CHARS: usize = 200;

static V3_0: LazyLock<Option<jsonschema::Validator>> =
    LazyLock::new(|| compiled(include_str!("openapi-3.0.json")));

static V3_1: LazyLock<Option<jsonschema::Validator>> =
    LazyLock::new(|| compiled(include_str!("openapi-3.1.json")));

fn compiled(schema: &str) -> Option<jsonschema::Validator> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    jsonschema::validator_for(&schema).ok()
}

/// What the schema refuses, up to a number. In 3.1 it says nothing about Schema Objects: those are
/// JSON Schema, and are checked against that.
pub(super) fn problems(document: &Document, at_most: usize) -> Vec<Problem> {
    let validator = match document.version() {
        Version::V3_0 => &*V3_0,
        Version::V3_1 => &*V3_1,
    };
    let Some(validator) = validator else {
        return vec![problem(String::new(), "the standard's schema could not be read")];
    };
    let errors = validator.iter_errors(document.root()).take(at_most);
    let mut problems: Vec<Problem> =
        errors.map(|e| problem(e.instance_path().to_string(), &e.to_string())).collect();
    if document.version() == Version::V3_1 {
        let dialect = jsonschema::draft202012::meta::validator();
        for (at, schema) in schemas(document.root()) {
            let errors = dialect.iter_errors(schema);
            problems.extend(
                errors
                    .take(at_most.saturating_sub(problems.len()))
                    .map(|e| problem(format!("{at}{}", e.instance_path()), &e.to_string())),
            );
        }
    }
    problems
}

fn problem(pointer: String, text: &str) -> Problem {
    let mut text: String = text.chars().take(MESSAGE_MAX_CHARS).collect();
    if text.chars().count() == MESSAGE_MAX_CHARS {
        text.push('…');
    }
    Problem { check: Kind::FollowsTheStandard, pointer, text }
}

/// The outermost Schema Objects of a document.
fn schemas(root: &Value) -> Vec<(String, &Value)> {
    let mut found = vec![];
    let mut open = vec![(String::new(), root)];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    let place = child(&at, key);
                    let named = at == "/components/schemas";
                    // The Schema Object's own places; an example may have a key of any name.
                    if named || (key == "schema" && !at.ends_with("/properties")) {
                        found.push((place, inner));
                    } else if !matches!(key.as_str(), "example" | "examples") {
                        open.push((place, inner));
                    }
                }
            }
            Value::Array(items) => {
                let inner = items.iter().enumerate();
                open.extend(inner.map(|(n, inner)| (child(&at, &n.to_string()), inner)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}
