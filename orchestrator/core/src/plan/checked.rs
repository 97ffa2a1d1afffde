//! A plan that makes sense, with the part of the descriptors it was judged by.
//!
//! The log holds the checked plan whole, so the log alone is enough to go on: no card has to be
//! read again, and a specialist that changes its descriptor cannot change a plan that a person
//! approved.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_proto::{
    Capability, CapabilityName, Effect, Hazard, Sha256, SpecialistCard, SpecialistName, TargetName,
    TaskId, UndoClass, canonical, limits::PLAN_MAX_BYTES,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256 as Hasher};

use super::{OnExhausted, OnFailure, Plan, Problems, compile, review};
use crate::expr::{Expression, Template};

/// A plan that makes sense. Its digest is what people approve.
#[derive(Debug, Clone)]
pub struct CheckedPlan {
    stored: Stored,
    json: String,
    digest: Sha256,
    tasks: Vec<CheckedTask>,
    positions: BTreeMap<TaskId, usize>,
    scopes: Vec<CheckedScope>,
}

/// What the digest is taken of and the log keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    pub(super) plan: Plan,
    /// The capabilities that the tasks and their undos use.
    pub(super) capabilities: BTreeMap<CapabilityName, Contract>,
    /// The targets of the plan that are production.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) production: BTreeSet<TargetName>,
}

/// The part of a capability's descriptor that a workflow depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// In a team's words: `DB Admin`.
    pub role: String,
    /// Of the capability: `1`.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// What doing it means for the world.
    pub effect: Effect,
    /// What takes it back, and how exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<(CapabilityName, UndoClass)>,
    /// Start to close.
    pub timeout_ms: i64,
    /// Resources it holds; `{target}` stands for the target's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// Why a person is asked before it is done, whatever the plan says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hazards: Vec<Hazard>,
}

/// A task with every name resolved and every expression read.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedTask {
    /// Its id.
    pub id: TaskId,
    /// For people.
    pub title: String,
    /// What is done.
    pub does: CapabilityName,
    /// To which system.
    pub target: TargetName,
    /// Positions in [`CheckedPlan::tasks`] of the tasks it needs; all of them smaller than its own.
    pub needs: Vec<usize>,
    /// How many waves of tasks come before it; tasks of one wave may run side by side.
    pub wave: usize,
    /// Whether it runs, once its needs have settled.
    pub when: Option<Expression>,
    /// With what.
    pub inputs: Template,
    /// Position in [`CheckedPlan::scopes`].
    pub scope: Option<usize>,
    /// The phase a reader sees it in.
    pub phase: Option<String>,
    /// Why a person must look before it starts, as the plan or the policy says.
    pub gate: Option<CheckedGate>,
    /// Start to close, of one attempt.
    pub timeout_ms: i64,
    /// Tries, the first included.
    pub attempts: u32,
    /// What it means that they are used up.
    pub on_exhausted: OnExhausted,
    /// Resources it holds, the target's name filled in.
    pub locks: BTreeSet<String>,
    /// What doing it means for the world.
    pub effect: Effect,
    /// What takes it back, and how exactly.
    pub undo: Option<(CapabilityName, UndoClass)>,
    /// Who does it, in a team's words.
    pub role: String,
}

/// Why a person must look, who, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedGate {
    /// Why a person must look.
    pub reason: String,
    /// Who alone may answer; empty for anybody.
    pub asks: String,
    /// How long each of them is asked.
    pub timeout_ms: Option<i64>,
    /// Who is asked after the first.
    pub escalate_to: Option<String>,
}

/// A scope with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedScope {
    /// Its id.
    pub id: String,
    /// For people.
    pub title: String,
    /// What the failure of one of its tasks means.
    pub on_failure: OnFailure,
    /// Positions of its tasks, in the plan's order.
    pub tasks: Vec<usize>,
}

impl CheckedPlan {
    /// Judges a plan against what the specialists offer.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn check(plan: Plan, cards: &[SpecialistCard]) -> Result<Self, Problems> {
        compile::bounded(&plan)?;
        let mut problems = Problems::default();
        review::review(&plan, cards, &mut problems);
        let offered = cards.iter().flat_map(|card| &card.capabilities);
        let offered = offered.map(|c| (c.name.clone(), Contract::of(c))).collect();
        let targets = cards.iter().flat_map(|card| &card.targets);
        let production = targets.filter(|target| target.is_production());
        let production = production.map(|target| target.name.clone()).collect();
        let checked = Self::compile(plan, &offered, &production, problems)?;
        if checked.json.len() > PLAN_MAX_BYTES {
            let size = checked.json.len();
            let what = format!("with its descriptors {size} bytes; at most {PLAN_MAX_BYTES}");
            return Err(Problems::one("", what));
        }
        Ok(checked)
    }

    /// Reads back what [`json`](Self::json) gave.
    ///
    /// # Errors
    /// What keeps it from being executed; rules that came later do not.
    pub fn from_json(json: &[u8]) -> Result<Self, Problems> {
        let stored: Stored =
            serde_json::from_slice(json).map_err(|e| Problems::one("", e.to_string()))?;
        let Stored { plan, capabilities, production } = stored;
        compile::bounded(&plan)?;
        Self::compile(plan, &capabilities, &production, Problems::default())
    }

    fn compile(
        plan: Plan,
        offered: &BTreeMap<CapabilityName, Contract>,
        production: &BTreeSet<TargetName>,
        mut problems: Problems,
    ) -> Result<Self, Problems> {
        let compiled = compile::compile(&plan, offered, production, &mut problems);
        let (tasks, scopes) = problems.or(compiled)?.unwrap_or_default();
        let undos = tasks.iter().filter_map(|t| t.undo.as_ref()).map(|(name, _)| name);
        let used: BTreeSet<_> = tasks.iter().map(|t| &t.does).chain(undos).collect();
        let used = used.into_iter().filter_map(|n| Some((n.clone(), offered.get(n)?.clone())));
        let targets: BTreeSet<_> = tasks.iter().map(|t| &t.target).collect();
        let production = production.iter().filter(|t| targets.contains(t)).cloned().collect();
        let stored = Stored { capabilities: used.collect(), plan, production };
        let tree = serde_json::to_value(&stored).map_err(|e| Problems::one("", e.to_string()))?;
        let json = canonical::text(&tree);
        let digest = Sha256::from_bytes(Hasher::digest(&json).into());
        let positions = tasks.iter().enumerate().map(|(n, t)| (t.id.clone(), n)).collect();
        Ok(Self { digest, stored, json, tasks, positions, scopes })
    }

    /// The plan as it was written.
    pub fn plan(&self) -> &Plan {
        &self.stored.plan
    }

    /// The canonical JSON `{"capabilities": …, "plan": …}`: what travels and what the log keeps.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// SHA-256 of [`json`](Self::json).
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// Every task, each after those it needs.
    pub fn tasks(&self) -> &[CheckedTask] {
        &self.tasks
    }

    /// The task of an id.
    pub fn task(&self, id: &TaskId) -> Option<&CheckedTask> {
        self.tasks.get(self.position(id)?)
    }

    /// Where the task of an id stands in [`tasks`](Self::tasks).
    pub fn position(&self, id: &TaskId) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// Whether any task holds a lock.
    pub(crate) fn has_locks(&self) -> bool {
        self.tasks.iter().any(|task| !task.locks.is_empty())
    }

    /// The scopes, in the order of their ids.
    pub fn scopes(&self) -> &[CheckedScope] {
        &self.scopes
    }

    /// The capabilities that the tasks and their undos use.
    pub fn capabilities(&self) -> &BTreeMap<CapabilityName, Contract> {
        &self.stored.capabilities
    }

    /// The tasks wave by wave; those of one wave may run side by side.
    pub fn waves(&self) -> Vec<Vec<&CheckedTask>> {
        let mut waves: Vec<Vec<&CheckedTask>> = Vec::new();
        for task in &self.tasks {
            waves.resize_with(waves.len().max(task.wave + 1), Vec::new);
            waves[task.wave].push(task);
        }
        waves
    }

    /// Every specialist that takes part, with the roles it plays.
    pub fn roles(&self) -> BTreeMap<&SpecialistName, BTreeSet<&str>> {
        let mut roles: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for task in &self.tasks {
            roles.entry(task.does.specialist()).or_default().insert(task.role.as_str());
        }
        roles
    }
}

impl PartialEq for CheckedPlan {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Contract {
    fn of(capability: &Capability) -> Self {
        Self {
            role: capability.role.clone(),
            version: capability.version.clone(),
            summary: capability.summary.clone(),
            effect: capability.effect,
            undo: capability.undo.clone(),
            timeout_ms: i64::try_from(capability.timeout.as_millis()).unwrap_or(i64::MAX),
            locks: capability.locks.clone(),
            hazards: capability.hazards.clone(),
        }
    }
}
