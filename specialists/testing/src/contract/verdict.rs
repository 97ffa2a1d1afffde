//! What an answer says about a service and its document. Decides; asks nobody.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::document::{Document, Operation, Place};
use crate::client::{Answer, essence};

/// Of what kind a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// The service does not know the operation, or does not answer.
    Missing,
    /// 5xx: whatever is sent, the service must not break.
    ServerError,
    /// A status, a media type or a body that the document does not name.
    Undocumented,
    /// A request against the document was taken.
    BadInputAccepted,
}

/// The faults of one answer, each with a sentence; `breaks` says what was wrong with the request.
pub(super) fn of(
    document: &Document,
    operation: &Operation<'_>,
    breaks: Option<&str>,
    answer: &Answer,
) -> Vec<(Fault, String)> {
    let status = answer.status;
    let mut faults = vec![];
    if status == 501 || status == 405 || (status == 404 && !operation.path.contains('{')) {
        return vec![(Fault::Missing, format!("the service answers {status}"))];
    }
    if status >= 500 {
        faults.push((Fault::ServerError, format!("status {status}")));
    }
    if let Some(what) = breaks
        && !(400..500).contains(&status)
        && status < 500
    {
        faults.push((Fault::BadInputAccepted, format!("status {status} for: {what}")));
    }
    let turned_away = matches!(status, 401 | 403) && document.secured(operation);
    match response(document, operation, status) {
        Some(response) => {
            let wrong = body(document, &response, answer);
            faults.extend(wrong.map(|text| (Fault::Undocumented, text)));
        }
        None if turned_away => {}
        None => {
            faults.push((Fault::Undocumented, format!("status {status} is not in the document")));
        }
    }
    faults
}

/// What the document says of a status: `200`, `2XX`, `default`.
fn response<'a>(
    document: &'a Document,
    operation: &Operation<'a>,
    status: u16,
) -> Option<Place<'a>> {
    let responses = document.get(&operation.place, "responses")?;
    let range = status / 100;
    let names = [status.to_string(), format!("{range}XX"), format!("{range}xx")];
    names
        .iter()
        .map(String::as_str)
        .chain(["default"])
        .find_map(|name| document.get(&responses, name))
}

/// What is wrong with a body. Where the document names no content, none is judged.
fn body(document: &Document, response: &Place<'_>, answer: &Answer) -> Option<String> {
    let content = document.get(response, "content")?;
    if answer.body.is_empty() && matches!(answer.status, 204 | 304) {
        return None;
    }
    let named = content.value.as_object()?;
    if named.is_empty() {
        return None;
    }
    let said = answer.media_type.clone().unwrap_or_default();
    let wide = |name: &str| name.strip_suffix('*').is_some_and(|start| said.starts_with(start));
    let Some(name) = named.keys().find(|name| essence(name) == said || wide(name)) else {
        return Some(format!("media type {said:?} is not in the document"));
    };
    if said != "application/json" && !said.ends_with("+json") {
        return None;
    }
    let value: Value = match serde_json::from_slice(&answer.body) {
        Ok(value) => value,
        Err(e) => return Some(format!("the body is no JSON: {e}")),
    };
    let schema = document.get(&document.get(&content, name)?, "schema")?;
    match document.validator(&schema) {
        Err(problem) => Some(problem),
        Ok(validator) => {
            let error = validator.iter_errors(&value).next()?;
            Some(format!("body{}: {error}", error.instance_path()))
        }
    }
}
