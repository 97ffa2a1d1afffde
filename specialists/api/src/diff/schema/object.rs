//! Properties: which there are, which must be there, who may see them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Access, Finding, Pair, Property, Turn, What, view::Spot};
use crate::document::child;

impl<'a> Pair<'_, 'a> {
    /// Properties, `required`, and what may stand beside them.
    pub(super) fn properties(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let olds: BTreeMap<_, _> = a.entries("properties").into_iter().collect();
        let news: BTreeMap<_, _> = b.entries("properties").into_iter().collect();
        let (needed, needs) = (a.names("required"), b.names("required"));
        let closed = a.value.get("additionalProperties") == Some(&Value::Bool(false));
        for (name, new) in &news {
            let place = child(at, name);
            let resolved = new.clone().resolved(self.graph.revision);
            let property = Property {
                turn: Turn::Added,
                required: needs.contains(name),
                default: resolved.value.get("default").is_some(),
                closed,
                access: super::access(&resolved, &resolved),
            };
            match olds.get(name) {
                None => {
                    let text = format!("property {name} was added");
                    self.property(&place, new, property, text);
                }
                Some(old) => {
                    self.both(
                        &place,
                        old,
                        new,
                        property,
                        (needed.contains(name), property.required),
                    );
                    self.visit(&place, old, new);
                }
            }
        }
        for (name, old) in &olds {
            if !news.contains_key(name) {
                let resolved = old.clone().resolved(self.graph.base);
                let property = Property {
                    turn: Turn::Removed,
                    required: needed.contains(name),
                    default: false,
                    closed: false,
                    access: super::access(&resolved, &resolved),
                };
                self.property(&child(at, name), old, property, format!("property {name} is gone"));
            }
        }
        // Names that are demanded and described elsewhere, as in an allOf.
        let elsewhere = |name: &&&str| !olds.contains_key(**name) && !news.contains_key(**name);
        let plain = |turn| Property {
            turn,
            required: turn == Turn::BecameRequired,
            default: false,
            closed: false,
            access: Access::default(),
        };
        for name in needs.difference(&needed).filter(elsewhere) {
            let text = format!("property {name} became required");
            self.property(&child(at, name), b, plain(Turn::BecameRequired), text);
        }
        for name in needed.difference(&needs).filter(elsewhere) {
            let text = format!("property {name} became optional");
            self.property(&child(at, name), b, plain(Turn::BecameOptional), text);
        }
        self.additional(at, a, b);
    }

    /// What changed about a property that both have.
    fn both(
        &mut self,
        place: &str,
        old: &Spot<'a>,
        new: &Spot<'a>,
        property: Property,
        (was_required, is_required): (bool, bool),
    ) {
        let before = old.clone().resolved(self.graph.base);
        let before = super::access(&before, &before);
        let now = property.access;
        let mut turns = vec![];
        match (was_required, is_required) {
            (false, true) => turns.push((Turn::BecameRequired, "it became required")),
            (true, false) => turns.push((Turn::BecameOptional, "it became optional")),
            (true, true) | (false, false) => {}
        }
        if before.read_only != now.read_only {
            let text = if now.read_only { "it became read-only" } else { "it may be written now" };
            turns.push((Turn::ReadOnly(now.read_only), text));
        }
        if before.write_only != now.write_only {
            let text = if now.write_only { "it became write-only" } else { "it may be read now" };
            turns.push((Turn::WriteOnly(now.write_only), text));
        }
        for (turn, text) in turns {
            self.property(place, new, Property { turn, ..property }, text.to_owned());
        }
    }

    /// `additionalProperties`: none, those of a schema, or any.
    fn additional(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let key = "additionalProperties";
        let of = |spot: &Spot<'a>| spot.get(key).filter(|s| !s.trivial());
        match (of(a), of(b)) {
            (None, Some(_)) => {
                let text = "other properties are no longer free".to_owned();
                self.aspect(at, b, "additional-properties-narrowed", text);
            }
            (Some(_), None) => {
                let text = "any other properties are admitted now".to_owned();
                self.aspect(at, b, "additional-properties-widened", text);
            }
            (Some(old), Some(new)) => match (old.value.is_boolean(), new.value.is_boolean()) {
                (true, true) => {}
                (true, false) => {
                    let text = "other properties are admitted now".to_owned();
                    self.aspect(at, b, "additional-properties-widened", text);
                }
                (false, true) => {
                    let text = "other properties are no longer admitted".to_owned();
                    self.aspect(at, b, "additional-properties-narrowed", text);
                }
                (false, false) => self.visit(&child(at, key), &old, &new),
            },
            (None, None) => {}
        }
    }

    fn property(&mut self, at: &str, spot: &Spot<'a>, property: Property, text: String) {
        let finding = Finding {
            at: at.to_owned(),
            pointer: spot.pointer.clone(),
            text,
            what: What::Property(property),
            access: property.access,
            variance: None,
        };
        self.graph.nodes[self.node].findings.push(finding);
    }
}
