//! Two schemas, compared: what changed, without regard to who reads it.
//!
//! A named schema is compared once with its counterpart, however often and in however many circles
//! it is referred to. What was found hangs on a node; references are edges. `report.rs` then
//! follows the edges from every operation. So the work grows with the documents and not with the
//! number of ways through them, and yet every operation is told everything that reaches it.

mod compose;
mod keywords;
mod limits;
mod object;
pub(super) mod types;
pub(super) mod view;

use std::collections::HashMap;

use serde_json::Value;

use self::{types::Kind, view::Spot};
use super::{lifecycle::Policy, rules::Variance};
use crate::document::Document;

/// What was found at one place of a schema.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    /// From the schema of the node: `/lines/items`.
    pub(super) at: String,
    pub(super) pointer: String,
    /// In a sentence.
    pub(super) text: String,
    pub(super) what: What,
    /// Of the schema at the place, on both sides.
    pub(super) access: Access,
    /// Where the aspect's own variance would be wrong here.
    pub(super) variance: Option<Variance>,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A row of the rules.
    Aspect(&'static str),
    /// Types or formats; which aspect that is depends on the wire.
    Type(Box<(Kind, Kind)>),
    /// Something about a property of the schema at the place.
    Property(Property),
}

/// A property that changed as such, apart from its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) turn: Turn,
    /// In the revision; in the base where it is gone.
    pub(super) required: bool,
    /// Whether the revision has a default for it.
    pub(super) default: bool,
    /// Whether the object admitted no such property before.
    pub(super) closed: bool,
    pub(super) access: Access,
}

/// What became of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Added,
    Removed,
    BecameRequired,
    BecameOptional,
    ReadOnly(bool),
    WriteOnly(bool),
}

/// Who may see a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Access {
    /// Not part of requests.
    pub(super) read_only: bool,
    /// Not part of responses.
    pub(super) write_only: bool,
}

/// A pair of schemas.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) findings: Vec<Finding>,
    /// `(where, which node)`
    pub(super) edges: Vec<(String, usize)>,
}

/// Everything that was compared so far.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub(super) base: &'a Document,
    pub(super) revision: &'a Document,
    policy: Policy,
    pub(super) nodes: Vec<Node>,
    known: HashMap<(String, String), usize>,
    pending: Vec<(usize, Spot<'a>, Spot<'a>)>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(base: &'a Document, revision: &'a Document, policy: Policy) -> Self {
        let (nodes, known, pending) = (vec![], HashMap::new(), vec![]);
        Self { base, revision, policy, nodes, known, pending }
    }

    /// The node of two schemas; they are compared in [`Graph::compare`].
    pub(super) fn node(&mut self, a: Spot<'a>, b: Spot<'a>) -> usize {
        let (a, b) = (a.resolved(self.base), b.resolved(self.revision));
        let key = (a.pointer.clone(), b.pointer.clone());
        *self.known.entry(key).or_insert_with(|| {
            self.nodes.push(Node::default());
            self.pending.push((self.nodes.len() - 1, a, b));
            self.nodes.len() - 1
        })
    }

    /// Compares everything that was asked for and everything it refers to.
    pub(super) fn compare(&mut self) {
        while let Some((node, a, b)) = self.pending.pop() {
            Pair { graph: self, node }.schema("", &a, &b);
        }
    }
}

/// The comparison of one node's schemas, all the way down to the references.
#[derive(Debug)]
struct Pair<'g, 'a> {
    graph: &'g mut Graph<'a>,
    node: usize,
}

impl<'a> Pair<'_, 'a> {
    /// Two schemas that may be references.
    fn visit(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        if a.reference().is_none() && b.reference().is_none() {
            return self.schema(at, a, b);
        }
        self.siblings(at, a, b);
        let node = self.graph.node(a.clone(), b.clone());
        self.graph.nodes[self.node].edges.push((at.to_owned(), node));
    }

    /// What stands beside a `$ref` counts too in 3.1. Where it changes, nothing is proved.
    fn siblings(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let of = |spot: &Spot<'a>, document: &Document| -> Vec<(&'a str, &'a Value)> {
            let counts = document.version() == crate::document::Version::V3_1;
            let keys = spot.assertions().filter(|key| *key != "$ref");
            if counts && spot.reference().is_some() {
                keys.filter_map(|key| Some((key, spot.value.get(key)?))).collect()
            } else {
                vec![]
            }
        };
        if of(a, self.graph.base) != of(b, self.graph.revision) {
            self.aspect(at, b, "keyword-changed", "what stands beside the $ref changed".to_owned());
        }
    }

    /// Two schemas that are none.
    fn schema(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        if let (Value::Bool(_), _) | (_, Value::Bool(_)) = (a.value, b.value)
            && self.boolean(at, a, b)
        {
            return;
        }
        if self.alternatives(at, a, b) {
            return;
        }
        self.kind(at, a, b);
        self.values(at, a, b);
        self.limits(at, a, b);
        self.properties(at, a, b);
        self.composition(at, a, b);
        self.subschemas(at, a, b);
        self.life(at, a, b);
        self.rest(at, a, b);
    }

    /// Whether one of them is `true` or `false` and that is all there is to say.
    fn boolean(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) -> bool {
        let never = |spot: &Spot<'_>| *spot.value == Value::Bool(false);
        match (never(a), never(b)) {
            (true, true) => true,
            (false, false) => a.trivial() && b.trivial(),
            (true, false) | (false, true) => {
                let text = format!("{} became {}", a.value, b.value);
                self.aspect(at, b, "type-changed", text);
                true
            }
        }
    }

    /// Types, formats and `null`.
    fn kind(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let (base, revision) = (self.graph.base, self.graph.revision);
        let (from, to) = (a.kind(base), b.kind(revision));
        if from.types != to.types || from.format != to.format {
            let text = format!("{} became {}", from.in_words(), to.in_words());
            self.find(at, b, What::Type(Box::new((from, to))), text, access(a, b), None);
        }
        // Who admits every type in 3.1 admits null too.
        let (free_a, free_b) = (free(a, base), free(b, revision));
        match (a.nullable(base.version()) || free_a, b.nullable(revision.version()) || free_b) {
            (false, true) if !free_b => {
                self.aspect(at, b, "became-nullable", "it may be null now".to_owned());
            }
            (true, false) if !free_a => {
                self.aspect(at, b, "became-not-nullable", "it must not be null now".to_owned());
            }
            _ => {}
        }
    }

    /// `deprecated`, and what is planned for it.
    fn life(&mut self, at: &str, a: &Spot<'a>, b: &Spot<'a>) {
        let policy = self.graph.policy;
        for (aspect, text) in policy.schema(a.value, b.value) {
            self.aspect(at, b, aspect, text);
        }
    }

    fn aspect(&mut self, at: &str, b: &Spot<'a>, aspect: &'static str, text: String) {
        self.find(at, b, What::Aspect(aspect), text, access(b, b), None);
    }

    fn find(
        &mut self,
        at: &str,
        b: &Spot<'a>,
        what: What,
        text: String,
        access: Access,
        variance: Option<Variance>,
    ) {
        let (at, pointer) = (at.to_owned(), b.pointer.clone());
        let finding = Finding { at, pointer, text, what, access, variance };
        self.graph.nodes[self.node].findings.push(finding);
    }
}

/// Whether null is admitted because every type is.
fn free(spot: &Spot<'_>, document: &Document) -> bool {
    document.version() == crate::document::Version::V3_1
        && !["type", "oneOf", "anyOf", "allOf", "enum", "const"]
            .iter()
            .any(|key| spot.value.get(key).is_some())
}

fn access(a: &Spot<'_>, b: &Spot<'_>) -> Access {
    let both = |key| a.flag(key) && b.flag(key);
    Access { read_only: both("readOnly"), write_only: both("writeOnly") }
}
