//! What no schema can say: references that lead to nothing, paths and operations that contradict
//! each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Kind, Problem};
use crate::{
    document::{Document, references},
    operations::{Operation, template},
};

/// Everything of this kind.
pub(super) fn problems(document: &Document) -> Vec<Problem> {
    let mut problems = dangling(document);
    problems.extend(operation_ids(document));
    problems.extend(paths(document));
    for operation in document.operations() {
        problems.extend(parameters(document, &operation));
    }
    problems
}

fn dangling(document: &Document) -> Vec<Problem> {
    let all = references(document.root(), String::new()).into_iter();
    let lost = all.filter(|reference| {
        let value = document.root().pointer(&reference.at).unwrap_or(&Value::Null);
        let (_, found) = document.resolve(&reference.at, value);
        crate::document::reference(found).is_some()
    });
    let problem = |text: String, pointer| Problem { check: Kind::ReferencesResolve, pointer, text };
    lost.map(|r| problem(format!("$ref {:?} leads to nothing, or in a circle", r.to), r.at))
        .collect()
}

fn operation_ids(document: &Document) -> Vec<Problem> {
    let mut seen = BTreeMap::new();
    let mut problems = vec![];
    for operation in document.operations() {
        let Some(id) = operation.value.get("operationId").and_then(Value::as_str) else { continue };
        if let Some(other) = seen.insert(id, operation.pointer.clone()) {
            problems.push(contradiction(
                operation.pointer,
                format!("operationId {id} stands also at {other}"),
            ));
        }
    }
    problems
}

fn paths(document: &Document) -> Vec<Problem> {
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    let mut problems = vec![];
    let all = document.root().get("paths").and_then(Value::as_object);
    for path in all.into_iter().flat_map(|paths| paths.keys()) {
        if let Some(other) = seen.insert(template(path), path) {
            let pointer = crate::document::child("/paths", path);
            problems.push(contradiction(pointer, format!("{path} and {other} are the same path")));
        }
    }
    problems
}

fn parameters(document: &Document, operation: &Operation<'_>) -> Vec<Problem> {
    let mut problems = vec![];
    let wanted: BTreeSet<&str> = operation.names().into_iter().collect();
    let mut declared = BTreeSet::new();
    for parameter in operation.parameters(document) {
        let text = |key| parameter.get(key).and_then(Value::as_str);
        let (Some(name), Some("path")) = (text("name"), text("in")) else { continue };
        declared.insert(name);
        if !wanted.contains(name) {
            let text = format!("path parameter {name} is not in {}", operation.path);
            problems.push(contradiction(operation.pointer.clone(), text));
        }
    }
    for name in wanted.difference(&declared) {
        let text = format!("path parameter {name} of {} is not declared", operation.path);
        problems.push(contradiction(operation.pointer.clone(), text));
    }
    problems
}

fn contradiction(pointer: String, text: String) -> Problem {
    Problem { check: Kind::AgreesWithItself, pointer, text }
}
