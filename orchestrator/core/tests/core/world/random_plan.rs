//! Random plans: graphs, scopes, conditions, gates, locks, data flow; every one of them legal.

use std::{fmt::Write as _, sync::Arc};

use deadelus_core::{CheckedPlan, Plan};
use fastrand::Rng;

use crate::fixture::cards;

/// Every shape of a graph is there with a dozen, and a thousand of them are tried.
const TASKS_MAX: usize = 12;

pub(crate) fn random_plan(rng: &mut Rng) -> Arc<CheckedPlan> {
    loop {
        let text = text(rng);
        let plan = Plan::read(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        match CheckedPlan::check(plan, &cards()) {
            Ok(checked) => return Arc::new(checked),
            // Scopes strewn over a graph may need each other; then another one.
            Err(problems) => {
                let circle = problems.iter().all(|p| p.what.contains("in a circle"));
                assert!(circle, "{problems}\n{text}");
            }
        }
    }
}

fn text(rng: &mut Rng) -> String {
    let approval = if rng.u8(..) < 40 { "required" } else { "none" };
    let mut text = format!("deadelus: 1\ntitle: T\ntarget: shop\napproval: {approval}\n");
    if rng.u8(..) < 100 {
        text.push_str("on_exhausted: undo\n");
    }
    text.push_str("scopes:\n");
    let scopes = rng.usize(0..=3);
    for scope in 0..scopes {
        let policy = if rng.u8(..) < 180 { "continue" } else { "abort" };
        writeln!(text, "  s{scope}: {{title: S, on_failure: {policy}}}").unwrap();
    }
    writeln!(text, "  unused: {{title: S, on_failure: abort}}\ntasks:").unwrap();
    for task in 0..rng.usize(1..=TASKS_MAX) {
        task_text(rng, &mut text, task, scopes);
    }
    text
}

fn task_text(rng: &mut Rng, text: &mut String, task: usize, scopes: usize) {
    let does =
        *rng.choice(["look", "think", "make", "make", "make", "blend", "ship"].iter()).unwrap();
    let mut needs: Vec<usize> = (0..task).filter(|_| rng.u8(..) < 70).collect();
    needs.truncate(4);
    let needs_text: Vec<String> = needs.iter().map(|n| format!("t{n}")).collect();
    write!(text, "  t{task}: {{does: t.{does}, title: T, needs: [{}]", needs_text.join(", "))
        .unwrap();
    write!(text, ", attempts: {}", rng.u32(1..=3)).unwrap();
    if rng.u8(..) < 50 {
        let policy = rng.choice(["pause", "undo"].iter()).unwrap();
        write!(text, ", on_exhausted: {policy}").unwrap();
    }
    if does != "ship" && scopes > 0 && rng.bool() {
        write!(text, ", scope: s{}", rng.usize(0..scopes)).unwrap();
    }
    match rng.u8(..) {
        0..25 => text.push_str(", gate: look"),
        25..40 => text.push_str(", gate: {reason: look, asks: bob, timeout: 30s}"),
        40..50 => {
            text.push_str(", gate: {reason: look, timeout: 20s, escalate_to: grace}");
        }
        // Where it cannot be taken back the policy asks.
        50..=255 => {}
    }
    if rng.u8(..) < 80 {
        write!(text, ", locks: [{}]", rng.choice(["x", "y", "x, y"].iter()).unwrap()).unwrap();
    }
    if let Some(need) = rng.choice(&needs) {
        if rng.u8(..) < 80 {
            let when = *rng.choice(WHEN.iter()).unwrap();
            write!(text, ", when: \"{}\"", when.replace("NEED", &format!("t{need}"))).unwrap();
        }
        if rng.u8(..) < 60 {
            write!(text, ", inputs: {{any: '${{ tasks.t{need}.outputs }}'}}").unwrap();
        }
    }
    text.push_str("}\n");
}

const WHEN: [&str; 7] = [
    "true",
    "tasks.NEED.status == 'done'",
    "tasks.NEED.status != 'done'",
    "tasks.NEED.status in ['failed', 'undone']",
    "tasks.NEED.status == 'done' && tasks.NEED.outputs.n > 3",
    "size(tasks.NEED.checks) > 0",
    // Has no value where the need is not done, which fails the task.
    "tasks.NEED.outputs.n >= 0",
];
