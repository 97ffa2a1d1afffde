//! Two documents of one megabyte each, read and compared.
//!
//! Schemas refer to each other in circles, every operation reaches most of them, and one in a
//! hundred has changed: the case in which a differ that follows every way through a document never ends.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use anyhow::anyhow;
use deadelus_api::{Document, Policy, diff};
use deadelus_runtime::Text;
use serde_json::{Map, Value, json};

/// The aim for both documents, parsing included.
const WITHIN: Duration = Duration::from_secs(1);

/// Enough to see the spread, few enough to wait for.
const RUNS: usize = 10;

/// Together about a megabyte of JSON.
const SCHEMAS: usize = 1_300;

/// Two for every three schemas, as in large public documents.
const PATHS: usize = 430;

fn main() -> anyhow::Result<()> {
    let (base, revision) = (document(false).to_string(), document(true).to_string());
    for (name, to_text) in [("JSON", json_text as fn(&str) -> String), ("YAML", yaml_text)] {
        measure(name, &to_text(&base), &to_text(&revision))?;
    }
    Ok(())
}

fn measure(name: &str, base: &str, revision: &str) -> anyhow::Result<()> {
    let mut runs = vec![];
    for _ in 0..RUNS {
        let begun = Instant::now();
        let read = |text: &str| {
            Text::new("bench", text)
                .and_then(|text| Document::parse(&text))
                .map_err(|failure| anyhow!("{failure}"))
        };
        let (old, new) = (read(base)?, read(revision)?);
        let parsed = begun.elapsed();
        let changes = diff(&old, &new, Policy::on(20_000));
        runs.push((begun.elapsed(), parsed, changes.len()));
    }
    runs.sort();
    let ((best, ..), (median, parsed, changes), (worst, ..)) =
        (runs[0], runs[RUNS / 2], runs[RUNS - 1]);
    let sizes = (base.len() / 1024, revision.len() / 1024);
    println!(
        "{name}: {} KiB and {} KiB, {changes} changes: {median:.1?} ({best:.1?} to {worst:.1?}), \
         of which reading {parsed:.1?}",
        sizes.0, sizes.1
    );
    let verdict = if median < WITHIN { "met" } else { "missed" };
    println!("      the aim of {WITHIN:?} is {verdict}");
    Ok(())
}

fn json_text(json: &str) -> String {
    json.to_owned()
}

fn yaml_text(json: &str) -> String {
    let tree: Value = serde_json::from_str(json).unwrap_or_default();
    serde_yaml_ng::to_string(&tree).unwrap_or_default()
}

fn document(revised: bool) -> Value {
    let schemas: Map<String, Value> =
        (0..SCHEMAS).map(|n| (format!("Schema{n}"), schema(n, revised))).collect();
    let paths: Map<String, Value> =
        (0..PATHS).map(|n| (format!("/resources{n}/{{id}}"), path(n))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {"title": "bench", "version": "1.0.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn schema(n: usize, revised: bool) -> Value {
    let limit = if revised && n.is_multiple_of(100) { 50 } else { 100 };
    let to = |step: usize| {
        let name = format!("Schema{}", (n * 7 + step) % SCHEMAS);
        json!({"$ref": format!("#/components/schemas/{name}")})
    };
    json!({
        "type": "object",
        "description": "A resource as callers see it, with what belongs to it.",
        "required": ["id", "name"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "readOnly": true},
            "name": {"type": "string", "minLength": 1, "maxLength": limit},
            "state": {"type": "string", "enum": ["open", "paid", "shipped", "closed"]},
            "amount": {"type": "integer", "minimum": 0, "description": "In the smallest unit."},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 20},
            "owner": to(1),
            "parts": {"type": "array", "items": to(2)},
            "other": {"anyOf": [to(3), to(4), {"type": "null"}]},
        },
    })
}

fn path(n: usize) -> Value {
    let content = |n: usize| {
        let schema = json!({"$ref": format!("#/components/schemas/Schema{}", n % SCHEMAS)});
        json!({"description": "ok", "content": {"application/json": {"schema": schema}}})
    };
    let id = json!({"in": "path", "name": "id", "required": true, "schema": {"type": "string"}});
    let limit = json!({"in": "query", "name": "limit", "schema": {"type": "integer"}});
    json!({
        "parameters": [id],
        "get": {"parameters": [limit], "responses": {"200": content(n * 3)}},
        "put": {"requestBody": content(n * 3 + 1), "responses": {"200": content(n * 3 + 2)}},
    })
}
