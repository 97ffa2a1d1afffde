//! A plan as a person reads it before approving: always the same five sections. Pure.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_core::{
    CheckedPlan,
    expr::Template,
    plan::{CheckedGate, CheckedTask},
};
use deadelus_proto::{CapabilityName, Effect, SpecialistCard, UndoClass};
use serde::Serialize;
use serde_json::Value;

use crate::{
    term::{Term, Tone, cut, hang},
    time,
};

/// Where a plan came from.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// The blueprint; empty for a plan of one's own.
    pub blueprint: String,
    /// Why this one, in words.
    pub because: String,
    /// How sure, 0 to 1.
    pub confidence: f64,
}

/// What a program gets.
#[derive(Debug, Serialize)]
pub struct PlanJson<'a> {
    digest: &'a str,
    #[serde(flatten)]
    origin: &'a Origin,
    plan: &'a deadelus_core::Plan,
    waves: Vec<Vec<&'a str>>,
    roles: BTreeMap<&'a str, BTreeSet<&'a str>>,
    undo: BTreeMap<&'a str, String>,
}

/// What each capability gives, by the names in its output schema.
pub type Outputs = BTreeMap<CapabilityName, Vec<String>>;

/// The names of what capabilities give, from the specialists' cards.
pub fn outputs(cards: &[SpecialistCard]) -> Outputs {
    let capabilities = cards.iter().flat_map(|card| &card.capabilities);
    let names = |schema: &Value| {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names: BTreeSet<&String> = properties.into_iter().flat_map(|p| p.keys()).collect();
        names.into_iter().cloned().collect()
    };
    capabilities.map(|c| (c.name.clone(), names(&c.outputs_schema))).collect()
}

/// The plan for a program.
pub fn json<'a>(plan: &'a CheckedPlan, origin: &'a Origin) -> PlanJson<'a> {
    let changing = plan.tasks().iter().filter(|t| t.effect.changes());
    let roles = plan.roles().into_iter().map(|(name, roles)| (name.as_str(), roles));
    PlanJson {
        digest: plan.digest().as_str(),
        origin,
        plan: plan.plan(),
        waves: waves(plan),
        roles: roles.collect(),
        undo: changing.map(|t| (t.id.as_str(), way_back(t))).collect(),
    }
}

/// The plan for a person.
pub fn text(plan: &CheckedPlan, origin: &Origin, outputs: &Outputs, term: Term) -> String {
    let mut out = head(plan, origin, term);
    let sections = [
        ("1 Tasks", tasks(plan, outputs, term)),
        ("2 Specialists", specialists(plan, term)),
        ("3 Order", order(plan, term)),
        ("4 Risks, and the way back", risks(plan, term)),
        ("5 Success", success(plan, term)),
    ];
    for (title, body) in sections {
        out.push_str(&format!("\n{}\n{body}", term.paint(Tone::Strong, title)));
    }
    out
}

fn head(plan: &CheckedPlan, origin: &Origin, term: Term) -> String {
    let whole = plan.plan();
    let mut out = format!("{}\n", term.paint(Tone::Strong, &whole.title));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&hang(&format!("  {name:<10}"), value, term.width));
        }
    };
    line("asked", &whole.request);
    line("target", whole.target.as_deref().unwrap_or_default());
    if origin.blueprint.is_empty() {
        line("from", &origin.because);
    } else {
        let sure = format!("{:.0} % sure", origin.confidence * 100.0);
        line("blueprint", &format!("{} ({sure}: {})", origin.blueprint, origin.because));
    }
    line("digest", plan.digest().as_str());
    out
}

fn tasks(plan: &CheckedPlan, outputs: &Outputs, term: Term) -> String {
    let mut out = String::new();
    let width = plan.tasks().iter().map(|t| t.id.as_str().len()).max().unwrap_or(0);
    for task in plan.tasks() {
        let id = format!("  {:<width$}  ", task.id.as_str());
        let what = format!("{}: {} ({})", task.does, task.title, effect(task.effect));
        out.push_str(&hang(&id, &what, term.width));
        let indent = " ".repeat(width + 4);
        let mut detail = |name: &str, text: &str| {
            if !text.is_empty() {
                let shown = hang(&format!("{indent}{name:<5}"), text, term.width);
                out.push_str(&term.paint(Tone::Dim, shown.trim_end()));
                out.push('\n');
            }
        };
        detail("in", &inputs(plan, task));
        detail("out", &outputs.get(&task.does).map(|o| o.join(", ")).unwrap_or_default());
        let when = task.when.as_ref().map(|w| cut(w.text(), LONG_MAX_CHARS));
        detail("when", &when.unwrap_or_default());
        detail("gate", &task.gate.as_ref().map(gate).unwrap_or_default());
    }
    out
}

/// `look at it (asks grace, 2h, then ada)`
fn gate(gate: &CheckedGate) -> String {
    let asks = (!gate.asks.is_empty()).then(|| format!("asks {}", gate.asks));
    let wait = gate.timeout_ms.map(|ms| format!("waits {}", time::span(ms)));
    let then = gate.escalate_to.as_ref().map(|who| format!("then asks {who}"));
    let terms: Vec<String> = asks.into_iter().chain(wait).chain(then).collect();
    let terms = if terms.is_empty() { String::new() } else { format!(" ({})", terms.join(", ")) };
    format!("{}{terms}", gate.reason)
}

/// Characters of one input; whole plans are for `-o yaml`.
const VALUE_MAX_CHARS: usize = 60;
/// Characters of a condition.
const LONG_MAX_CHARS: usize = 110;

/// `runs = 3, statements ← measure0`
fn inputs(plan: &CheckedPlan, task: &CheckedTask) -> String {
    let Some(written) = plan.plan().tasks.get(task.id.as_str()) else { return String::new() };
    let one = |(name, value): (&String, &Value)| match value.as_str() {
        _ if has_names(value) => format!("{name} ← {}", sources(value)),
        Some(text) => format!("{name} = {}", cut(text, VALUE_MAX_CHARS)),
        None => format!("{name} = {}", cut(&value.to_string(), VALUE_MAX_CHARS)),
    };
    written.inputs.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Whether the value is worked out from others.
fn has_names(value: &Value) -> bool {
    Template::read(value).is_ok_and(|t| !t.names().tasks.is_empty() || !t.names().params.is_empty())
}

/// `measure0, measure1`: where the value comes from. The whole expression is for `-o yaml`.
fn sources(value: &Value) -> String {
    let names = Template::read(value).map(|t| t.names()).unwrap_or_default();
    let params = names.params.into_iter().map(|p| format!("params.{p}"));
    names.tasks.into_iter().chain(params).collect::<Vec<_>>().join(", ")
}

fn specialists(plan: &CheckedPlan, term: Term) -> String {
    let mut out = String::new();
    for (specialist, roles) in plan.roles() {
        let tasks = plan.tasks().iter().filter(|t| t.does.specialist() == specialist);
        let does: BTreeSet<&str> = tasks.clone().map(|t| t.does.verb()).collect();
        let does = does.into_iter().collect::<Vec<_>>().join(", ");
        let roles = roles.into_iter().collect::<Vec<_>>().join(", ");
        let text = format!("{roles}: {does} ({} tasks)", tasks.count());
        out.push_str(&hang(&format!("  {:<13}", specialist.as_str()), &text, term.width));
    }
    out
}

fn order(plan: &CheckedPlan, term: Term) -> String {
    let mut out = String::new();
    let mut phase = |title: &str, milestone: &str, id: Option<&str>| {
        let steps = steps(plan, id);
        if steps.is_empty() {
            return;
        }
        out.push_str(&hang("  ", title, term.width));
        out.push_str(&hang("    ", &steps, term.width));
        if !milestone.is_empty() {
            out.push_str(&hang("    milestone: ", milestone, term.width));
        }
    };
    for p in &plan.plan().phases {
        phase(&p.title, &p.milestone, Some(&p.id));
    }
    phase("Tasks of no phase", "", None);
    out
}

/// `explain1 → diagnose1 → index1 + release1`; what is joined by + may run side by side.
fn steps(plan: &CheckedPlan, phase: Option<&str>) -> String {
    let mut waves: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for task in plan.tasks().iter().filter(|t| t.phase.as_deref() == phase) {
        waves.entry(task.wave).or_default().push(task.id.as_str());
    }
    waves.into_values().map(|wave| wave.join(" + ")).collect::<Vec<_>>().join(" → ")
}

fn risks(plan: &CheckedPlan, term: Term) -> String {
    let mut out = String::new();
    for risk in &plan.plan().risks {
        let level = |level| format!("{level:?}").to_lowercase();
        let odds = format!("likelihood {}, impact {}", level(risk.likelihood), level(risk.impact));
        out.push_str(&hang("  - ", &format!("{} ({odds})", risk.risk), term.width));
        out.push_str(&hang("    ", &risk.mitigation, term.width));
    }
    let (changing, looking): (Vec<_>, Vec<_>) =
        plan.tasks().iter().partition(|t| t.effect.changes());
    for task in &changing {
        let text = format!("{}: {}", task.does, way_back(task));
        out.push_str(&hang(&format!("  undo {:<10} ", task.id.as_str()), &text, term.width));
    }
    if !looking.is_empty() {
        let text = format!("{} tasks only look or calculate: nothing to take back", looking.len());
        out.push_str(&hang("  undo ", &text, term.width));
    }
    for scope in plan.scopes() {
        let what = match scope.on_failure {
            deadelus_core::plan::OnFailure::Continue => "is taken back, the plan goes on",
            deadelus_core::plan::OnFailure::Abort => "takes the whole plan back",
        };
        out.push_str(&hang("  ", &format!("{}: a failure in it {what}", scope.title), term.width));
    }
    out
}

fn success(plan: &CheckedPlan, term: Term) -> String {
    let mut out = String::new();
    let mut line = |mark: &str, what: &str, task: &str| {
        let checker = plan.tasks().iter().find(|t| t.id.as_str() == task);
        let by = checker.map_or(String::new(), |t| format!(" by {}", t.does));
        out.push_str(&hang(mark, &format!("{what} (checked in {task}{by})"), term.width));
    };
    let whole = plan.plan();
    for c in &whole.success {
        line("  - ", &c.criterion, &c.checked_by);
    }
    for c in &whole.constraints {
        line("  - whatever else: ", &c.constraint, &c.checked_by);
    }
    for p in &whole.prerequisites {
        line("  - before anything is changed: ", &p.prerequisite, &p.checked_by);
    }
    out
}

fn waves(plan: &CheckedPlan) -> Vec<Vec<&str>> {
    let ids = |wave: Vec<&'_ CheckedTask>| wave.iter().map(|t| t.id.to_string()).collect();
    let by_wave: Vec<Vec<String>> = plan.waves().into_iter().map(ids).collect();
    let find = |id: &String| plan.plan().tasks.get_key_value(id).map(|(k, _)| k.as_str());
    by_wave.iter().map(|wave| wave.iter().filter_map(find).collect()).collect()
}

/// `taken back by db.drop_index, exactly`
pub fn way_back(task: &CheckedTask) -> String {
    match &task.undo {
        Some((by, UndoClass::Exact)) => format!("taken back by {by}, exactly"),
        Some((by, UndoClass::Semantic)) => {
            format!("taken back by {by}; what stays is listed")
        }
        None => "no way back".to_owned(),
    }
}

/// `changes, reversible`
pub fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Pure => "calculates",
        Effect::Read => "looks",
        Effect::Reversible => "changes, reversible",
        Effect::Compensatable => "changes, compensatable",
        Effect::Pivot => "changes for good",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn origin() -> Origin {
        let because = "it says that something is slow".to_owned();
        Origin { blueprint: "slow-endpoint".into(), because, confidence: 0.87 }
    }

    #[test]
    fn the_five_sections_are_there_and_fit() {
        let plan = fixture::plan();
        let shown = text(&plan, &origin(), &outputs(&fixture::cards()), Term::plain(80));
        assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
        let parts = [
            "1 Tasks",
            "in   runs = 3",
            "out  latency, runs",
            "in   measurement ← measure0",
            "2 Specialists",
            "Performance Admin: check_budget, compare, diagnose, measure (9 tasks)",
            "3 Order",
            "measure0 → diagnose1",
            "milestone: Today is known",
            "4 Risks, and the way back",
            "(likelihood medium, impact high)",
            "undo index1     db.create_index: taken back by db.drop_index, exactly",
            "Round 2: a failure in it is taken back, the plan goes on",
            "5 Success",
            "(checked in budget by performance.check_budget)",
            "slow-endpoint (87 % sure: it says that something is slow)",
            plan.digest().as_str(),
        ];
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in parts {
            assert!(squeezed(&shown).contains(&squeezed(part)), "{part:?} is missing:\n{shown}");
        }
    }

    #[test]
    fn json_names_every_way_back_and_every_wave() {
        let (plan, origin) = (fixture::plan(), origin());
        let value = serde_json::to_value(json(&plan, &origin)).unwrap();
        assert_eq!(value["undo"]["index1"], "taken back by db.drop_index, exactly");
        assert_eq!(value["waves"][0][0], "measure0");
        assert_eq!(value["waves"].as_array().unwrap().len(), 11);
    }
}
