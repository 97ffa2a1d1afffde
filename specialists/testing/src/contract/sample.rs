//! Values that fit a schema, and values that do not. Whether they do is for the validator to say.

use serde_json::{Map, Value, json};

use super::document::{Document, Place};

/// Deeper values are rare, and recursive schemas have no end.
const DEPTH_MAX: usize = 8;

/// Longer texts only to break a limit that is itself this small.
const LENGTH_MAX: u64 = 10_000;

/// A value that should fit: the document's own example where `rng` is none, else one that varies.
pub(super) fn fitting(
    document: &Document,
    schema: &Place<'_>,
    rng: &mut Option<fastrand::Rng>,
    depth: usize,
) -> Value {
    let said = |key: &str| schema.value.get(key).cloned();
    let first = |key: &str| schema.value.get(key)?.as_array()?.first().cloned();
    if let Some(value) = said("const") {
        return value;
    }
    if let Some(values) = schema.value.get("enum").and_then(Value::as_array) {
        let place = rng.as_mut().map_or(0, |rng| rng.usize(..values.len().max(1)));
        return values.get(place).cloned().unwrap_or_default();
    }
    let example = said("example").or_else(|| first("examples")).or_else(|| said("default"));
    if let (None, Some(value)) = (&rng, example) {
        return value;
    }
    if let Some(choice) = ["oneOf", "anyOf"].iter().find_map(|key| document.get(schema, key)) {
        return match document.get_item(&choice, 0) {
            Some(one) if depth < DEPTH_MAX => fitting(document, &one, rng, depth + 1),
            Some(_) | None => Value::Null,
        };
    }
    match kind(schema.value) {
        "object" => object(document, schema, rng, depth),
        "array" => {
            let items = limit(schema.value, "minItems").unwrap_or(0).min(LENGTH_MAX);
            match document.get(schema, "items") {
                Some(item) if depth < DEPTH_MAX => {
                    (0..items).map(|_| fitting(document, &item, rng, depth + 1)).collect()
                }
                Some(_) | None => json!([]),
            }
        }
        "integer" => json!(number(schema.value, rng)),
        "number" => json!(number(schema.value, rng)),
        "boolean" => json!(rng.as_mut().is_none_or(fastrand::Rng::bool)),
        "null" => Value::Null,
        _ => json!(text(schema.value, rng)),
    }
}

/// Values of which each breaks one rule of the schema. What stands in a URL is text, so that the
/// type of a text is never broken there.
pub(super) fn breaking(schema: &Value, in_url: bool) -> Vec<(String, Value)> {
    let mut wrong = vec![];
    if schema.get("enum").is_some() {
        wrong.push(("a value that is not in enum".to_owned(), json!("deadelus-none-of-these")));
    }
    match kind(schema) {
        "integer" | "number" => {
            wrong.push(("text for a number".to_owned(), json!("x")));
            for (key, step) in
                [("minimum", -1), ("exclusiveMinimum", 0), ("maximum", 1), ("exclusiveMaximum", 0)]
            {
                if let Some(limit) = schema.get(key).and_then(Value::as_i64) {
                    wrong.push((format!("beyond {key}"), json!(limit.saturating_add(step))));
                }
            }
        }
        "boolean" => wrong.push(("text for a boolean".to_owned(), json!("maybe"))),
        "string" => {
            if !in_url {
                wrong.push(("a number for text".to_owned(), json!(7)));
            }
            if let Some(least @ 1..=LENGTH_MAX) = limit(schema, "minLength") {
                let short = "a".repeat(usize::try_from(least - 1).unwrap_or(0));
                wrong.push(("shorter than minLength".to_owned(), json!(short)));
            }
            if let Some(most @ 0..=LENGTH_MAX) = limit(schema, "maxLength") {
                let long = "a".repeat(usize::try_from(most + 1).unwrap_or(0));
                wrong.push(("longer than maxLength".to_owned(), json!(long)));
            }
            if schema.get("format").is_some() || schema.get("pattern").is_some() {
                wrong.push(("against format or pattern".to_owned(), json!("~ ~")));
            }
        }
        "object" | "array" if !in_url => {
            wrong.push(("text for a structure".to_owned(), json!("x")));
        }
        _ => {}
    }
    wrong
}

/// The first type that is not null; what says nothing but has properties is an object.
pub(super) fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        Some(_) | None if schema.get("properties").or(schema.get("allOf")).is_some() => "object",
        Some(_) | None => "",
    }
}

fn object(
    document: &Document,
    schema: &Place<'_>,
    rng: &mut Option<fastrand::Rng>,
    depth: usize,
) -> Value {
    let mut made = Map::new();
    if depth >= DEPTH_MAX {
        return Value::Object(made);
    }
    if let Some(parts) = document.get(schema, "allOf") {
        let parts = (0..).map_while(|n| document.get_item(&parts, n));
        for part in parts {
            if let Value::Object(part) = fitting(document, &part, rng, depth + 1) {
                made.extend(part);
            }
        }
    }
    let required = schema.value.get("required").and_then(Value::as_array);
    let required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let Some(properties) = document.get(schema, "properties") else { return Value::Object(made) };
    for name in properties.value.as_object().into_iter().flat_map(Map::keys) {
        let Some(property) = document.get(&properties, name) else { continue };
        let read_only = property.value.get("readOnly") == Some(&Value::Bool(true));
        let chosen = rng.as_mut().is_some_and(fastrand::Rng::bool) && !read_only;
        if required(name) || chosen {
            made.insert(name.clone(), fitting(document, &property, rng, depth + 1));
        }
    }
    Value::Object(made)
}

fn limit(schema: &Value, key: &str) -> Option<u64> {
    schema.get(key)?.as_u64()
}

fn number(schema: &Value, rng: &mut Option<fastrand::Rng>) -> i64 {
    let limit = |key: &str| schema.get(key).and_then(Value::as_i64);
    let low = limit("minimum").or_else(|| Some(limit("exclusiveMinimum")?.saturating_add(1)));
    let high = limit("maximum").or_else(|| Some(limit("exclusiveMaximum")?.saturating_sub(1)));
    let low = low.unwrap_or_else(|| high.map_or(1, |high| high.min(1)));
    let high = high.unwrap_or(low.saturating_add(100)).max(low);
    let step = limit("multipleOf").unwrap_or(1).max(1);
    let chosen = rng.as_mut().map_or(low, |rng| rng.i64(low..=high));
    // The next multiple at or above, unless that is too much.
    let up = chosen.saturating_add((step - chosen.rem_euclid(step)) % step);
    if up > high { up.saturating_sub(step) } else { up }
}

fn text(schema: &Value, rng: &mut Option<fastrand::Rng>) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("uuid") => return "00000000-0000-4000-8000-000000000000".to_owned(),
        Some("date") => return "2000-01-01".to_owned(),
        Some("date-time") => return "2000-01-01T00:00:00Z".to_owned(),
        Some("email") => {
            let name: String = (0..8).map(|_| letter(rng)).collect();
            return format!("{name}@example.test");
        }
        Some("uri") => return "http://example.test/".to_owned(),
        Some("ipv4") => return "192.0.2.1".to_owned(),
        Some(_) | None => {}
    }
    /// Long enough that two of them rarely are the same.
    const USUAL_LENGTH: u64 = 8;
    let least = limit(schema, "minLength").unwrap_or(1);
    let most = limit(schema, "maxLength").unwrap_or(u64::MAX).min(least.max(USUAL_LENGTH));
    (0..most.min(LENGTH_MAX)).map(|_| letter(rng)).collect()
}

fn letter(rng: &mut Option<fastrand::Rng>) -> char {
    rng.as_mut().map_or('a', fastrand::Rng::lowercase)
}
