//! Random plans for two specialists: graphs, scopes, gates, locks, data flow, short and long
//! deadlines; every one of them legal.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use deadelus_core::{CheckedPlan, Plan};
use deadelus_proto::{
    Capability, CheckKind, Effect, Idempotency, SpecialistCard, TargetCard, UndoClass,
};
use fastrand::Rng;
use serde_json::json;

/// The specialists there are.
pub const SPECIALISTS: [&str; 2] = ["a", "b"];

/// Enough for every shape of a graph; the core's own tests have larger ones.
const TASKS_MAX: usize = 6;

/// Shorter than `ack_wait`: who dies is declared dead before anybody else gets the task.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the two offer: `look` at something, `make` (and `unmake`) it, `ship` it for good.
pub fn cards() -> Vec<SpecialistCard> {
    SPECIALISTS.into_iter().map(card).collect()
}

fn card(name: &str) -> SpecialistCard {
    SpecialistCard {
        specialist: id(name),
        version: "1".into(),
        capabilities: vec![
            capability(name, "look", Effect::Read, None),
            capability(name, "make", Effect::Reversible, Some("unmake")),
            capability(name, "unmake", Effect::Reversible, Some("make")),
            capability(name, "ship", Effect::Pivot, None),
        ],
        targets: vec![TargetCard { name: id("shop"), facts: BTreeMap::new() }],
    }
}

fn capability(specialist: &str, verb: &str, effect: Effect, undo: Option<&str>) -> Capability {
    let name = |verb: &str| id(&format!("{specialist}.{verb}"));
    Capability {
        name: name(verb),
        role: "Hand".into(),
        version: "1".into(),
        summary: format!("Does {verb}."),
        inputs_schema: json!({"type": "object"}),
        outputs_schema: json!({"type": "object"}),
        effect,
        idempotency: Idempotency::Keyed,
        checks: vec![CheckKind { id: "made".into(), what: "It is there.".into() }],
        undo: undo.map(|verb| (id(&format!("{specialist}.{verb}")), UndoClass::Exact)),
        timeout: TIMEOUT,
        locks: vec![],
        hazards: vec![],
    }
}

/// A plan of the two specialists, given as the text of a plan file after its title.
///
/// # Panics
/// When it is no legal plan.
pub fn plan(rest: &str) -> Arc<CheckedPlan> {
    let text = format!("deadelus: 1\ntitle: T\ntarget: shop\n{rest}");
    Arc::new(check(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}")))
}

/// One of them.
pub fn random(rng: &mut Rng) -> Arc<CheckedPlan> {
    loop {
        // Scopes strewn over a graph may need each other in a circle; then another one.
        if let Ok(plan) = check(&text(rng)) {
            return Arc::new(plan);
        }
    }
}

fn check(text: &str) -> Result<CheckedPlan, String> {
    let plan = Plan::read(text).map_err(|problems| problems.to_string())?;
    CheckedPlan::check(plan, &cards()).map_err(|problems| problems.to_string())
}

fn text(rng: &mut Rng) -> String {
    let approval = if rng.u8(..) < 40 { "required" } else { "none" };
    let exhausted = if rng.u8(..) < 60 { "pause" } else { "undo" };
    let mut text = format!(
        "deadelus: 1\ntitle: T\ntarget: shop\napproval: {approval}\non_exhausted: {exhausted}\n\
         priority: {}\nscopes:\n",
        rng.i32(-10..=10)
    );
    let scopes = rng.usize(0..=2);
    for scope in 0..scopes {
        let policy = if rng.u8(..) < 180 { "continue" } else { "abort" };
        let _ = writeln!(text, "  s{scope}: {{title: S, on_failure: {policy}}}");
    }
    text.push_str("  unused: {title: S, on_failure: abort}\ntasks:\n");
    for task in 0..rng.usize(1..=TASKS_MAX) {
        task_text(rng, &mut text, task, scopes);
    }
    text
}

fn task_text(rng: &mut Rng, text: &mut String, task: usize, scopes: usize) {
    let does = ["look", "make", "make", "make", "make", "ship"][rng.usize(0..6)];
    let specialist = SPECIALISTS[rng.usize(0..SPECIALISTS.len())];
    let needs: Vec<usize> = (0..task).filter(|_| rng.u8(..) < 90).collect();
    let names: Vec<String> = needs.iter().map(|need| format!("t{need}")).collect();
    let attempts = rng.u32(1..=3);
    let _ = write!(
        text,
        "  t{task}: {{does: {specialist}.{does}, title: T, needs: [{}], attempts: {attempts}",
        names.join(", ")
    );
    if rng.bool() {
        text.push_str(", timeout: 90s");
    }
    if does != "ship" && scopes > 0 && rng.bool() {
        let _ = write!(text, ", scope: s{}", rng.usize(0..scopes));
    }
    if does == "ship" || rng.u8(..) < 25 {
        text.push_str(", gate: look");
    }
    if rng.u8(..) < 80 {
        let _ = write!(text, ", locks: [{}]", ["x", "y", "x, y"][rng.usize(0..3)]);
    }
    if let Some(need) = rng.choice(&needs) {
        match rng.u8(0..8) {
            0 => {
                let _ = write!(text, ", when: \"tasks.t{need}.status == 'done'\"");
            }
            1 => {
                let _ = write!(text, ", inputs: {{any: '${{ tasks.t{need}.outputs }}'}}");
            }
            _ => {}
        }
    }
    text.push_str("}\n");
}

/// An id that is known to be one.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> T {
    let Ok(id) = text.parse() else { panic!("{text} is no id") };
    id
}
