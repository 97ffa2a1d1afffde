//! The effective configuration as a person reads it.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};

/// The configuration as TOML, keys in order, secrets hidden, what is not set left out. A value
/// that cannot be shown at all gives a comment saying so.
pub fn print<T: Serialize>(config: &T) -> String {
    let mut out = String::new();
    match serde_json::to_value(config) {
        Ok(Value::Object(root)) => table(&mut out, "", &root),
        Ok(other) => out.push_str(&inline(&other)),
        Err(error) => out = format!("# cannot be shown: {error}\n"),
    }
    out
}

fn table(out: &mut String, path: &str, entries: &Map<String, Value>) {
    let plain: Vec<_> = entries.iter().filter(|(_, v)| !v.is_object() && !v.is_null()).collect();
    if !path.is_empty() && !plain.is_empty() {
        let gap = if out.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{gap}[{path}]");
    }
    for (name, value) in plain {
        let _ = writeln!(out, "{} = {}", key(name), inline(value));
    }
    for (name, value) in entries {
        if let Value::Object(inner) = value {
            let dot = if path.is_empty() { "" } else { "." };
            table(out, &format!("{path}{dot}{}", key(name)), inner);
        }
    }
}

/// JSON's scalars and arrays are TOML's; only tables are written differently.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let pairs = entries.iter().filter(|(_, v)| !v.is_null());
            let pairs: Vec<_> = pairs.map(|(k, v)| format!("{} = {}", key(k), inline(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}
