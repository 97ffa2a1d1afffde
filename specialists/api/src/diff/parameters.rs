//! Parameters: which there are, which must be there, how they are written.

use serde_json::Value;

use super::{
    lifecycle::{End, Life},
    report::Usage,
    rules::Place,
    schema::{types::Wire, view::Spot},
    walk::{Operation, Walk},
};
use crate::{document::Document, operations::path_parameters};

/// A parameter of an operation.
#[derive(Debug, Clone)]
struct Parameter<'a> {
    /// `query`
    place: &'a str,
    name: &'a str,
    /// What it is found by on the wire: a header in small letters, a path parameter by its turn.
    key: String,
    /// Whether it stands at the path and not at the operation.
    shared: bool,
    spot: Spot<'a>,
}

impl<'a> Walk<'a> {
    pub(super) fn parameters(&mut self, operation: &Operation<'a>) {
        let olds = parameters(self.base, &operation.items.0, &operation.a, operation.paths.0);
        let news = parameters(self.revision, &operation.items.1, &operation.b, operation.paths.1);
        let same = |a: &Parameter<'a>, b: &Parameter<'a>| a.place == b.place && a.key == b.key;
        for old in &olds {
            match news.iter().find(|new| same(old, new)) {
                None => self.parameter_removed(&operation.name, old),
                Some(new) => self.parameter(&operation.name, old, new),
            }
        }
        for new in news.iter().filter(|new| !olds.iter().any(|old| same(old, new))) {
            self.parameter_added(&operation.name, new);
        }
    }

    fn parameter_added(&mut self, operation: &str, new: &Parameter<'a>) {
        let required = flag(new, "required");
        let id = match (new.place, new.shared, required) {
            ("path", ..) => "new-request-path-parameter",
            (_, true, true) => "new-required-request-default-parameter-to-existing-path",
            (_, true, false) => "new-optional-request-default-parameter-to-existing-path",
            (_, false, true) => "new-required-request-parameter",
            (_, false, false) => "new-optional-request-parameter",
        };
        let text = format!("{} parameter {} was added", new.place, new.name);
        self.tell(id, operation, &at(new), &new.spot.pointer, text);
    }

    fn parameter_removed(&mut self, operation: &str, old: &Parameter<'a>) {
        let id = match self.policy.end(old.spot.value) {
            End::Unannounced => "request-parameter-removed",
            End::BeforeSunset => "request-parameter-removed-before-sunset",
            End::Announced => "request-parameter-removed-with-deprecation",
            End::SunsetInvalid => "request-parameter-sunset-parse",
        };
        let text = format!("{} parameter {} is gone", old.place, old.name);
        self.tell(id, operation, &at(old), &old.spot.pointer, text);
    }

    fn parameter(&mut self, operation: &str, old: &Parameter<'a>, new: &Parameter<'a>) {
        let mut tell = |id: &str, text: &str| {
            self.tell(id, operation, &at(new), &new.spot.pointer, text.to_owned());
        };
        match (flag(old, "required"), flag(new, "required")) {
            (false, true) => tell("request-parameter-became-required", "it became required"),
            (true, false) => tell("request-parameter-became-optional", "it became optional"),
            (true, true) | (false, false) => {}
        }
        let written = |p: &Parameter<'a>| {
            (style(p), explode(p), flag(p, "allowReserved"), p.spot.value.get("content").is_some())
        };
        if written(old) != written(new) {
            tell("request-parameter-style-changed", "it is written in another way");
        }
        if flag(old, "allowEmptyValue") && !flag(new, "allowEmptyValue") {
            tell("request-parameter-style-changed", "it must not be empty now");
        }
        let life = match self.policy.life(old.spot.value, new.spot.value) {
            Life::Unchanged => None,
            Life::Reactivated => Some("request-parameter-reactivated"),
            Life::Deprecated | Life::WithSunset => Some("request-parameter-deprecated"),
            Life::SunsetMissing => Some("request-parameter-deprecated-sunset-missing"),
            Life::SunsetInvalid => Some("request-parameter-sunset-parse"),
            Life::TooSoon => Some("request-parameter-sunset-date-too-small"),
            Life::SunsetDeleted => Some("request-parameter-sunset-deleted"),
            Life::MovedTooSoon => Some("request-parameter-sunset-date-changed-too-small"),
        };
        if let Some(id) = life {
            let text = "what is announced about its end changed".to_owned();
            self.tell(id, operation, &at(new), &new.spot.pointer, text);
        }
        self.parameter_schema(operation, old, new);
    }

    fn parameter_schema(&mut self, operation: &str, old: &Parameter<'a>, new: &Parameter<'a>) {
        let header = new.place == "header";
        let uses = |walk: &mut Self, a: Spot<'a>, b: Spot<'a>, wire| {
            let node = walk.graph.node(a, b);
            let (operation, at) = (operation.to_owned(), at(new));
            walk.uses(Usage { operation, at, place: Place::Parameter, wire, header, node });
        };
        let exploded = style(new) == "form" && explode(new);
        let wire = Wire::Text { exploded };
        match (old.spot.get("schema"), new.spot.get("schema")) {
            (Some(a), Some(b)) => uses(self, a, b, wire),
            (None, Some(b)) => {
                uses(self, Spot { pointer: String::new(), value: &ANYTHING }, b, wire)
            }
            (Some(a), None) => {
                uses(self, a, Spot { pointer: String::new(), value: &ANYTHING }, wire)
            }
            (None, None) => {}
        }
        let content = |p: &Parameter<'a>| p.spot.entries("content").into_iter().next();
        if let (Some((a_type, a)), Some((b_type, b))) = (content(old), content(new)) {
            if a_type != b_type {
                let text = format!("{a_type} became {b_type}");
                let id = "request-parameter-style-changed";
                self.tell(id, operation, &at(new), &new.spot.pointer, text);
            }
            if let (Some(a), Some(b)) = (a.get("schema"), b.get("schema")) {
                uses(self, a, b, Wire::Json);
            }
        }
    }
}

/// What no schema says.
static ANYTHING: Value = Value::Bool(true);

/// All parameters of an operation: its own, and those of the path that it does not replace.
fn parameters<'a>(
    document: &'a Document,
    item: &Spot<'a>,
    operation: &Spot<'a>,
    path: &str,
) -> Vec<Parameter<'a>> {
    let turns = path_parameters(path);
    let read = |holder: &Spot<'a>, shared: bool| -> Vec<Parameter<'a>> {
        let spots = holder.list("parameters").into_iter();
        let spots = spots.map(|spot| spot.resolved(document));
        spots
            .filter_map(|spot| {
                let place = spot.value.get("in")?.as_str()?;
                let name = spot.value.get("name")?.as_str()?;
                let turn = turns.iter().position(|other| *other == name);
                let key = match (place, turn) {
                    ("path", Some(turn)) => format!("{{{turn}}}"),
                    ("header", _) => name.to_lowercase(),
                    _ => name.to_owned(),
                };
                Some(Parameter { place, name, key, shared, spot })
            })
            .collect()
    };
    let mut all = read(operation, false);
    for shared in read(item, true) {
        if !all.iter().any(|own| own.place == shared.place && own.key == shared.key) {
            all.push(shared);
        }
    }
    all
}

/// `query parameter limit`
fn at(parameter: &Parameter<'_>) -> String {
    format!("{} parameter {}", parameter.place, parameter.name)
}

fn flag(parameter: &Parameter<'_>, key: &str) -> bool {
    parameter.spot.value.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn style<'a>(parameter: &Parameter<'a>) -> &'a str {
    let said = parameter.spot.value.get("style").and_then(Value::as_str);
    said.unwrap_or(match parameter.place {
        "query" | "cookie" => "form",
        _ => "simple",
    })
}

fn explode(parameter: &Parameter<'_>) -> bool {
    let said = parameter.spot.value.get("explode").and_then(Value::as_bool);
    said.unwrap_or(style(parameter) == "form")
}
