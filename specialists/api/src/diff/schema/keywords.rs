//! Values that are listed, schemas inside of schemas, and every keyword that is left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Finding, Pair, What, access,
    view::{Spot, silent},
};
use crate::document::child;

/// `(keyword, aspect when it came, aspect when it went, aspect when what it says changed)`. The
/// last is for those whose inside does not say which way: the change is told on its own as well.
const SUBSCHEMAS: [(&str, &str, &str, Option<&str>); 10] = [
    ("items", "items-added", "items-removed", None),
    ("contains", "contains-added", "contains-removed", None),
    ("propertyNames", "property-names-added", "property-names-removed", None),
    ("unevaluatedItems", "unevaluated-items-added", "unevaluated-items-removed", None),
    (
        "unevaluatedProperties",
        "unevaluated-properties-added",
        "unevaluated-properties-removed",
        None,
    ),
    ("contentSchema", "content-schema-added", "content-schema-removed", None),
    ("if", "if-added", "if-removed", Some("if-changed")),
    ("then", "then-added", "then-removed", None),
    ("else", "else-added", "else-removed", None),
    ("not", "not-added", "not-removed", Some("not-changed")),
];

/// Schemas by name: `(keyword, aspect when one came, aspect when one went)`.
const NAMED: [(&str, &str, &str); 2] = [
    ("patternProperties", "pattern-property-added", "pattern-property-removed"),
    ("dependentSchemas", "dependent-schema-added", "dependent-schema-removed"),
];

/// What other functions compare.
const COMPARED: [&str; 37] = [
    "type",
    "format",
    "nullable",
    "enum",
    "const",
    "default",
    "pattern",
    "maximum",
    "minimum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "maxItems",
    "minItems",
    "maxProperties",
    "minProperties",
    "maxContains",
    "minContains",
    "multipleOf",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
    "allOf",
    "oneOf",
    "anyOf",
    "discriminator",
    "prefixItems",
    "dependentRequired",
    "contentEncoding",
    "contentMediaType",
    "readOnly",
    "writeOnly",
    "xml",
    "patternProperties",
    "dependentSchemas",
];

impl<'a> Pair<'_, 'a> {
    /// `enum`, `const`, `default`, `pattern`.
    pub(super) fn values(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        self.listed(at, a, b);
        let came_went_changed = [
            ("const", ["const-added", "const-removed", "const-changed"]),
            ("default", ["default-value-added", "default-value-removed", "default-value-changed"]),
        ];
        for (keyword, [added, removed, changed]) in came_went_changed {
            let (aspect, text) = match (a.value.get(keyword), b.value.get(keyword)) {
                (None, Some(to)) => (added, format!("{keyword} {to} was added")),
                (Some(from), None) => (removed, format!("{keyword} {from} is gone")),
                (Some(from), Some(to)) if from != to => {
                    (changed, format!("{keyword} changed from {from} to {to}"))
                }
                (None, None) | (Some(_), Some(_)) => continue,
            };
            self.aspect(at, b, aspect, text);
        }
        self.pattern(at, a, b);
    }

    fn listed(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        // Null is a matter of its own.
        let of = |spot: &Spot<'a>, key: &str| -> Option<BTreeSet<String>> {
            let list = spot.value.get(key)?.as_array()?.iter().filter(|v| !v.is_null());
            Some(list.map(Value::to_string).collect())
        };
        match (of(a, "enum"), of(b, "enum")) {
            (None, Some(_)) => {
                self.aspect(at, b, "became-enum", "only listed values are admitted now".to_owned());
            }
            (Some(_), None) => {
                let text = "values are no longer limited to a list".to_owned();
                self.aspect(at, b, "enum-removed", text);
            }
            (Some(old), Some(new)) => {
                let access = access(a, b);
                let mut told = |aspect, value: &String, what: &str| {
                    let text = format!("enum value {value} {what}");
                    self.find(at, b, What::Aspect(aspect), text, access, None);
                };
                old.difference(&new).for_each(|value| {
                    told("enum-value-removed", value, "is gone");
                });
                new.difference(&old).for_each(|value| {
                    told("enum-value-added", value, "was added");
                });
            }
            (None, None) => {}
        }
        let extensible = (of(a, "x-extensible-enum"), of(b, "x-extensible-enum"));
        if let (Some(old), Some(new)) = extensible {
            for value in old.difference(&new) {
                let text = format!("x-extensible-enum value {value} is gone");
                self.aspect(at, b, "x-extensible-enum-value-removed", text);
            }
        }
    }

    /// Schemas inside of schemas.
    pub(super) fn subschemas(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        for (keyword, added, removed, changed) in SUBSCHEMAS {
            // `contains: {}` and `not: {}` do not admit everything.
            let counts =
                |s: &Spot<'a>| matches!(keyword, "contains" | "not" | "if") || !s.trivial();
            match (a.get(keyword).filter(counts), b.get(keyword).filter(counts)) {
                (None, None) => {}
                (None, Some(_)) => self.aspect(at, b, added, format!("{keyword} was added")),
                (Some(_), None) => self.aspect(at, b, removed, format!("{keyword} is gone")),
                (Some(old), Some(new)) => {
                    let bounded = keyword == "contains"
                        && (a.value.get("maxContains").is_some()
                            || b.value.get("maxContains").is_some());
                    let place = child(at, keyword);
                    self.visit(&place, &old, &new);
                    if let Some(changed) = changed.or(bounded.then_some("contains-changed")) {
                        self.inverted(at, b, (&old, &new), changed, keyword);
                    }
                }
            }
        }
        for (keyword, added, removed) in NAMED {
            self.by_name(at, (a, b), keyword, added, removed);
        }
        self.prefix_items(at, a, b);
        self.dependent_required(at, a, b);
    }

    /// A schema whose narrowing may widen what it stands in. A reference hides what it leads to, so
    /// only the same plain schema is known to be unchanged.
    fn inverted(
        &mut self,
        at: &str,
        b: &Spot<'a>,
        (old, new): (&Spot<'a>, &Spot<'a>),
        aspect: &'static str,
        keyword: &str,
    ) {
        let refers = !crate::document::references(new.value, String::new()).is_empty();
        if old.value != new.value
            || (refers && self.graph.base.root() != self.graph.revision.root())
        {
            self.aspect(at, b, aspect, format!("{keyword} changed, or may have"));
        }
    }

    fn by_name(
        &mut self,
        at: &str,
        (a, b): (&Spot<'a>, &Spot<'a>),
        keyword: &str,
        added: &'static str,
        removed: &'static str,
    ) {
        let olds: BTreeMap<_, _> = a.entries(keyword).into_iter().collect();
        let news: BTreeMap<_, _> = b.entries(keyword).into_iter().collect();
        for (name, new) in &news {
            match olds.get(name) {
                Some(old) => self.visit(&child(&child(at, keyword), name), old, new),
                None => self.aspect(at, b, added, format!("{keyword} {name} was added")),
            }
        }
        for name in olds.keys().filter(|name| !news.contains_key(*name)) {
            self.aspect(at, b, removed, format!("{keyword} {name} is gone"));
        }
    }

    fn prefix_items(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let (olds, news) = (a.list("prefixItems"), b.list("prefixItems"));
        for (place, (old, new)) in olds.iter().zip(&news).enumerate() {
            self.visit(&child(&child(at, "prefixItems"), &place.to_string()), old, new);
        }
        let (had, has) = (olds.len(), news.len());
        let text = format!("{has} items have a schema of their own, and {had} had");
        if has > had {
            self.aspect(at, b, "prefix-items-added", text);
        } else if has < had {
            self.aspect(at, b, "prefix-items-removed", text);
        }
    }

    fn dependent_required(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let of = |spot: &Spot<'a>| -> BTreeMap<&'a str, BTreeSet<String>> {
            let names = |value: &Value| {
                let list = value.as_array().into_iter().flatten();
                list.filter_map(Value::as_str).map(str::to_owned).collect()
            };
            let entries = spot.entries("dependentRequired").into_iter();
            entries.map(|(name, needs)| (name, names(needs.value))).collect()
        };
        let (olds, news) = (of(a), of(b));
        for (name, needs) in &news {
            let aspect = match olds.get(name) {
                None => "dependent-required-added",
                Some(needed) if needed != needs => "dependent-required-changed",
                Some(_) => continue,
            };
            let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
            self.aspect(at, b, aspect, format!("{name} demands {}", needs.join(", ")));
        }
        for name in olds.keys().filter(|name| !news.contains_key(*name)) {
            let text = format!("{name} demands nothing more");
            self.aspect(at, b, "dependent-required-removed", text);
        }
    }

    /// What nothing else compared: where it changed, nothing is proved.
    pub(super) fn rest(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        for (keyword, aspect) in [
            ("contentEncoding", "content-encoding-changed"),
            ("contentMediaType", "content-media-type-changed"),
            ("xml", "xml-changed"),
        ] {
            if a.value.get(keyword) != b.value.get(keyword) {
                let text = format!("{keyword} changed");
                let finding = Finding {
                    at: at.to_owned(),
                    pointer: b.pointer.clone(),
                    text,
                    what: What::Aspect(aspect),
                    access: access(a, b),
                    variance: None,
                };
                self.graph.nodes[self.node].findings.push(finding);
            }
        }
        let keys = |spot: &Spot<'a>| spot.value.as_object().map(|map| map.keys());
        let compared = |key: &str| {
            COMPARED.contains(&key) || SUBSCHEMAS.iter().any(|(keyword, ..)| *keyword == key)
        };
        let all: BTreeSet<&String> =
            keys(a).into_iter().flatten().chain(keys(b).into_iter().flatten()).collect();
        for key in all.into_iter().filter(|key| !silent(key) && !compared(key)) {
            if a.value.get(key) != b.value.get(key) {
                self.aspect(at, b, "keyword-changed", format!("{key} changed"));
            }
        }
    }
}
