//! A path that can be sent: parameters become values that fit their schemas.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{document::Document, operations::Operation};

/// The path of an operation with its path parameters filled in and its required query parameters
/// behind it.
pub(super) fn path(document: &Document, operation: &Operation<'_>) -> String {
    let mut path = operation.path.to_owned();
    let mut query = vec![];
    for parameter in operation.parameters(document) {
        let text = |key| parameter.get(key).and_then(Value::as_str);
        let (Some(name), Some(place)) = (text("name"), text("in")) else { continue };
        let required = parameter.get("required").and_then(Value::as_bool).unwrap_or(false);
        let value = encoded(&sample(document, parameter));
        match place {
            "path" => path = path.replace(&format!("{{{name}}}"), &value),
            "query" if required => query.push(format!("{}={value}", encoded(name))),
            _ => {}
        }
    }
    // What nobody declared still has to be something.
    while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
        if open > close {
            break;
        }
        path.replace_range(open..=close, "1");
    }
    if !query.is_empty() {
        let _ = write!(path, "?{}", query.join("&"));
    }
    path
}

/// What the document itself gives as an example, or else the plainest value of the type.
fn sample(document: &Document, parameter: &Value) -> String {
    let schema = parameter.get("schema").map(|schema| document.resolve("", schema).1);
    let said = parameter.get("example").or_else(|| {
        let schema = schema?;
        let first = |key: &str| schema.get(key)?.as_array()?.first();
        ["example", "default", "const"]
            .iter()
            .find_map(|key| schema.get(key))
            .or_else(|| first("enum"))
            .or_else(|| first("examples"))
            .or_else(|| schema.get("minimum"))
    });
    let text = |key: &str| schema.and_then(|schema| schema.get(key)).and_then(Value::as_str);
    match said {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(flag)) => flag.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {
            match (text("type"), text("format")) {
                (_, Some("uuid")) => "00000000-0000-4000-8000-000000000000",
                (_, Some("date")) => "2000-01-01",
                (_, Some("date-time")) => "2000-01-01T00:00:00Z",
                (Some("boolean"), _) => "true",
                _ => "1",
            }
            .to_owned()
        }
    }
}

/// As it may stand in a path or a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_parameter_becomes_a_value() {
        let root = json!({"openapi": "3.0.3", "paths": {"/a/{id}/{kind}/{lost}": {
            "parameters": [{"in": "path", "name": "id", "schema": {"$ref": "#/x"}}],
            "get": {"parameters": [
                {"in": "path", "name": "kind", "schema": {"enum": ["a b/c"]}},
                {"in": "query", "name": "day", "required": true, "schema": {"format": "date"}},
                {"in": "query", "name": "page", "schema": {"type": "integer"}},
            ]},
        }}, "x": {"type": "integer", "minimum": 7}});
        let document = Document::from_value("a", root).unwrap();
        let operation = document.operations().next().unwrap();
        assert_eq!(path(&document, &operation), "/a/7/a%20b%2Fc/1?day=2000-01-01");
    }
}
