//! One schema, seen the same way in both dialects.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::types::Kind;
use crate::document::{Document, Version, child, reference};

/// Keywords that admit and refuse nothing.
const ANNOTATIONS: [&str; 10] = [
    "title",
    "description",
    "example",
    "examples",
    "externalDocs",
    "$comment",
    "$schema",
    "$defs",
    "definitions",
    "deprecated",
];

/// A schema and where it stands.
#[derive(Debug, Clone)]
pub(in crate::diff) struct Spot<'a> {
    pub(in crate::diff) pointer: String,
    pub(in crate::diff) value: &'a Value,
}

impl<'a> Spot<'a> {
    /// What stands under a key, if it is there.
    pub(in crate::diff) fn get(&self, key: &str) -> Option<Spot<'a>> {
        let value = self.value.get(key)?;
        Some(Spot { pointer: child(&self.pointer, key), value })
    }

    /// The members of a list under a key.
    pub(in crate::diff) fn list(&self, key: &str) -> Vec<Spot<'a>> {
        let list = self.get(key);
        let items = list.as_ref().and_then(|list| Some((list, list.value.as_array()?)));
        let Some((list, items)) = items else { return vec![] };
        let spot = |(place, value): (usize, &'a Value)| Spot {
            pointer: child(&list.pointer, &place.to_string()),
            value,
        };
        items.iter().enumerate().map(spot).collect()
    }

    /// The entries of an object under a key.
    pub(in crate::diff) fn entries(&self, key: &str) -> Vec<(&'a str, Spot<'a>)> {
        let Some(object) = self.get(key) else { return vec![] };
        let Some(map) = object.value.as_object() else { return vec![] };
        let spot = |(key, value): (&'a String, &'a Value)| {
            (key.as_str(), Spot { pointer: child(&object.pointer, key), value })
        };
        map.iter().map(spot).collect()
    }

    /// The same with `$ref`s followed.
    pub(in crate::diff) fn resolved(self, document: &'a Document) -> Self {
        let (pointer, value) = document.resolve(&self.pointer, self.value);
        Self { pointer, value }
    }

    pub(super) fn reference(&self) -> Option<&'a str> {
        reference(self.value)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.value.get(key)?.as_str()
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.value.get(key)?.as_f64()
    }

    /// The names in a list of names.
    pub(super) fn names(&self, key: &str) -> BTreeSet<&'a str> {
        let list = self.value.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Keywords that admit or refuse something.
    pub(super) fn assertions(&self) -> impl Iterator<Item = &'a str> {
        self.value.as_object().into_iter().flat_map(Map::keys).map(String::as_str).filter(|key| {
            !ANNOTATIONS.contains(key) && (!key.starts_with("x-") || *key == "x-extensible-enum")
        })
    }

    /// Whether it admits everything: `{}`, `true`, `{"title": "Any"}`.
    pub(super) fn trivial(&self) -> bool {
        match self.value {
            Value::Bool(admits) => *admits,
            Value::Object(_) => self.assertions().next().is_none(),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
        }
    }

    /// Whether it is nothing but types: `{"type": "string"}`.
    pub(super) fn bare(&self) -> bool {
        self.value.get("type").is_some() && self.assertions().all(|key| key == "type")
    }

    /// The types it names, `null` among them.
    fn type_names(&self) -> BTreeSet<String> {
        match self.value.get("type") {
            Some(Value::String(one)) => [one.clone()].into(),
            Some(Value::Array(many)) => {
                many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
                BTreeSet::new()
            }
        }
    }

    /// Whether it is `{"type": "null"}`.
    pub(super) fn null(&self) -> bool {
        let names = self.type_names();
        names.len() == 1 && names.contains("null")
    }

    /// Whether it admits `null`, in either dialect.
    pub(super) fn nullable(&self, version: Version) -> bool {
        let member = |key| self.list(key).iter().any(Spot::null);
        match version {
            Version::V3_0 => self.flag("nullable"),
            Version::V3_1 => {
                self.type_names().contains("null") || member("oneOf") || member("anyOf")
            }
        }
    }

    /// Its types and its format.
    pub(super) fn kind(&self, document: &'a Document) -> Kind {
        let mut types = self.type_names();
        if types.len() > 1 {
            types.remove("null");
        }
        let items = self.get("items").map(|items| items.resolved(document));
        let free = self.assertions().all(|key| matches!(key, "type" | "items"));
        let items = items.filter(|items| {
            free && types.contains("array")
                && items.assertions().all(|key| matches!(key, "type" | "format"))
        });
        let items = items.map(|items| Box::new(items.kind(document)));
        Kind { types, format: self.text("format").map(str::to_owned), items }
    }

    /// Alternatives that are nothing but types, as in `oneOf: [{type: string}, {type: integer}]`,
    /// taken together; none when there is anything else.
    pub(super) fn list_of_types(&self) -> Option<BTreeSet<String>> {
        let members: Vec<Spot<'_>> =
            self.list("oneOf").into_iter().chain(self.list("anyOf")).collect();
        let alone = self.assertions().all(|key| matches!(key, "oneOf" | "anyOf"));
        let pure = alone && !members.is_empty() && members.iter().all(Spot::bare);
        pure.then(|| {
            let mut types: BTreeSet<_> = members.iter().flat_map(Spot::type_names).collect();
            types.remove("null");
            types
        })
    }

    /// The only alternative besides `null` of a schema that is nothing but alternatives.
    pub(super) fn only_alternative(&self) -> Option<Spot<'a>> {
        let key = ["oneOf", "anyOf"].into_iter().find(|key| self.value.get(key).is_some())?;
        let mut members = self.list(key);
        members.retain(|member| !member.null());
        let alone = self.assertions().all(|other| other == key);
        (alone && members.len() == 1).then(|| members.pop()).flatten()
    }
}

/// Whether a keyword is none that this differ has to compare.
pub(super) fn silent(key: &str) -> bool {
    ANNOTATIONS.contains(&key) || key.starts_with("x-")
}
