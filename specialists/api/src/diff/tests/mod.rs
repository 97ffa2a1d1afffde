//! The differ, by cases of its own and by those of others.

mod gate;
mod operations;
mod oracle;
mod schemas;

use deadelus_runtime::Text;
use serde_json::{Value, json};

use super::{Change, Policy, diff};
use crate::Document;

/// A day in October 2024.
const TODAY: i64 = 20_000;

/// YAML as a tree.
fn yaml(text: &str) -> Value {
    Text::new("case", text).unwrap().tree().unwrap()
}

fn document(root: Value) -> Document {
    Document::from_value("case", root).unwrap()
}

fn changes(base: Value, revision: Value) -> Vec<Change> {
    diff(&document(base), &document(revision), Policy::on(TODAY))
}

/// A document with one operation, `POST /x`.
fn with_operation(operation: Value) -> Value {
    json!({"openapi": "3.1.0", "info": {"title": "x"}, "paths": {"/x": {"post": operation}}})
}

/// Ids in order, those that are breaking with a mark: `!request-property-removed`.
fn ids<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<String> {
    let mark = |change: &Change| if change.breaking { "!" } else { "" };
    let mut ids: Vec<String> =
        changes.into_iter().map(|c| format!("{}{}", mark(c), c.id)).collect();
    ids.sort();
    ids.dedup();
    ids
}
