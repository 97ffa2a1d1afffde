//! The plan as a person writes it: YAML or JSON, the published schema, nothing unknown allowed.
//!
//! A [`Plan`] has the right shape and nothing more. [`CheckedPlan`] is one that also makes sense:
//! holding it is the proof. What the shape is, `plan.schema.json` says to editors.

mod checked;
mod compile;
mod duration;
mod graph;
mod policy;
mod problem;
mod read;
mod review;
mod tree;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use checked::{CheckedGate, CheckedPlan, CheckedScope, CheckedTask, Contract};
pub(crate) use problem::unknown;
pub use problem::{Problem, Problems};
pub use read::{read_tree, schema, shaped};

/// The version of the plan format that this crate reads.
pub const FORMAT: u32 = 1;

/// The gate that waits for the approval of the whole plan; no task may have this id.
pub const PLAN_GATE: &str = "plan";

/// A plan: tasks, their order and data flow, risks, undo boundaries, success criteria.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deadelus plan")]
pub struct Plan {
    /// The version of this format: 1.
    pub deadelus: u32,
    /// What it achieves, in one line.
    pub title: String,
    /// What a person asked for, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// The target of every task that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Plain values, in expressions `params.*`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
    /// The tasks by id; an id is 1 to 64 of a-z 0-9 and -.
    pub tasks: BTreeMap<String, Task>,
    /// Groups of tasks with their own undo boundary.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scopes: BTreeMap<String, Scope>,
    /// The parts a reader sees, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// What may go wrong, and what is done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<Risk>,
    /// When it has succeeded, and which task measures that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub success: Vec<Criterion>,
    /// What must hold whatever else is reached, and which task measures that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// What must be there before anything is changed, and which task sees that it is: everything
    /// that changes something comes after that task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prerequisites: Vec<Prerequisite>,
    /// What it means that the tries of a task are used up, unless the task says otherwise: pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exhausted: Option<OnExhausted>,
    /// From -10 to 10: who waits for a lock or a limit goes before others of less. It does not starve
    /// them: each step is worth a minute of waiting.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Whether a person approves it before anything begins.
    #[serde(default)]
    pub approval: Approval,
}

impl Plan {
    /// Whether it is small enough to be looked at closely. Every check asks this first; whoever looks
    /// at expressions before must ask it too.
    ///
    /// # Errors
    /// What there is too much of.
    pub fn bounded(&self) -> Result<(), Problems> {
        compile::bounded(self)
    }

    /// `success[0]` and the task that measures it, for everything that a task measures.
    fn checkers(&self) -> impl Iterator<Item = (String, &str)> {
        let success = self.success.iter().map(|c| c.checked_by.as_str());
        let constraints = self.constraints.iter().map(|c| c.checked_by.as_str());
        let prerequisites = self.prerequisites.iter().map(|p| p.checked_by.as_str());
        let place = |list: &'static str| move |(n, task)| (format!("{list}[{n}]"), task);
        let success = success.enumerate().map(place("success"));
        let constraints = constraints.enumerate().map(place("constraints"));
        success.chain(constraints).chain(prerequisites.enumerate().map(place("prerequisites")))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// One atomic step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The capability that does it: `db.create_index`.
    pub does: String,
    /// For people.
    pub title: String,
    /// The system it is done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The tasks that must have settled before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// CEL, a boolean. Without it the task runs only if all its needs are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The capability's inputs; `${ expression }` stands for a value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Value>,
    /// The scope it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The phase a reader sees it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why a person must look before it starts: a sentence, or with who is asked and for how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateRule>,
    /// Start to close, instead of the capability's own: `120s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Tries, the first included; only what may succeed next time is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What it means that they are used up, instead of what the plan says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_exhausted: Option<OnExhausted>,
    /// Resources it holds besides the capability's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
}

/// Why a person must look, and perhaps more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GateRule {
    /// Why. Anybody may answer, and it waits for as long as that takes.
    Reason(String),
    /// Why, who, and for how long.
    Terms(GateTerms),
}

/// A gate with a person's name or a clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateTerms {
    /// Why a person must look.
    pub reason: String,
    /// Who alone may answer, until it is delegated; without it anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<String>,
    /// How long it waits: `2h`. Then nobody has said yes, and that is a no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Who is asked instead once that time is over, for as long again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_to: Option<String>,
}

impl GateRule {
    /// The same as terms.
    pub fn terms(&self) -> GateTerms {
        match self {
            Self::Reason(reason) => GateTerms { reason: reason.clone(), ..GateTerms::default() },
            Self::Terms(terms) => terms.clone(),
        }
    }
}

/// A group of tasks with its own undo boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// For people.
    pub title: String,
    /// What the failure of one of its tasks means.
    pub on_failure: OnFailure,
}

/// What the failure of a task in a scope means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The scope's effects are taken back; the workflow goes on.
    Continue,
    /// The whole workflow is taken back.
    Abort,
}

/// What it means that the tries of a task are used up. Only what may succeed next time is tried
/// again (`unavailable`, `unknown_outcome`); every other failure is final with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// The workflow pauses, and a person decides: retry, skip, or take everything back.
    #[default]
    Pause,
    /// It is a failure like any other: its scope or the whole workflow is taken back.
    Undo,
}

/// A part of the plan that a reader sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// What tasks call it.
    pub id: String,
    /// For people.
    pub title: String,
    /// What is reached when it is over.
    pub milestone: String,
}

/// What may go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// In a sentence.
    pub risk: String,
    /// How likely.
    pub likelihood: Level,
    /// How bad.
    pub impact: Level,
    /// What is done about it.
    pub mitigation: String,
}

/// How much.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Low,
    Medium,
    High,
}

/// When the plan has succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// In a sentence with a number.
    pub criterion: String,
    /// The task that measures it.
    pub checked_by: String,
}

/// What must hold whatever else is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// In a sentence with a number.
    pub constraint: String,
    /// The task that measures it.
    pub checked_by: String,
}

/// What must be there before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prerequisite {
    /// In a sentence.
    pub prerequisite: String,
    /// The task that sees whether it is there.
    pub checked_by: String,
}

/// Whether a person approves the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nothing begins before a person has approved the digest.
    #[default]
    Required,
    /// It begins at once.
    None,
}
