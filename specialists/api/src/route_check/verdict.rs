//! What an answer says about an operation. Decides; asks nobody.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{document::Document, operations::Operation};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    /// What the `Allow` header says: `GET, POST`.
    pub(super) allow: Option<String>,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// The service knows the operation.
    Answering,
    /// It does not.
    Missing,
    /// It does, and answers with a status that the document does not name.
    Undocumented,
    /// This cannot be told by safe means.
    Untold,
}

/// The verdict on one operation, and why.
pub(super) fn of(
    document: &Document,
    operation: &Operation<'_>,
    seen: &Result<Seen, String>,
) -> (Standing, String) {
    let Seen { status, allow } = match seen {
        Ok(seen) => seen,
        Err(reason) => return (Standing::Missing, reason.clone()),
    };
    if matches!(operation.method, "get" | "head") {
        return of_safe(document, operation, *status);
    }
    let method = operation.method.to_uppercase();
    let allows = allow
        .as_ref()
        .map(|allow| allow.split(',').any(|one| one.trim().eq_ignore_ascii_case(&method)));
    match (status, allows) {
        (405, Some(true)) => (Standing::Answering, format!("Allow names {method}")),
        (405, Some(false)) => (Standing::Missing, format!("Allow does not name {method}")),
        (404, _) if operation.names().is_empty() => {
            (Standing::Missing, "the service does not know the path".to_owned())
        }
        (_, Some(true)) => (Standing::Answering, format!("Allow names {method}")),
        _ => (Standing::Untold, format!("{method} is not safe to send; GET brought {status}")),
    }
}

fn of_safe(document: &Document, operation: &Operation<'_>, status: u16) -> (Standing, String) {
    let documented = documented(document, operation, status);
    // Who has no credentials is turned away, whether or not every operation says so.
    let turned_away = matches!(status, 401 | 403) && secured(document, operation);
    match status {
        405 | 501 => (Standing::Missing, format!("the service answers {status}")),
        404 if operation.names().is_empty() => {
            (Standing::Missing, "the service does not know the path".to_owned())
        }
        404 if documented => {
            (Standing::Untold, "404: no such resource, or no such path".to_owned())
        }
        404 => (Standing::Missing, "404, which the document does not name".to_owned()),
        _ if documented || turned_away => (Standing::Answering, format!("status {status}")),
        _ => (Standing::Undocumented, format!("the document does not name status {status}")),
    }
}

/// Whether the document names a status: `200`, `2XX`, `default`.
fn documented(document: &Document, operation: &Operation<'_>, status: u16) -> bool {
    let (_, responses) = match operation.value.get("responses") {
        Some(responses) => document.resolve("", responses),
        None => return false,
    };
    let range = format!("{}xx", status / 100);
    let named = |key: &String| {
        let key = key.to_lowercase();
        key == status.to_string() || key == range || key == "default"
    };
    responses.as_object().is_some_and(|map| map.keys().any(named))
}

fn secured(document: &Document, operation: &Operation<'_>) -> bool {
    let own = operation.value.get("security").or_else(|| document.root().get("security"));
    own.and_then(Value::as_array).is_some_and(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The verdict on an operation with these responses.
    fn verdict(path: &str, method: &str, responses: Value, seen: Result<Seen, String>) -> Standing {
        let root = json!({"openapi": "3.0.3", "paths": {path: {method: {"responses": responses}}}});
        let document = Document::from_value("a", root).unwrap();
        let operation = document.operations().next().unwrap();
        of(&document, &operation, &seen).0
    }

    fn seen(status: u16, allow: Option<&str>) -> Result<Seen, String> {
        Ok(Seen { status, allow: allow.map(str::to_owned) })
    }

    #[test]
    fn of_a_safe_method() {
        let get = |path, responses, status| verdict(path, "get", responses, seen(status, None));
        let ok = json!({"200": {}, "404": {}});
        assert_eq!(get("/a", ok.clone(), 200), Standing::Answering);
        assert_eq!(get("/a", json!({"2XX": {}}), 204), Standing::Answering);
        assert_eq!(get("/a", json!({"default": {}}), 500), Standing::Answering);
        assert_eq!(get("/a", ok.clone(), 500), Standing::Undocumented);
        assert_eq!(get("/a", ok.clone(), 404), Standing::Missing);
        assert_eq!(get("/a", ok.clone(), 405), Standing::Missing);
        assert_eq!(get("/a/{id}", ok.clone(), 404), Standing::Untold);
        assert_eq!(get("/a/{id}", json!({"200": {}}), 404), Standing::Missing);
        let silent = verdict("/a", "get", ok, Err("refused".to_owned()));
        assert_eq!(silent, Standing::Missing);
    }

    #[test]
    fn of_a_method_that_is_not_sent() {
        let post = |path, status, allow| verdict(path, "post", json!({}), seen(status, allow));
        assert_eq!(post("/a", 405, Some("GET, POST")), Standing::Answering);
        assert_eq!(post("/a", 405, Some("GET")), Standing::Missing);
        assert_eq!(post("/a", 405, None), Standing::Untold);
        assert_eq!(post("/a", 404, None), Standing::Missing);
        assert_eq!(post("/a/{id}", 404, None), Standing::Untold);
        assert_eq!(post("/a", 200, None), Standing::Untold);
    }
}
