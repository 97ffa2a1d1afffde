//! Expressions in plans: `tasks.diagnose1.outputs.cause == 'missing_index'`.
//!
//! The language is CEL, and the `cel` crate parses it. Evaluation is ours, over plain JSON, because
//! a decision must come out the same on every replica and at every replay, and must end: maps are
//! walked in the order of their keys, every value touched is counted against a bound, and what
//! could not be evaluated is refused when the plan is read. Left out are timestamps, regular
//! expressions, bytes, messages and optionals. One thing is added: as JSON does not tell `50` from
//! `50.0`, whole numbers and fractions may be mixed.
//!
//! An expression sees `params.*`, `request`, `target`, and of every task that the plan lets it see
//! `tasks.<id>.status`, `.outputs`, `.checks` and `.artefacts`.

mod eval;
mod node;
mod number;
mod syntax;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use deadelus_proto::{Done, TaskId};
use serde_json::Value;

use node::Node;

pub use template::Template;
pub(crate) use template::is_dynamic;

/// An expression that can be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    node: Node,
}

/// The names an expression reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Ids of tasks, as written.
    pub tasks: BTreeSet<String>,
    /// Parameters of the plan.
    pub params: BTreeSet<String>,
}

/// What an expression may know.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The plan's parameters.
    pub params: &'a BTreeMap<String, Value>,
    /// The request in words.
    pub request: &'a str,
    /// The target of the task the expression belongs to.
    pub target: &'a str,
    /// Every task it may read.
    pub tasks: BTreeMap<&'a TaskId, TaskFacts<'a>>,
}

/// What an expression may know of a task.
#[derive(Debug, Clone, Copy)]
pub struct TaskFacts<'a> {
    /// `done`, `skipped`, `failed` or `undone`.
    pub status: &'static str,
    /// What it reported, if it ever was done.
    pub done: Option<&'a Done>,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// A sentence: what cannot be read or is not part of the language.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), node: syntax::parse(text)? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names it reads.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        self.node.names(&mut names);
        names
    }

    /// Whether it has no value where the task was never done: it reads what the task gives without
    /// asking for its status first.
    pub(crate) fn insists_on(&self, task: &str) -> bool {
        self.node.insists_on(task)
    }

    /// Whether it asks for the task's status.
    pub(crate) fn asks_status(&self, task: &str) -> bool {
        self.node.asks_status(task)
    }

    /// Its value.
    ///
    /// # Errors
    /// A sentence: a key that is not there, a type that does not fit, an overflow, or more work
    /// than [`EXPRESSION_STEPS_MAX`](crate::limits::EXPRESSION_STEPS_MAX).
    pub fn evaluate(&self, facts: &Facts<'_>) -> Result<Value, String> {
        eval::value(&self.node, facts).map_err(|e| format!("{e} in {:?}", crate::shown(&self.text)))
    }

    /// Whether it is true.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), or when it is not a boolean.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let value = self.evaluate(facts)?;
        value.as_bool().ok_or_else(|| {
            let value = crate::shown(&value.to_string());
            format!("{:?} is {value}, neither true nor false", crate::shown(&self.text))
        })
    }
}
