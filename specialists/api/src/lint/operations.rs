//! Rules about paths and operations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{document::tag_names, rules::Found};
use crate::{
    document::{Document, child},
    operations::{Operation, template},
    validate,
};

pub(super) fn description(document: &Document) -> Found {
    lacking(document, "description")
}

pub(super) fn operation_id(document: &Document) -> Found {
    lacking(document, "operationId")
}

pub(super) fn operation_id_unique(document: &Document) -> Found {
    let mut seen = BTreeSet::new();
    let again = ids(document).into_iter().filter(|(_, id)| !seen.insert(*id));
    again.map(|(at, id)| (at, format!("operationId {id} stands there twice"))).collect()
}

pub(super) fn operation_id_valid_in_url(document: &Document) -> Found {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=".contains(c);
    let bad = ids(document).into_iter().filter(|(_, id)| !id.chars().all(legal));
    bad.map(|(at, id)| (at, format!("operationId {id:?} cannot stand in an address"))).collect()
}

pub(super) fn tags(document: &Document) -> Found {
    let none = document.operations().filter(|operation| tags_of(operation).is_empty());
    none.map(|operation| (operation.pointer, "it has no tag".to_owned())).collect()
}

pub(super) fn singular_tag(document: &Document) -> Found {
    let many = document.operations().filter(|operation| tags_of(operation).len() > 1);
    many.map(|operation| (child(&operation.pointer, "tags"), "it has several".to_owned())).collect()
}

pub(super) fn tag_defined(document: &Document) -> Found {
    let defined = tag_names(document);
    let mut found = vec![];
    for operation in document.operations() {
        for (n, tag) in tags_of(&operation).into_iter().enumerate() {
            if !defined.contains(&tag) {
                let pointer = format!("{}/tags/{n}", operation.pointer);
                found.push((pointer, format!("tag {tag} is not among the document's tags")));
            }
        }
    }
    found
}

pub(super) fn success_response(document: &Document) -> Found {
    let succeeds = |operation: &Operation<'_>| {
        let responses = operation.value.get("responses").and_then(Value::as_object);
        responses.is_some_and(|all| all.keys().any(|status| status.starts_with(['2', '3'])))
    };
    let bad = document.operations().filter(|operation| !succeeds(operation));
    bad.map(|operation| (operation.pointer, "it has no 2xx or 3xx response".to_owned())).collect()
}

pub(super) fn parameters(document: &Document) -> Found {
    let mut found = vec![];
    for operation in document.operations() {
        let list = operation.value.get("parameters").and_then(Value::as_array);
        let mut seen = BTreeSet::new();
        for (n, parameter) in list.into_iter().flatten().enumerate() {
            let (_, parameter) = document.resolve("", parameter);
            let text = |key| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            if !seen.insert((text("in"), text("name"))) {
                let pointer = format!("{}/parameters/{n}", operation.pointer);
                found.push((pointer, format!("parameter {} stands there twice", text("name"))));
            }
        }
    }
    found
}

pub(super) fn parameter_description(document: &Document) -> Found {
    let mut found = vec![];
    for operation in document.operations() {
        for parameter in operation.parameters(document) {
            if parameter.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
                let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
                let text = format!("parameter {name} has no description");
                found.push((operation.pointer.clone(), text));
            }
        }
    }
    found
}

pub(super) fn security_defined(document: &Document) -> Found {
    let schemes = document.root().pointer("/components/securitySchemes");
    let defined = |name: &str| schemes.is_some_and(|schemes| schemes.get(name).is_some());
    let mut found = vec![];
    let mut look = |holder: &Value, at: &str| {
        let list = holder.get("security").and_then(Value::as_array);
        for (n, requirement) in list.into_iter().flatten().enumerate() {
            for name in requirement.as_object().into_iter().flat_map(|map| map.keys()) {
                if !defined(name) {
                    let text = format!("security scheme {name} is not defined");
                    found.push((format!("{at}/security/{n}"), text));
                }
            }
        }
    };
    look(document.root(), "");
    for operation in document.operations() {
        look(operation.value, &operation.pointer);
    }
    found
}

/// Path parameters that are not declared, or not in the path, and paths that are one another.
pub(super) fn path_params(document: &Document) -> Found {
    let problems = validate::problems(document).into_iter();
    let mut seen = BTreeMap::new();
    problems
        .filter(|problem| problem.check == validate::Kind::AgreesWithItself)
        .filter(|problem| !problem.text.starts_with("operationId"))
        .filter(|problem| {
            seen.insert((problem.pointer.clone(), problem.text.clone()), ()).is_none()
        })
        .map(|problem| (problem.pointer, problem.text))
        .collect()
}

pub(super) fn path_declarations(document: &Document) -> Found {
    paths(document, |path| path.contains("{}"), "has braces without a name")
}

pub(super) fn path_no_trailing_slash(document: &Document) -> Found {
    paths(document, |path| path != "/" && path.ends_with('/'), "ends in a slash")
}

pub(super) fn path_not_include_query(document: &Document) -> Found {
    paths(document, |path| template(path).contains('?'), "has a query")
}

fn paths(document: &Document, bad: fn(&str) -> bool, what: &str) -> Found {
    let all = document.root().get("paths").and_then(Value::as_object);
    let bad = all.into_iter().flat_map(|map| map.keys()).filter(|path| bad(path));
    bad.map(|path| (child("/paths", path), format!("{path} {what}"))).collect()
}

fn lacking(document: &Document, key: &str) -> Found {
    let empty = |operation: &Operation<'_>| {
        operation.value.get(key).and_then(Value::as_str).is_none_or(str::is_empty)
    };
    let bad = document.operations().filter(empty);
    bad.map(|operation| (operation.pointer, format!("it lacks {key}"))).collect()
}

fn ids(document: &Document) -> Vec<(String, &str)> {
    let all = document.operations();
    all.filter_map(|operation| {
        let id = operation.value.get("operationId")?.as_str()?;
        Some((child(&operation.pointer, "operationId"), id))
    })
    .collect()
}

fn tags_of<'a>(operation: &Operation<'a>) -> Vec<&'a str> {
    let list = operation.value.get("tags").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}
