//! Two documents, walked side by side: paths, operations, webhooks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    change::{Change, Level},
    lifecycle::{End, Life, Policy, Turn, stability_turn},
    report::{self, Usage},
    rules,
    schema::{Graph, view::Spot},
    security, summary,
};
use crate::{
    document::{Document, child},
    operations::{METHODS, template},
};

/// Everything that changed from one document to another.
pub fn diff(base: &Document, revision: &Document, policy: Policy) -> Vec<Change> {
    let graph = Graph::new(base, revision, policy);
    let mut walk = Walk { base, revision, policy, graph, changes: vec![], usages: vec![] };
    let root = |document: &'static str, value| Spot { pointer: document.to_owned(), value };
    let (a, b) = (root("", base.root()), root("", revision.root()));
    summary::compare(&mut walk, &a, &b);
    security::compare(&mut walk, &a, &b);
    walk.paths(&a, &b);
    walk.webhooks(&a, &b);
    walk.graph.compare();
    let mut changes = walk.changes;
    changes.extend(report::report(&walk.graph, &walk.usages));
    changes.extend(summary::version(base.root(), revision.root(), &changes));
    changes.sort_by(|x, y| {
        let key = |c: &Change| (!c.breaking, std::cmp::Reverse(c.level));
        (key(x), &x.operation, &x.at, &x.id, &x.text).cmp(&(
            key(y),
            &y.operation,
            &y.at,
            &y.id,
            &y.text,
        ))
    });
    changes.dedup();
    changes
}

/// What is known half-way.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) base: &'a Document,
    pub(super) revision: &'a Document,
    pub(super) policy: Policy,
    pub(super) graph: Graph<'a>,
    changes: Vec<Change>,
    usages: Vec<Usage>,
}

/// An operation of both documents.
#[derive(Debug, Clone)]
pub(super) struct Operation<'a> {
    /// `POST /orders`, as the base has it.
    pub(super) name: String,
    pub(super) paths: (&'a str, &'a str),
    pub(super) items: (Spot<'a>, Spot<'a>),
    pub(super) a: Spot<'a>,
    pub(super) b: Spot<'a>,
}

impl<'a> Walk<'a> {
    /// Notes a change.
    pub(super) fn tell(
        &mut self,
        id: &str,
        operation: &str,
        at: &str,
        pointer: &str,
        text: String,
    ) {
        let breaking = rules::of(id).is_none_or(|rule| rule.breaking);
        self.tell_judged(id, breaking, (operation, at, pointer), text);
    }

    /// Notes a change whose compatibility is known better than the rule knows it.
    pub(super) fn tell_judged(
        &mut self,
        id: &str,
        breaking: bool,
        (operation, at, pointer): (&str, &str, &str),
        text: String,
    ) {
        self.changes.push(Change {
            id: id.to_owned(),
            level: rules::of(id).map_or(Level::Error, |rule| rule.level),
            breaking,
            operation: operation.to_owned(),
            at: at.to_owned(),
            pointer: pointer.to_owned(),
            text,
        });
    }

    /// Notes that an operation uses a pair of schemas.
    pub(super) fn uses(&mut self, usage: Usage) {
        self.usages.push(usage);
    }

    /// Pairs paths: by their text, or else by what is left of it without the parameters' names.
    fn paths(&mut self, a: &Spot<'a>, b: &Spot<'a>) {
        let olds: BTreeMap<_, _> = a.entries("paths").into_iter().collect();
        let mut news: BTreeMap<_, _> = b.entries("paths").into_iter().collect();
        let alone = news.keys().filter(|path| !olds.contains_key(*path));
        let alike: BTreeMap<String, &str> = alone.map(|path| (template(path), *path)).collect();
        for (path, old) in &olds {
            let old = old.clone().resolved(self.base);
            let other = if news.contains_key(path) {
                Some(*path)
            } else {
                alike.get(&template(path)).copied()
            };
            match other.and_then(|other| Some((other, news.remove(other)?))) {
                None => self.path_removed(path, &old),
                Some((other, new)) => {
                    self.path((path, old), (other, new.resolved(self.revision)));
                }
            }
        }
        for (path, new) in news {
            for (method, operation) in operations(&new.resolved(self.revision)) {
                self.endpoint_added(&label(method, path), &operation);
            }
        }
    }

    fn path_removed(&mut self, path: &str, old: &Spot<'a>) {
        for (method, operation) in operations(old) {
            let id = match self.policy.end(operation.value) {
                End::Unannounced => "api-path-removed-without-deprecation",
                End::BeforeSunset => "api-path-removed-before-sunset",
                End::Announced => "api-path-removed-with-deprecation",
                End::SunsetInvalid => "api-path-sunset-parse",
            };
            let text = "the path is gone".to_owned();
            self.tell(id, &label(method, path), "", &operation.pointer, text);
        }
    }

    fn path(&mut self, (path, old): (&'a str, Spot<'a>), (new_path, new): (&'a str, Spot<'a>)) {
        let (olds, news) = (operations(&old), operations(&new));
        for (method, a) in &olds {
            let name = label(method, path);
            match news.get(method) {
                None => self.operation_removed(&name, a),
                Some(b) => {
                    let (a, b) = (a.clone(), b.clone());
                    let items = (old.clone(), new.clone());
                    self.operation(&Operation { name, paths: (path, new_path), items, a, b });
                }
            }
        }
        for (method, operation) in news.iter().filter(|(method, _)| !olds.contains_key(*method)) {
            self.endpoint_added(&label(method, new_path), operation);
        }
    }

    fn endpoint_added(&mut self, name: &str, operation: &Spot<'a>) {
        let text = "the operation was added".to_owned();
        self.tell("endpoint-added", name, "", &operation.pointer, text);
    }

    fn operation_removed(&mut self, name: &str, gone: &Spot<'a>) {
        let id = match self.policy.end(gone.value) {
            End::Unannounced => "api-removed-without-deprecation",
            End::BeforeSunset => "api-removed-before-sunset",
            End::Announced => "api-removed-with-deprecation",
            End::SunsetInvalid => "api-path-sunset-parse",
        };
        self.tell(id, name, "", &gone.pointer, "the operation is gone".to_owned());
    }

    fn operation(&mut self, operation: &Operation<'a>) {
        self.life(operation);
        self.labels(operation);
        security::operation(self, operation);
        self.parameters(operation);
        self.request_body(operation);
        self.responses(&operation.name, &operation.a, &operation.b);
        let (olds, news) = (operation.a.entries("callbacks"), operation.b.entries("callbacks"));
        let at = |name: &str| format!("{} callback {name}", operation.name);
        self.outgoing(olds, news, &at);
    }

    fn life(&mut self, operation: &Operation<'a>) {
        let (a, b) = (operation.a.value, operation.b.value);
        let life = match self.policy.life(a, b) {
            Life::Unchanged => None,
            Life::Reactivated => Some(("endpoint-reactivated", "it is no longer deprecated")),
            Life::Deprecated => Some(("endpoint-deprecated", "it was deprecated")),
            Life::WithSunset => {
                Some(("endpoint-deprecated-with-sunset", "it was deprecated, with an end"))
            }
            Life::SunsetMissing => {
                Some(("api-deprecated-sunset-missing", "it was deprecated and says no end"))
            }
            Life::SunsetInvalid => Some(("api-deprecated-sunset-parse", "x-sunset is no date")),
            Life::TooSoon => {
                Some(("api-sunset-date-too-small", "it was deprecated, and ends too soon"))
            }
            Life::SunsetDeleted => Some(("sunset-deleted", "x-sunset is gone")),
            Life::MovedTooSoon => {
                Some(("api-sunset-date-changed-too-small", "x-sunset was moved, and is too soon"))
            }
        };
        let stability = match stability_turn(a, b) {
            Turn::Same => None,
            Turn::Increased => Some(("api-stability-increased", "it promises more")),
            Turn::Decreased => Some(("api-stability-decreased", "it promises less")),
            Turn::Invalid => Some(("api-invalid-stability-level", "x-stability-level is no level")),
        };
        for (id, text) in life.into_iter().chain(stability) {
            self.tell(id, &operation.name, "", &operation.b.pointer, text.to_owned());
        }
    }

    /// What callers call an operation, and where they find it.
    fn labels(&mut self, operation: &Operation<'a>) {
        let Operation { name, a, b, .. } = operation;
        let id = |spot: &Spot<'a>| spot.value.get("operationId").and_then(Value::as_str);
        if id(a) != id(b) {
            if let Some(gone) = id(a) {
                let text = format!("operationId {gone} is gone");
                self.tell("api-operation-id-removed", name, "", &a.pointer, text);
            }
            if let Some(new) = id(b).filter(|_| id(a).is_none()) {
                let text = format!("operationId {new} was added");
                self.tell("api-operation-id-added", name, "", &b.pointer, text);
            }
        }
        let tags = |spot: &Spot<'a>| -> Vec<&'a str> {
            let list = spot.value.get("tags").and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let (olds, news) = (tags(a), tags(b));
        for tag in olds.iter().filter(|tag| !news.contains(tag)) {
            self.tell("api-tag-removed", name, "", &a.pointer, format!("tag {tag} is gone"));
        }
        for tag in news.iter().filter(|tag| !olds.contains(tag)) {
            self.tell("api-tag-added", name, "", &b.pointer, format!("tag {tag} was added"));
        }
    }

    fn webhooks(&mut self, a: &Spot<'a>, b: &Spot<'a>) {
        let (olds, news) = (a.entries("webhooks"), b.entries("webhooks"));
        let missing = |from: &[(&'a str, Spot<'a>)], to: &[(&'a str, Spot<'a>)]| {
            let there = |name: &str| to.iter().any(|(other, _)| *other == name);
            from.iter().filter(|(name, _)| !there(name)).cloned().collect::<Vec<_>>()
        };
        for (name, gone) in missing(&olds, &news) {
            let text = format!("webhook {name} is gone");
            self.tell("webhook-removed", &format!("webhook {name}"), "", &gone.pointer, text);
        }
        for (name, new) in missing(&news, &olds) {
            let text = format!("webhook {name} was added");
            self.tell("webhook-added", &format!("webhook {name}"), "", &new.pointer, text);
        }
        for (name, old) in olds {
            if let Some((_, new)) = news.iter().find(|(other, _)| *other == name) {
                self.outgoing_item(&format!("webhook {name}"), old, new.clone());
            }
        }
    }

    /// Callbacks: by name, then by expression, path items that the service calls.
    fn outgoing(
        &mut self,
        olds: Vec<(&'a str, Spot<'a>)>,
        news: Vec<(&'a str, Spot<'a>)>,
        label: &dyn Fn(&str) -> String,
    ) {
        for (name, old) in olds {
            let old = old.resolved(self.base);
            let new = news.iter().find(|(other, _)| *other == name);
            let new = new.map(|(_, new)| new.clone().resolved(self.revision));
            let Some(new) = new else {
                let text = format!("callback {name} is gone");
                self.tell("webhook-removed", &label(name), "", &old.pointer, text);
                continue;
            };
            for expression in old.value.as_object().into_iter().flat_map(|map| map.keys()) {
                let item = |spot: &Spot<'a>| {
                    let value = spot.value.get(expression)?;
                    Some(Spot { pointer: child(&spot.pointer, expression), value })
                };
                match (item(&old), item(&new)) {
                    (Some(old), Some(new)) => self.outgoing_item(&label(name), old, new),
                    (Some(old), None) => {
                        let text = format!("callback {name} no longer goes to {expression}");
                        self.tell("webhook-removed", &label(name), "", &old.pointer, text);
                    }
                    (None, _) => {}
                }
            }
        }
    }

    /// What the service sends is a response by another name; what it expects back is a request.
    fn outgoing_item(&mut self, label: &str, old: Spot<'a>, new: Spot<'a>) {
        let (old, new) = (old.resolved(self.base), new.resolved(self.revision));
        let (olds, news) = (operations(&old), operations(&new));
        for (method, a) in olds {
            let Some(b) = news.get(method) else {
                let text = format!("it no longer sends {}", method.to_uppercase());
                self.tell("webhook-removed", label, "", &a.pointer, text);
                continue;
            };
            self.payload(label, &a, b);
            self.answers(label, &a, b);
            if a.value.get("parameters") != b.value.get("parameters") {
                let text = "it is sent with other parameters".to_owned();
                self.tell("webhook-parameters-changed", label, "", &b.pointer, text);
            }
        }
    }
}

/// The operations of a path item.
fn operations<'a>(item: &Spot<'a>) -> BTreeMap<&'static str, Spot<'a>> {
    METHODS.iter().filter_map(|method| Some((*method, item.get(method)?))).collect()
}

/// `POST /orders`
pub(super) fn label(method: &str, path: &str) -> String {
    format!("{} {path}", method.to_uppercase())
}
