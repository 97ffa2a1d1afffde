//! The tree of an expression: only what can be evaluated has a place in it.

use serde_json::Value;

use super::Names;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Literal(Value),
    Param(String),
    Request,
    Target,
    Task(String, Fact),
    /// A variable of an [`Node::Each`] around it.
    Local(String),
    Field(Box<Node>, String),
    /// `has(operand.field)`
    Has(Box<Node>, String),
    Index(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Object(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If(Box<[Node; 3]>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    Each {
        fold: Fold,
        over: Box<Node>,
        variable: String,
        body: Box<Node>,
    },
}

/// What may be read of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    Status,
    Outputs,
    Checks,
    Artefacts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    StartsWith,
    EndsWith,
    Contains,
    Int,
    Double,
    String,
}

/// What becomes of the items of a list, or the keys of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Fact {
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("status", Self::Status),
        ("outputs", Self::Outputs),
        ("checks", Self::Checks),
        ("artefacts", Self::Artefacts),
    ];
}

impl Operator {
    /// As CEL's parser names it.
    pub(super) const ALL: [(&'static str, Self); 12] = [
        ("_+_", Self::Add),
        ("_-_", Self::Subtract),
        ("_*_", Self::Multiply),
        ("_/_", Self::Divide),
        ("_%_", Self::Remainder),
        ("_==_", Self::Equal),
        ("_!=_", Self::NotEqual),
        ("_<_", Self::Less),
        ("_<=_", Self::AtMost),
        ("_>_", Self::Greater),
        ("_>=_", Self::AtLeast),
        ("@in", Self::In),
    ];
}

impl Function {
    /// Its name and how many arguments it takes, the one before the dot included.
    pub(super) const ALL: [(&'static str, usize, Self); 7] = [
        ("size", 1, Self::Size),
        ("startsWith", 2, Self::StartsWith),
        ("endsWith", 2, Self::EndsWith),
        ("contains", 2, Self::Contains),
        ("int", 1, Self::Int),
        ("double", 1, Self::Double),
        ("string", 1, Self::String),
    ];
}

impl Fold {
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("all", Self::All),
        ("exists", Self::Exists),
        ("exists_one", Self::ExistsOne),
        ("filter", Self::Filter),
        ("map", Self::Map),
    ];
}

impl Node {
    /// Whether it has no value where the task was never done: it reads what the task gives without
    /// asking for its status first.
    pub(super) fn insists_on(&self, task: &str) -> bool {
        let insists = |node: &Self| node.insists_on(task);
        match self {
            Self::Task(id, Fact::Outputs | Fact::Checks | Fact::Artefacts) => id == task,
            Self::Literal(_)
            | Self::Request
            | Self::Target
            | Self::Local(_)
            | Self::Param(_)
            | Self::Task(_, Fact::Status) => false,
            Self::Field(of, _) | Self::Has(of, _) | Self::Not(of) | Self::Negate(of) => insists(of),
            // Each side may excuse the other.
            Self::And(a, b) | Self::Or(a, b) => {
                !self.asks_status(task) && (insists(a) || insists(b))
            }
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let excused = condition.asks_status(task);
                insists(condition) || (!excused && (insists(then) || insists(otherwise)))
            }
            Self::Index(a, b) | Self::Binary(_, a, b) => insists(a) || insists(b),
            Self::List(nodes) | Self::Call(_, nodes) => nodes.iter().any(insists),
            Self::Object(entries) => entries.iter().any(|(k, v)| insists(k) || insists(v)),
            Self::Each { over, body, .. } => insists(over) || insists(body),
        }
    }

    /// Whether it asks for the task's status somewhere.
    pub(super) fn asks_status(&self, task: &str) -> bool {
        let asks = |node: &Self| node.asks_status(task);
        match self {
            Self::Task(id, Fact::Status) => id == task,
            Self::Literal(_)
            | Self::Request
            | Self::Target
            | Self::Local(_)
            | Self::Param(_)
            | Self::Task(_, Fact::Outputs | Fact::Checks | Fact::Artefacts) => false,
            Self::Field(of, _) | Self::Has(of, _) | Self::Not(of) | Self::Negate(of) => asks(of),
            Self::And(a, b) | Self::Or(a, b) | Self::Index(a, b) | Self::Binary(_, a, b) => {
                asks(a) || asks(b)
            }
            Self::If(parts) => parts.iter().any(asks),
            Self::List(nodes) | Self::Call(_, nodes) => nodes.iter().any(asks),
            Self::Object(entries) => entries.iter().any(|(k, v)| asks(k) || asks(v)),
            Self::Each { over, body, .. } => asks(over) || asks(body),
        }
    }

    pub(super) fn names(&self, names: &mut Names) {
        match self {
            Self::Literal(_) | Self::Request | Self::Target | Self::Local(_) => {}
            Self::Param(name) => _ = names.params.insert(name.clone()),
            Self::Task(id, _) => _ = names.tasks.insert(id.clone()),
            Self::Field(of, _) | Self::Has(of, _) | Self::Not(of) | Self::Negate(of) => {
                of.names(names);
            }
            Self::Index(a, b) | Self::And(a, b) | Self::Or(a, b) | Self::Binary(_, a, b) => {
                a.names(names);
                b.names(names);
            }
            Self::List(nodes) | Self::Call(_, nodes) => nodes.iter().for_each(|n| n.names(names)),
            Self::Object(entries) => entries.iter().for_each(|(key, value)| {
                key.names(names);
                value.names(names);
            }),
            Self::If(parts) => parts.iter().for_each(|n| n.names(names)),
            Self::Each { over, body, .. } => {
                over.names(names);
                body.names(names);
            }
        }
    }
}
