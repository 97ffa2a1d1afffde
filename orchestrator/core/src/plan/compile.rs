//! From the plan as written to the plan as executed: every name found, every expression read, the
//! order known. Only what execution depends on is judged here; taste and safety are in `review`.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_proto::{CapabilityName, TargetName, TaskId, limits::PLAN_TASKS_MAX};

use super::{
    Contract, GateRule, OnFailure, PLAN_GATE, Plan, Problems, Task,
    checked::{CheckedGate, CheckedScope, CheckedTask},
    duration,
    graph::{self, Ground, Needs},
    policy,
};
use crate::{
    expr::{Expression, Names, Template},
    limits::{ATTEMPTS_DEFAULT, ATTEMPTS_MAX, PLAN_EXPRESSIONS_MAX, PRIORITY_MAX},
};

/// The tasks in their order and the scopes; none, with problems added, if the plan makes no sense.
pub(super) fn compile(
    plan: &Plan,
    offered: &BTreeMap<CapabilityName, Contract>,
    production: &BTreeSet<TargetName>,
    problems: &mut Problems,
) -> Option<(Vec<CheckedTask>, Vec<CheckedScope>)> {
    whole(plan, problems);
    let order = order(plan, problems)?;
    let positions: BTreeMap<&str, usize> =
        order.iter().flatten().enumerate().map(|(n, id)| (*id, n)).collect();
    let needs = needs(plan);
    let ground = Ground::of(&needs, order.iter().flatten().copied());
    let mut compiler = Compiler { plan, offered, production, problems, positions, needs, ground };
    let mut tasks = Vec::new();
    for (wave, ids) in order.iter().enumerate() {
        tasks.extend(ids.iter().map(|id| compiler.task(id, wave)));
    }
    let tasks: Vec<CheckedTask> = tasks.into_iter().collect::<Option<_>>()?;
    let scopes = scopes(plan, &tasks);
    Some((tasks, scopes))
}

/// Whether a plan is small enough to be looked at closely: everything else takes time that grows with
/// its tasks and expressions.
///
/// # Errors
/// What there is too much of.
pub(super) fn bounded(plan: &Plan) -> Result<(), Problems> {
    let tasks = plan.tasks.len();
    if tasks > PLAN_TASKS_MAX {
        return Err(Problems::one("tasks", format!("{tasks} tasks; at most {PLAN_TASKS_MAX}")));
    }
    let inputs = plan.tasks.values().flat_map(|task| task.inputs.values());
    let expressions: usize = inputs.map(Template::expressions_at_most).sum();
    if expressions > PLAN_EXPRESSIONS_MAX {
        let what = format!("{expressions} expressions in inputs; at most {PLAN_EXPRESSIONS_MAX}");
        return Err(Problems::one("tasks", what));
    }
    Ok(())
}

/// What concerns the plan as a whole.
fn whole(plan: &Plan, problems: &mut Problems) {
    if plan.tasks.is_empty() {
        problems.add("tasks", "a plan has at least one task");
    }
    if plan.priority.unsigned_abs() > PRIORITY_MAX.unsigned_abs() {
        let what = format!("{} is not between -{PRIORITY_MAX} and {PRIORITY_MAX}", plan.priority);
        problems.add("priority", what);
    }
    for id in plan.scopes.keys() {
        problems.keep(format!("scopes.{id}"), id.parse::<TaskId>());
    }
    let mut phases = BTreeSet::new();
    for (n, phase) in plan.phases.iter().enumerate() {
        if !phases.insert(&phase.id) {
            problems.add(format!("phases[{n}].id"), format!("{:?} stands here twice", phase.id));
        }
    }
    for (place, task) in plan.checkers() {
        if !plan.tasks.contains_key(task) {
            problems.unknown(format!("{place}.checked_by"), "task", task, ids(plan));
        }
    }
    for (id, task) in &plan.tasks {
        for (n, need) in task.needs.iter().enumerate() {
            if !plan.tasks.contains_key(need) {
                problems.unknown(format!("tasks.{id}.needs[{n}]"), "task", need, ids(plan));
            }
        }
    }
}

/// The ids wave by wave. What needs a task of a scope that may be taken back by itself comes after
/// the whole scope, or it would stand on ground that may still be taken away.
fn order<'a>(plan: &'a Plan, problems: &mut Problems) -> Option<Vec<Vec<&'a str>>> {
    let whole: BTreeMap<&str, String> = plan
        .scopes
        .iter()
        .filter(|(_, scope)| scope.on_failure == OnFailure::Continue)
        // A blank keeps it apart from every legal id.
        .map(|(id, _)| (id.as_str(), format!("scope {id}")))
        .collect();
    let scope_of = |id: &str| whole.get(plan.tasks.get(id)?.scope.as_deref()?).map(String::as_str);
    let mut graph: Needs<'_> = whole.values().map(|s| (s.as_str(), BTreeSet::new())).collect();
    for (id, needed) in needs(plan) {
        let own = scope_of(id);
        if let Some(scope) = own {
            graph.entry(scope).or_default().insert(id);
        }
        let foreign = needed.iter().filter_map(|n| scope_of(n)).filter(|s| Some(*s) != own);
        let foreign: BTreeSet<&str> = foreign.collect();
        graph.entry(id).or_default().extend(needed.into_iter().chain(foreign));
    }
    match graph::waves(&graph) {
        Ok(waves) => {
            let is_task = |id: &&str| plan.tasks.get_key_value(*id).map(|(key, _)| key.as_str());
            let tasks = waves.iter().map(|wave| wave.iter().filter_map(is_task).collect());
            Some(tasks.filter(|wave: &Vec<&str>| !wave.is_empty()).collect())
        }
        Err(cycle) => {
            problems.add("tasks", format!("needs in a circle: {}", cycle.join(" needs ")));
            None
        }
    }
}

fn needs(plan: &Plan) -> Needs<'_> {
    let mut needs = Needs::new();
    for (id, task) in &plan.tasks {
        let known = task.needs.iter().filter(|n| plan.tasks.contains_key(*n));
        needs.insert(id, known.map(String::as_str).collect());
    }
    needs
}

fn scopes(plan: &Plan, tasks: &[CheckedTask]) -> Vec<CheckedScope> {
    let members = |n: usize| {
        let tasks = tasks.iter().enumerate();
        tasks.filter(|(_, t)| t.scope == Some(n)).map(|(at, _)| at).collect()
    };
    let scopes = plan.scopes.iter().enumerate();
    let checked = scopes.map(|(n, (id, scope))| CheckedScope {
        id: id.clone(),
        title: scope.title.clone(),
        on_failure: scope.on_failure,
        tasks: members(n),
    });
    checked.collect()
}

fn ids(plan: &Plan) -> impl Iterator<Item = &str> {
    plan.tasks.keys().map(String::as_str)
}

struct Compiler<'a> {
    plan: &'a Plan,
    offered: &'a BTreeMap<CapabilityName, Contract>,
    production: &'a BTreeSet<TargetName>,
    problems: &'a mut Problems,
    positions: BTreeMap<&'a str, usize>,
    needs: Needs<'a>,
    ground: Ground<'a>,
}

impl<'a> Compiler<'a> {
    /// The task; `None` only ever together with a problem.
    fn task(&mut self, id: &'a str, wave: usize) -> Option<CheckedTask> {
        let at = format!("tasks.{id}");
        let task = self.plan.tasks.get(id)?;
        let task_id = self.problems.keep(&at, id.parse::<TaskId>());
        if id == PLAN_GATE {
            self.problems.add(&at, "\"plan\" is the gate of the whole plan; choose another id");
        }
        let named = self.capability(&at, task);
        let target = self.target(&at, task);
        let scope = self.scope(&at, task);
        self.phase(&at, task);
        let when = self.when(&at, id, task);
        let inputs = self.inputs(&at, id, task);
        let gate = self.gate(&at, task);
        let timeout = task.timeout.as_deref().map(duration::parse_ms).transpose();
        let timeout = self.problems.keep(format!("{at}.timeout"), timeout);
        let attempts = task.attempts.unwrap_or(ATTEMPTS_DEFAULT);
        if !(1..=ATTEMPTS_MAX).contains(&attempts) {
            self.problems.add(format!("{at}.attempts"), format!("must be 1 to {ATTEMPTS_MAX}"));
        }
        // Every part was looked at, so that every problem is named; from here on all are needed.
        let (does, contract) = named?;
        self.prerequisites(id, contract);
        let target = target?;
        let locks = contract.locks.iter().map(|l| l.replace("{target}", target.as_str()));
        Some(CheckedTask {
            id: task_id?,
            title: task.title.clone(),
            needs: self
                .needs
                .get(id)?
                .iter()
                .filter_map(|n| self.positions.get(n).copied())
                .collect(),
            wave,
            when: when?,
            inputs: inputs?,
            scope: scope?,
            phase: task.phase.clone(),
            gate: gate?.or_else(|| self.policy(contract, &target)),
            timeout_ms: timeout?.unwrap_or(contract.timeout_ms),
            attempts,
            on_exhausted: task.on_exhausted.or(self.plan.on_exhausted).unwrap_or_default(),
            locks: locks.chain(task.locks.iter().cloned()).collect(),
            effect: contract.effect,
            undo: contract.undo.clone(),
            role: contract.role.clone(),
            does,
            target,
        })
    }

    fn capability(&mut self, at: &str, task: &Task) -> Option<(CapabilityName, &'a Contract)> {
        let place = format!("{at}.does");
        let name: CapabilityName = self.problems.keep(&place, task.does.parse())?;
        let contract = self.offered.get(&name);
        if contract.is_none() {
            let known: Vec<String> = self.offered.keys().map(ToString::to_string).collect();
            let known = known.iter().map(String::as_str);
            self.problems.unknown(place, "capability", &task.does, known);
        }
        Some((name, contract?))
    }

    fn target(&mut self, at: &str, task: &Task) -> Option<TargetName> {
        match task.target.as_ref().or(self.plan.target.as_ref()) {
            Some(target) => self.problems.keep(format!("{at}.target"), target.parse()),
            None => {
                let what = "is missing, and the plan names no target for all tasks";
                self.problems.add(format!("{at}.target"), what);
                None
            }
        }
    }

    /// What must be there before anything is changed is looked at before anything is changed.
    fn prerequisites(&mut self, id: &str, contract: &Contract) {
        if !contract.effect.changes() {
            return;
        }
        for (n, prerequisite) in self.plan.prerequisites.iter().enumerate() {
            let seen_by = &prerequisite.checked_by;
            if !self.ground.stands_on(id, seen_by) {
                let what = format!("{id:?} changes something and does not need {seen_by:?}");
                self.problems.add(format!("prerequisites[{n}].checked_by"), what);
            }
        }
    }

    /// What the plan itself says; `None` only together with a problem.
    fn gate(&mut self, at: &str, task: &Task) -> Option<Option<CheckedGate>> {
        let Some(terms) = task.gate.as_ref().map(GateRule::terms) else { return Some(None) };
        let timeout = terms.timeout.as_deref().map(duration::parse_ms).transpose();
        let timeout_ms = self.problems.keep(format!("{at}.gate.timeout"), timeout)?;
        Some(Some(CheckedGate {
            reason: terms.reason,
            asks: terms.asks.unwrap_or_default(),
            timeout_ms,
            escalate_to: terms.escalate_to,
        }))
    }

    /// A person is asked even where the plan forgot.
    fn policy(&self, contract: &Contract, target: &TargetName) -> Option<CheckedGate> {
        let reason = policy::asks(contract, target, self.production.contains(target))?;
        Some(CheckedGate { reason, ..CheckedGate::default() })
    }

    fn scope(&mut self, at: &str, task: &Task) -> Option<Option<usize>> {
        let Some(scope) = &task.scope else { return Some(None) };
        let position = self.plan.scopes.keys().position(|id| id == scope);
        if position.is_none() {
            let known = self.plan.scopes.keys().map(String::as_str);
            self.problems.unknown(format!("{at}.scope"), "scope", scope, known);
        }
        position.map(Some)
    }

    fn phase(&mut self, at: &str, task: &Task) {
        let Some(phase) = &task.phase else { return };
        let known = || self.plan.phases.iter().map(|p| p.id.as_str());
        if !known().any(|id| id == phase) {
            self.problems.unknown(format!("{at}.phase"), "phase", phase, known());
        }
    }

    fn when(&mut self, at: &str, id: &str, task: &Task) -> Option<Option<Expression>> {
        let Some(text) = &task.when else { return Some(None) };
        let place = format!("{at}.when");
        let expression = self.problems.keep(&place, Expression::parse(text))?;
        self.names(&place, id, &expression.names());
        Some(Some(expression))
    }

    fn inputs(&mut self, at: &str, id: &str, task: &Task) -> Option<Template> {
        let place = format!("{at}.inputs");
        let inputs = task.inputs.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        match Template::read(&serde_json::Value::Object(inputs)) {
            Ok(template) => {
                self.names(&place, id, &template.names());
                Some(template)
            }
            Err(wrong) => {
                for (pointer, what) in wrong {
                    let inside = super::read::place(&pointer);
                    self.problems.add(format!("{place}.{inside}"), what);
                }
                None
            }
        }
    }

    /// An expression may read only what has certainly settled before.
    fn names(&mut self, place: &str, id: &str, names: &Names) {
        for task in &names.tasks {
            if !self.plan.tasks.contains_key(task) {
                self.problems.unknown(place, "task", task, ids(self.plan));
            } else if !self.ground.stands_on(id, task) {
                let what = format!("reads task {task:?}, which {id:?} does not need");
                self.problems.add(place, format!("{what}; add it to needs"));
            }
        }
        for param in &names.params {
            if !self.plan.params.contains_key(param) {
                let known = self.plan.params.keys().map(String::as_str);
                self.problems.unknown(place, "parameter", param, known);
            }
        }
    }
}
