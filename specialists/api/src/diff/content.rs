//! Bodies: request bodies, responses, their media types and headers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    report::Usage,
    rules::Place,
    schema::{types::Wire, view::Spot},
    walk::{Operation, Walk},
};

/// A body of an operation, or of what the service sends by itself.
#[derive(Debug, Clone, Copy)]
struct Body<'o> {
    operation: &'o str,
    at: &'o str,
    place: Place,
}

impl<'a> Walk<'a> {
    pub(super) fn request_body(&mut self, operation: &Operation<'a>) {
        let old = operation.a.get("requestBody").map(|body| body.resolved(self.base));
        let new = operation.b.get("requestBody").map(|body| body.resolved(self.revision));
        let name = &operation.name;
        let required =
            |body: &Spot<'a>| body.value.get("required").and_then(Value::as_bool).unwrap_or(false);
        match (old, new) {
            (None, None) => {}
            (Some(old), None) => {
                let text = "the request body is gone".to_owned();
                self.tell("request-body-removed", name, "request body", &old.pointer, text);
            }
            (None, Some(new)) => {
                let (id, text) = if required(&new) {
                    ("request-body-added-required", "a required request body was added")
                } else {
                    ("request-body-added-optional", "an optional request body was added")
                };
                self.tell(id, name, "request body", &new.pointer, text.to_owned());
            }
            (Some(old), Some(new)) => {
                match (required(&old), required(&new)) {
                    (false, true) => {
                        let text = "the request body became required".to_owned();
                        let id = "request-body-became-required";
                        self.tell(id, name, "request body", &new.pointer, text);
                    }
                    (true, false) => {
                        let text = "the request body became optional".to_owned();
                        let id = "request-body-became-optional";
                        self.tell(id, name, "request body", &new.pointer, text);
                    }
                    (true, true) | (false, false) => {}
                }
                let (at, place) = ("request body", Place::RequestBody);
                self.content(Body { operation: name, at, place }, &old, &new);
            }
        }
    }

    /// The body of what the service sends by itself: callers read it as they read a response.
    pub(super) fn payload(&mut self, operation: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let old = a.get("requestBody").map(|body| body.resolved(self.base));
        let new = b.get("requestBody").map(|body| body.resolved(self.revision));
        let body = Body { operation, at: "payload", place: Place::ResponseBody };
        match (old, new) {
            (Some(old), Some(new)) => self.content(body, &old, &new),
            (Some(old), None) => {
                let text = "nothing is sent any more".to_owned();
                let id = "response-media-type-removed";
                self.tell(id, operation, "payload", &old.pointer, text);
            }
            (None, _) => {}
        }
    }

    /// What the service expects to be answered: a request by another name.
    pub(super) fn answers(&mut self, operation: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let news: BTreeMap<_, _> = b.entries("responses").into_iter().collect();
        for (status, old) in a.entries("responses") {
            let at = format!("answer {status}");
            match news.get(status) {
                None => {
                    let text = format!("it no longer expects {status}");
                    self.tell("webhook-responses-changed", operation, &at, &old.pointer, text);
                }
                Some(new) => {
                    let (old, new) = (old.resolved(self.base), new.clone().resolved(self.revision));
                    let place = Place::RequestBody;
                    self.content(Body { operation, at: &at, place }, &old, &new);
                }
            }
        }
    }

    pub(super) fn responses(&mut self, operation: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let olds: BTreeMap<_, _> = a.entries("responses").into_iter().collect();
        let news: BTreeMap<_, _> = b.entries("responses").into_iter().collect();
        for (status, old) in &olds {
            let at = format!("response {status}");
            match news.get(status) {
                None => {
                    let id = if success(status, &olds) {
                        "response-success-status-removed"
                    } else {
                        "response-non-success-status-removed"
                    };
                    let text = format!("status {status} is gone");
                    self.tell(id, operation, &at, &old.pointer, text);
                }
                Some(new) => {
                    let (old, new) =
                        (old.clone().resolved(self.base), new.clone().resolved(self.revision));
                    self.headers(operation, &at, &old, &new);
                    let place = Place::ResponseBody;
                    self.content(Body { operation, at: &at, place }, &old, &new);
                }
            }
        }
        for (status, new) in news.iter().filter(|(status, _)| !olds.contains_key(*status)) {
            let id = if success(status, &news) {
                "response-success-status-added"
            } else {
                "response-non-success-status-added"
            };
            let text = format!("status {status} was added");
            self.tell(id, operation, &format!("response {status}"), &new.pointer, text);
        }
    }

    fn headers(&mut self, operation: &str, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        // Header names have no case, and Content-Type is described elsewhere.
        let of = |spot: &Spot<'a>| -> BTreeMap<String, Spot<'a>> {
            let entries = spot.entries("headers").into_iter();
            entries.map(|(name, header)| (name.to_lowercase(), header)).collect()
        };
        let required = |header: &Spot<'a>| {
            header.value.get("required").and_then(Value::as_bool).unwrap_or(false)
        };
        let (olds, news) = (of(a), of(b));
        for (name, old) in &olds {
            let old = old.clone().resolved(self.base);
            let at = format!("{at} header {name}");
            let Some(new) = news.get(name) else {
                let id = if required(&old) {
                    "required-response-header-removed"
                } else {
                    "optional-response-header-removed"
                };
                self.tell(id, operation, &at, &old.pointer, format!("header {name} is gone"));
                continue;
            };
            let new = new.clone().resolved(self.revision);
            match (required(&old), required(&new)) {
                (true, false) => {
                    let text = "it became optional".to_owned();
                    self.tell(
                        "response-header-became-optional",
                        operation,
                        &at,
                        &new.pointer,
                        text,
                    );
                }
                (false, true) => {
                    let text = "it became required".to_owned();
                    self.tell(
                        "response-header-became-required",
                        operation,
                        &at,
                        &new.pointer,
                        text,
                    );
                }
                (true, true) | (false, false) => {}
            }
            let schema = |header: &Spot<'a>| header.get("schema").unwrap_or_else(anything);
            let node = self.graph.node(schema(&old), schema(&new));
            let wire = Wire::Text { exploded: false };
            let (operation, place) = (operation.to_owned(), Place::ResponseHeader);
            self.uses(Usage { operation, at, place, wire, header: true, node });
        }
        for (name, new) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
            let (text, at) = (format!("header {name} was added"), format!("{at} header {name}"));
            self.tell("response-header-added", operation, &at, &new.pointer, text);
        }
    }

    /// Media types of both sides, by name, and those that only changed their name.
    fn content(&mut self, body: Body<'_>, a: &Spot<'a>, b: &Spot<'a>) {
        let olds: BTreeMap<_, _> = a.entries("content").into_iter().collect();
        let news: BTreeMap<_, _> = b.entries("content").into_iter().collect();
        let mut gone: Vec<_> = olds.iter().filter(|(name, _)| !news.contains_key(*name)).collect();
        let mut new: Vec<_> = news.iter().filter(|(name, _)| !olds.contains_key(*name)).collect();
        for (name, old) in &olds {
            if let Some(new) = news.get(name) {
                self.media_type(body, name, old, new);
            }
        }
        if body.place == Place::ResponseBody {
            self.renamed(body, &mut gone, &mut new);
        }
        let ids = if body.place == Place::ResponseBody {
            ("response-media-type-removed", "response-media-type-added")
        } else {
            ("request-body-media-type-removed", "request-body-media-type-added")
        };
        let Body { operation, at, .. } = body;
        for (name, old) in gone {
            let text = format!("media type {name} is gone");
            self.tell(ids.0, operation, &format!("{at} {name}"), &old.pointer, text);
        }
        for (name, new) in new {
            let text = format!("media type {name} was added");
            self.tell(ids.1, operation, &format!("{at} {name}"), &new.pointer, text);
        }
    }

    /// Media types that say the same more or less exactly: `application/xml` and
    /// `application/atom+xml`.
    fn renamed(
        &mut self,
        body: Body<'_>,
        gone: &mut Vec<(&&'a str, &Spot<'a>)>,
        new: &mut Vec<(&&'a str, &Spot<'a>)>,
    ) {
        gone.retain(|(from, old)| {
            let found = new.iter().position(|(to, _)| naming(from, to).is_some());
            let Some(place) = found else { return true };
            let (to, spot) = new.remove(place);
            let id = naming(from, to).unwrap_or("response-media-type-name-changed");
            let at = format!("{} {to}", body.at);
            let text = format!("media type {from} became {to}");
            self.tell(id, body.operation, &at, &spot.pointer, text);
            self.media_type(body, to, old, spot);
            false
        });
    }

    fn media_type(&mut self, body: Body<'_>, name: &str, old: &Spot<'a>, new: &Spot<'a>) {
        let Body { operation, at, place } = body;
        let at = format!("{at} {name}");
        let (side, fix) = (place.prefix(), |spot: &Spot<'a>| spot.value.get("encoding").cloned());
        if fix(old) != fix(new) {
            let id = format!("{side}-media-type-encoding-changed");
            self.tell(&id, operation, &at, &new.pointer, "the encoding changed".to_owned());
        }
        match (old.get("schema"), new.get("schema")) {
            (None, None) => {}
            (None, Some(schema)) => {
                let id = format!("{side}-media-type-schema-added");
                self.tell(&id, operation, &at, &schema.pointer, "a schema was added".to_owned());
            }
            (Some(schema), None) => {
                let id = format!("{side}-media-type-schema-removed");
                self.tell(&id, operation, &at, &schema.pointer, "the schema is gone".to_owned());
            }
            (Some(a), Some(b)) => {
                let node = self.graph.node(a, b);
                let (operation, wire) = (operation.to_owned(), wire(name));
                self.uses(Usage { operation, at, place, wire, header: false, node });
            }
        }
    }
}

/// What no schema says.
fn anything<'a>() -> Spot<'a> {
    static ANYTHING: Value = Value::Bool(true);
    Spot { pointer: String::new(), value: &ANYTHING }
}

/// Whether a status means that it went well; `default` does where nothing else says so.
fn success(status: &str, all: &BTreeMap<&str, Spot<'_>>) -> bool {
    status.starts_with('2')
        || (status == "default" && !all.keys().any(|other| other.starts_with('2')))
}

/// How the values of a media type are written.
fn wire(name: &str) -> Wire {
    let name = name.split(';').next().unwrap_or(name).trim().to_lowercase();
    let loose = name.starts_with("text/")
        || name.starts_with("multipart/")
        || name.ends_with("xml")
        || name == "application/x-www-form-urlencoded";
    if loose { Wire::Loose } else { Wire::Json }
}

/// The id for a media type that became another by name only; none where they are not related.
fn naming(from: &str, to: &str) -> Option<&'static str> {
    let essence = |name: &str| name.split(';').next().unwrap_or(name).trim().to_lowercase();
    let (from, to) = (essence(from), essence(to));
    let suffix = |name: &str| {
        let (kind, subtype) = name.split_once('/')?;
        Some(format!("{kind}/{}", subtype.rsplit_once('+')?.1))
    };
    let range = |wide: &str, narrow: &str| {
        let kind = wide.strip_suffix("/*");
        kind.is_some_and(|kind| kind == "*" || narrow.starts_with(&format!("{kind}/")))
    };
    if from == to {
        Some("response-media-type-name-changed")
    } else if suffix(&to).as_ref() == Some(&from) || range(&from, &to) {
        Some("response-media-type-name-specialized")
    } else if suffix(&from).as_ref() == Some(&to) || range(&to, &from) {
        Some("response-media-type-name-generalized")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_by_name() {
        let specialized = Some("response-media-type-name-specialized");
        assert_eq!(naming("application/xml", "application/atom+xml"), specialized);
        assert_eq!(naming("*/*", "application/json"), specialized);
        let generalized = Some("response-media-type-name-generalized");
        assert_eq!(naming("application/problem+json", "application/json"), generalized);
        let changed = Some("response-media-type-name-changed");
        assert_eq!(naming("text/plain; charset=a", "text/plain"), changed);
        assert_eq!(naming("application/json", "application/xml"), None);
        assert_eq!((wire("application/vnd.x+json"), wire("Text/XML")), (Wire::Json, Wire::Loose));
    }
}
