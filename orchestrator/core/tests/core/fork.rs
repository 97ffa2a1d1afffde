//! Forks: what is kept, what is done anew, and whose the effects are.

use std::sync::Arc;

use deadelus_core::{CheckedPlan, Fork, Input, Refusal, Shared, TaskStatus, Workflow};
use deadelus_proto::{ErrorClass, TaskId};
use serde_json::json;

use crate::fixture::{Shell, pause, plan, skip_task, start, undo};

const CHAIN: &str = "tasks:
  look: {does: t.look, title: L}
  make: {does: t.make, title: M, needs: [look]}
  side: {does: t.look, title: S}
  use: {does: t.look, title: U, needs: [make, side], inputs: {any: '${ tasks.make.outputs.n }'}}";

#[test]
fn a_fork_keeps_what_stands_before_the_task_and_does_the_rest_anew() {
    let mut source = Shell::start(&plan(CHAIN));
    source.done("look");
    source.done("side");
    source.done_with("make", json!({"n": 7}));
    source.fails("use", ErrorClass::Unavailable);
    source.input(pause());
    let fork = source.workflow().fork(&id("use")).unwrap();
    assert_eq!(kept(&fork), ["look", "side", "make"]);

    let mut shell = begin(&source, fork);
    assert_eq!(shell.now_asked(), ["use"]);
    let assignment = shell.workflow().assignment(&shell.asked("use")).unwrap();
    assert_eq!(assignment.inputs, deadelus_proto::Body::Inline(json!({"any": 7})));
    let origin = shell.workflow().forked_from().unwrap();
    assert_eq!((origin.workflow.as_str(), origin.task.as_str()), ("wf", "use"));
    shell.done("use");
    assert_eq!(shell.status(), "done");
    // What it inherited is not its to take back.
    shell.input(undo());
    assert_eq!(shell.status(), "undone");
    assert_eq!(shell.task("make"), TaskStatus::Done);
}

#[test]
fn a_fork_takes_back_its_own_and_nothing_else() {
    let text = "tasks:
  a: {does: t.make, title: A}
  b: {does: t.make, title: B, needs: [a]}";
    let mut source = Shell::start(&plan(text));
    source.done("a");
    source.done("b");
    let fork = source.workflow().fork(&id("b")).unwrap();
    let mut shell = begin(&source, fork);
    shell.done("b");
    shell.input(undo());
    assert_eq!(shell.now_asked(), ["b back"]);
    shell.done("b");
    assert_eq!((shell.status().as_str(), shell.task("a")), ("undone", TaskStatus::Done));
    // A fork can be forked, with what it only inherited.
    assert_eq!(kept(&shell.workflow().fork(&id("b")).unwrap()), ["a"]);
}

#[test]
fn what_was_taken_back_failed_or_stands_on_it_is_done_anew() {
    let mut source = Shell::start(&plan(CHAIN));
    source.done("look");
    source.done("side");
    source.done_with("make", json!({"n": 7}));
    source.fails("use", ErrorClass::Denied);
    let refused = source.workflow().fork(&id("use"));
    assert_eq!(refused, Err(Refusal::BeingTakenBack), "it would stand on nothing");
    source.done("make");
    assert_eq!(source.status(), "undone");
    let fork = source.workflow().fork(&id("use")).unwrap();
    assert_eq!(kept(&fork), ["look", "side"]);
    assert_eq!(begin(&source, fork).now_asked(), ["make"]);
    assert_eq!(kept(&source.workflow().fork(&id("look")).unwrap()), ["side"]);
    assert!(matches!(source.workflow().fork(&id("zz")), Err(Refusal::UnknownTask(_))));
}

#[test]
fn a_scope_is_kept_whole_or_not_at_all_by_what_stands_on_it() {
    let text = "scopes: {s: {title: S, on_failure: continue}}
tasks:
  a: {does: t.make, title: A, scope: s}
  b: {does: t.look, title: B, scope: s}
  c: {does: t.look, title: C, needs: [a]}";
    let mut source = Shell::start(&plan(text));
    for task in ["a", "b", "c"] {
        source.done(task);
    }
    assert_eq!(kept(&source.workflow().fork(&id("b")).unwrap()), ["a"], "c stands on all of s");
    assert_eq!(kept(&source.workflow().fork(&id("c")).unwrap()), ["a", "b"]);
}

#[test]
fn what_a_person_left_out_stays_left_out() {
    let text = "tasks:
  a: {does: t.look, title: A}
  b: {does: t.look, title: B, needs: [a]}";
    let mut other = Shell::start(&plan(text));
    other.input(pause());
    other.fails("a", ErrorClass::Unavailable);
    other.input(skip_task("a"));
    let fork = other.workflow().fork(&id("b")).unwrap();
    let shell = begin(&other, fork);
    assert_eq!(shell.now_asked(), ["b"]);
    assert!(shell.workflow().task(&id("a")).unwrap().1.is_left_out());
}

#[test]
fn results_that_do_not_stand_by_themselves_are_refused() {
    let mut source = Shell::start(&plan(CHAIN));
    source.done("look");
    source.done("side");
    source.done_with("make", json!({"n": 7}));
    let good = source.workflow().fork(&id("use")).unwrap();
    let without = |task: &str| {
        let mut fork = good.clone();
        fork.results.retain(|(kept, _)| kept.as_str() != task);
        fork
    };
    let with = |task: &str| {
        let mut fork = good.clone();
        let result = fork.results[0].1.clone();
        fork.results.push((id(task), result));
        fork
    };
    for (fork, said) in [
        (
            without("look"),
            "the result of make cannot be kept: it stands on look, which is done anew",
        ),
        (with("use"), "the result of use cannot be kept: it is done anew"),
        (with("side"), "the result of side cannot be kept: it is there twice"),
        (with("zz"), "the plan has no task zz"),
    ] {
        let refused = deadelus_core::decide(None, forked(source.workflow().plan(), fork), 0);
        assert_eq!(refused.unwrap_err().to_string(), said);
    }
}

#[test]
fn a_fork_travels_whole() {
    let mut source = Shell::start(&plan(CHAIN));
    source.done_with("look", json!({"rows": 3}));
    source.fails("side", ErrorClass::Unavailable);
    source.input(skip_task("side"));
    let fork = source.workflow().fork(&id("make")).unwrap();
    assert_eq!(fork.results.len(), 2);
    let travelled = deadelus_proto::pb::ForkWorkflow::from(fork.clone());
    assert_eq!(Fork::try_from(travelled), Ok(fork));
}

fn id(task: &str) -> TaskId {
    task.parse().unwrap()
}

fn kept(fork: &Fork) -> Vec<&str> {
    fork.results.iter().map(|(task, _)| task.as_str()).collect()
}

fn begin(source: &Shell, fork: Fork) -> Shell {
    let plan = Arc::clone(Workflow::plan(source.workflow()));
    Shell::begin(forked(&plan, fork))
}

pub(crate) fn forked(plan: &Arc<CheckedPlan>, with: Fork) -> Input {
    let Input::Start { plan, digest, submitted_by, traceparent, .. } = start(plan) else {
        panic!("a start starts");
    };
    let workflow = "wf-fork".parse().unwrap();
    let (fork, shared) = (Some(with), Shared::default());
    Input::Start { workflow, plan, digest, submitted_by, traceparent, fork, shared }
}
