//! Rules about what may stand anywhere: schemas, references, texts.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::rules::Found;
use crate::document::{Document, Version, child};

pub(super) fn array_items(document: &Document) -> Found {
    each(document, |at, object| {
        let array = object.get("type").is_some_and(|kind| kind == "array");
        let lacks = !object.contains_key("items") && !object.contains_key("prefixItems");
        let text = || "an array without items".to_owned();
        (array && lacks && !at.ends_with("/properties")).then(text)
    })
}

pub(super) fn duplicated_entry_in_enum(document: &Document) -> Found {
    each(document, |_, object| {
        let mut seen = BTreeSet::new();
        let list = object.get("enum")?.as_array()?;
        let again = list.iter().map(Value::to_string).find(|value| !seen.insert(value.clone()))?;
        Some(format!("enum value {again} stands there twice"))
    })
}

pub(super) fn typed_enum(document: &Document) -> Found {
    each(document, |_, object| {
        let types: Vec<&str> = match object.get("type")? {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
        };
        let nullable = object.get("nullable") == Some(&Value::Bool(true));
        let fits = |value: &Value| {
            types.iter().any(|kind| is(value, kind)) || (nullable && value.is_null())
        };
        let odd = object.get("enum")?.as_array()?.iter().find(|value| !fits(value))?;
        Some(format!("enum value {odd} is no {}", types.join(" or ")))
    })
}

/// In 3.0 what stands beside a `$ref` is ignored.
pub(super) fn no_ref_siblings(document: &Document) -> Found {
    if document.version() != Version::V3_0 {
        return vec![];
    }
    each(document, |_, object| {
        let refers = object.get("$ref").is_some_and(Value::is_string);
        (refers && object.len() > 1).then(|| "what stands beside a $ref is ignored".to_owned())
    })
}

pub(super) fn no_eval_in_markdown(document: &Document) -> Found {
    texts(document, "eval(")
}

pub(super) fn no_script_tags_in_markdown(document: &Document) -> Found {
    texts(document, "<script")
}

fn texts(document: &Document, bad: &str) -> Found {
    each(document, |_, object| {
        let text = |key: &&str| object.get(*key).and_then(Value::as_str);
        let found = ["description", "title"].iter().filter_map(text).find(|t| t.contains(bad));
        found.map(|_| format!("a text has {bad} in it"))
    })
}

/// What a look at each object finds, with its place. Examples are data, and are left out.
fn each(document: &Document, look: impl Fn(&str, &Map<String, Value>) -> Option<String>) -> Found {
    let mut found = vec![];
    let mut open = vec![(String::new(), document.root())];
    while let Some((at, value)) = open.pop() {
        match value {
            Value::Object(object) => {
                found.extend(look(&at, object).map(|text| (at.clone(), text)));
                let named = at.ends_with("/properties");
                let data = |key: &str| matches!(key, "example" | "examples" | "default" | "enum");
                let inner = object.iter().filter(|(key, _)| named || !data(key));
                open.extend(inner.map(|(key, inner)| (child(&at, key), inner)));
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

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}
