//! A JSON Schema as tables that people read: one for the whole, one for each type it names.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// All tables of a schema.
pub(super) fn tables(schema: &Value) -> String {
    let mut text = table(schema);
    for (name, named) in schema["$defs"].as_object().into_iter().flatten() {
        let _ = write!(text, "\n### {name}\n\n{}", table(named));
    }
    text
}

/// In one cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn table(schema: &Value) -> String {
    let mut text = described(schema).map_or_else(String::new, |what| format!("{what}\n\n"));
    let Some(properties) = schema["properties"].as_object().filter(|all| !all.is_empty()) else {
        let alternatives = alternatives(schema);
        if alternatives.is_empty() {
            let _ = writeln!(text, "{}", kind(schema));
        }
        for alternative in alternatives {
            let what = described(alternative).unwrap_or_default();
            let _ = writeln!(text, "* {} {what}", kind(alternative));
        }
        return text;
    };
    text += "| name | type | | |\n|---|---|---|---|\n";
    for (name, property) in properties {
        let what = described(property).unwrap_or_default();
        let _ =
            writeln!(text, "| `{name}` | {} | {} | {what} |", kind(property), need(schema, name));
    }
    text
}

/// Whether it has to be there, and what it is where it is not.
fn need(schema: &Value, name: &str) -> String {
    let required = schema["required"].as_array().into_iter().flatten();
    if required.filter_map(Value::as_str).any(|one| one == name) {
        return "required".to_owned();
    }
    match &schema["properties"][name]["default"] {
        Value::Null => String::new(),
        default => format!("`{}`", cell(&default.to_string())),
    }
}

fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(constant) = schema.get("const") {
        return format!("`{}`", cell(&constant.to_string()));
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> =
            values.iter().map(|v| format!("`{}`", cell(&v.to_string()))).collect();
        return values.join(", ");
    }
    let alternatives = alternatives(schema);
    if !alternatives.is_empty() {
        let kinds = alternatives.iter().map(|one| kind(one)).filter(|kind| kind != "null");
        return kinds.collect::<Vec<_>>().join(" or ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => {
            all.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec!["anything"],
    };
    types.into_iter().map(|one| of_type(one, schema)).collect::<Vec<_>>().join(" or ")
}

fn of_type(one: &str, schema: &Value) -> String {
    match one {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" => match &schema["additionalProperties"] {
            values @ Value::Object(_) => format!("map to {}", kind(values)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => own_fields(schema["properties"].as_object()),
        },
        other => other.to_owned(),
    }
}

fn own_fields(fields: Option<&Map<String, Value>>) -> String {
    let names: Vec<String> = fields
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("`{name}`: {}", kind(value)))
        .collect();
    if names.is_empty() { "object".to_owned() } else { format!("object of {}", names.join(", ")) }
}

fn alternatives(schema: &Value) -> Vec<&Value> {
    let all = ["anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array());
    all.flatten().collect()
}

fn described(schema: &Value) -> Option<String> {
    schema["description"].as_str().map(cell)
}
