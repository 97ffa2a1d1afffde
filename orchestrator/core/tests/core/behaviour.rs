//! Forward: order, conditions, data flow, gates, locks, retries, timeouts, duplicates.

use deadelus_core::{
    Command, Event, Input, Refusal, TaskStatus, Verdict,
    limits::{OVERTAKEN_MAX_MS, PRIORITY_MAX},
};
use deadelus_proto::{Body, Direction, ErrorClass, News, TaskKey};
use serde_json::json;

use crate::fixture::{
    Shell, TIMEOUT_MS, cancel, done, gate_input, pause, plan, report, resume, start, start_shared,
    undo, with_approval,
};

#[test]
fn a_task_starts_when_everything_it_needs_is_done() {
    let mut shell = Shell::start(&plan(
        "tasks:
          a: {does: t.look, title: A}
          b: {does: t.look, title: B}
          c: {does: t.make, title: C, needs: [a, b]}",
    ));
    assert_eq!(shell.now_asked(), ["a", "b"]);
    shell.done("a");
    assert_eq!(shell.now_asked(), ["b"]);
    shell.done("b");
    assert_eq!(shell.now_asked(), ["c"]);
    shell.done("c");
    assert_eq!(shell.status(), "done");
    assert_eq!(shell.workflow().why(), []);
}

#[test]
fn a_step_says_only_what_is_new_and_outstanding_says_everything() {
    let plan =
        plan("tasks: {a: {does: t.look, title: A}, b: {does: t.look, title: B, needs: [a]}}");
    let mut shell = Shell::start(&plan);
    let step = shell.done("a");
    let asked = shell.asked("b");
    assert_eq!(step.commands, [Command::Dispatch(asked)], "the deadline is the same as before");
    assert_eq!(shell.workflow().outstanding().len(), 2);
    let again = shell.input(start(&plan));
    assert_eq!((again.events, again.commands), (vec![], vec![]));
}

#[test]
fn data_flows_by_name_and_keeps_its_type() {
    let mut shell = Shell::start(&plan(
        r#"params: {runs: 3}
request: make it fast
tasks:
  look-at: {does: t.look, title: A}
  make:
    does: t.make
    title: B
    needs: [look-at]
    inputs:
      n: ${ tasks["look-at"].outputs.rows + params.runs }
      text: "${ target }: ${ request }, $${ kept }"
      any: [1, {list: "${ tasks['look-at'].outputs.names.filter(n, n != 'x') }"}]"#,
    ));
    shell.done_with("look-at", json!({"rows": 39, "names": ["x", "y"]}));
    let assignment = shell.workflow().assignment(&shell.asked("make")).unwrap();
    let inputs = json!({
        "n": 42, "text": "shop: make it fast, ${ kept }", "any": [1, {"list": ["y"]}]
    });
    assert_eq!(assignment.inputs, Body::Inline(inputs));
    assert_eq!(assignment.capability.to_string(), "t.make");
    assert_eq!(assignment.plan_digest, *shell.workflow().plan().digest());
    assert_eq!(assignment.deadline_unix_ms, 1_000 + TIMEOUT_MS);
}

#[test]
fn the_undo_is_assigned_from_its_record() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A, inputs: {n: 1}}}"));
    shell.done("a");
    shell.input(crate::fixture::undo());
    let key = shell.asked("a");
    assert_eq!(key.direction, Direction::Undo);
    let assignment = shell.workflow().assignment(&key).unwrap();
    assert_eq!(assignment.capability.to_string(), "t.unmake");
    assert_eq!(assignment.inputs, Body::Inline(json!({"text": "before a"})));
    let stale = TaskKey { attempt: 2, ..key };
    assert!(shell.workflow().assignment(&stale).is_err());
}

#[test]
fn an_input_without_a_value_fails_the_task_before_it_is_asked() {
    let mut shell = Shell::start(&plan(
        "tasks:
          a: {does: t.look, title: A}
          b: {does: t.look, title: B, needs: [a], inputs: {any: '${ tasks.a.outputs.nope }'}}",
    ));
    shell.done("a");
    assert_eq!(shell.status(), "undone");
    let (_, b) = shell.workflow().task(&"b".parse().unwrap()).unwrap();
    assert_eq!(b.attempt, 0);
    let (_, reason) = shell.workflow().ended().unwrap();
    assert!(reason.contains("invalid_input: no key \"nope\""), "{reason}");
}

#[test]
fn a_condition_decides_and_without_one_every_need_must_be_done() {
    let mut shell = Shell::start(&plan(
        "tasks:
          look: {does: t.look, title: A}
          index: {does: t.make, title: B, needs: [look], when: tasks.look.outputs.cause == 'index'}
          after: {does: t.look, title: C, needs: [index]}
          always: {does: t.look, title: D, needs: [index], when: \"tasks.index.status == 'skipped'\"}",
    ));
    shell.done_with("look", json!({"cause": "lock"}));
    assert_eq!(shell.task("index"), TaskStatus::Skipped);
    assert_eq!(shell.task("after"), TaskStatus::Skipped);
    assert_eq!(shell.now_asked(), ["always"]);
    let mut skipped = Vec::new();
    for event in &shell.events {
        if let Event::TaskSkipped { task, reason, .. } = event {
            skipped.push(format!("{task}: {reason}"));
        }
    }
    assert_eq!(
        skipped,
        [
            "index: not the case: tasks.look.outputs.cause == 'index'",
            "after: it needs index, which is skipped"
        ]
    );
    shell.done("always");
    assert_eq!(shell.status(), "done");
}

#[test]
fn the_plan_waits_for_its_approval_and_the_approval_is_bound_to_the_digest() {
    let tasks = "tasks: {a: {does: t.look, title: A}}";
    let plan = with_approval("required", tasks);
    let mut shell = Shell::start(&plan);
    assert_eq!((shell.status().as_str(), shell.now_asked().len()), ("awaits approval", 0));
    assert_eq!(shell.why().len(), 1);

    let other = crate::fixture::plan(tasks);
    let refused = shell.try_input(gate_input(&other, "plan", true));
    assert!(matches!(refused, Err(Refusal::WrongDigest { .. })), "{refused:?}");
    assert!(matches!(shell.try_input(gate_input(&plan, "a", true)), Err(Refusal::GateNotOpen(_))));

    shell.decide_gate("plan", true);
    assert_eq!(shell.now_asked(), ["a"]);
    assert_eq!(shell.decide_gate("plan", true).events, []);
    let contrary = shell.try_input(gate_input(&plan, "plan", false));
    assert!(matches!(contrary, Err(Refusal::GateDecided { .. })), "{contrary:?}");
}

#[test]
fn a_rejected_plan_ends_before_anything_begins() {
    let mut shell =
        Shell::start(&with_approval("required", "tasks: {a: {does: t.look, title: A}}"));
    shell.decide_gate("plan", false);
    assert_eq!(shell.status(), "rejected");
    assert_eq!(shell.workflow().outstanding(), []);
    assert!(matches!(shell.try_input(cancel()), Err(Refusal::Ended(_))));
}

#[test]
fn a_task_waits_at_its_gate_and_a_no_fails_it() {
    let tasks = "tasks:
      a: {does: t.make, title: A}
      b: {does: t.ship, title: B, needs: [a], gate: there is no way back}";
    let mut shell = Shell::start(&plan(tasks));
    shell.done("a");
    assert_eq!(shell.now_asked(), Vec::<String>::new());
    assert!(shell.why()[0].ends_with("there is no way back"), "{:?}", shell.why());
    shell.decide_gate("b", true);
    shell.done("b");
    assert_eq!(shell.status(), "done");

    let mut shell = Shell::start(&plan(tasks));
    shell.done("a");
    shell.decide_gate("b", false);
    assert_eq!(shell.now_asked(), ["a back"]);
    shell.done("a");
    assert_eq!(shell.status(), "undone");
}

#[test]
fn two_tasks_never_hold_one_lock_at_once() {
    let mut shell = Shell::start(&plan(
        "tasks:
          a: {does: t.look, title: A, locks: ['db:shop']}
          b: {does: t.look, title: B, locks: ['db:shop', x]}
          c: {does: t.look, title: C, locks: [x]}",
    ));
    assert_eq!(shell.now_asked(), ["a", "c"]);
    assert!(shell.why().iter().any(|w| w == "b: waits for lock db:shop, which a holds"));
    shell.fails("a", ErrorClass::Unavailable);
    shell.done("c");
    assert_eq!(shell.now_asked(), Vec::<String>::new(), "the pause before a retry holds it too");
    shell.wake();
    shell.done("a");
    assert_eq!(shell.now_asked(), ["b"]);
}

#[test]
fn a_task_waits_for_its_slots_and_its_own_time_does_not_run() {
    let plan = plan("priority: 2\ntasks:\n  a: {does: t.make, title: A, locks: [x], timeout: 5s}");
    let mut shell = Shell::begin(start_shared(&plan, &["specialists.t"]));
    assert_eq!(shell.now_asked(), Vec::<String>::new());
    let claims = shell.workflow().claims();
    let slots: Vec<String> = claims[0].slots.iter().map(ToString::to_string).collect();
    assert_eq!(slots, ["lock x", "limit specialists.t"]);
    assert_eq!(claims[0].rank_ms, 1_000 - 2 * 60_000, "a step of priority is a minute");
    assert!(shell.why()[0].contains("waits for lock x, limit specialists.t"), "{:?}", shell.why());
    assert_eq!(shell.workflow().wakes_at(), None, "no time runs while it waits");
    shell.now_ms += 3_600_000;
    shell.has_slots("a");
    assert_eq!(shell.now_asked(), ["a"]);
    assert_eq!(shell.workflow().wakes_at(), Some(shell.now_ms + 5_000));
    assert_eq!(shell.workflow().claims()[0].ticket, None, "it has them while it is in flight");
    shell.fails("a", ErrorClass::Unavailable);
    assert_eq!(shell.workflow().claims(), [], "and not between two tries");
    shell.wake();
    shell.has_slots("a");
    shell.done("a");
    assert_eq!((shell.status().as_str(), shell.workflow().claims().len()), ("done", 0));
}

#[test]
fn nobody_is_overtaken_by_who_came_much_later() {
    let rank = |priority: i32, after_ms: i64| {
        let tasks =
            "{a: {does: t.look, title: A}, b: {does: t.look, title: B, needs: [a], locks: [x]}}";
        let plan = plan(&format!("priority: {priority}\ntasks: {tasks}"));
        let mut shell = Shell::begin(start_shared(&plan, &[]));
        shell.now_ms += after_ms;
        shell.done("a");
        shell.workflow().claims()[0].rank_ms
    };
    let least = rank(-PRIORITY_MAX, 0);
    assert!(rank(PRIORITY_MAX, OVERTAKEN_MAX_MS - 1) < least, "priority counts");
    assert!(rank(PRIORITY_MAX, OVERTAKEN_MAX_MS + 1) > least, "and age counts more in the end");
}

#[test]
fn an_undo_needs_the_slots_of_its_do() {
    let plan = plan("tasks:\n  a: {does: t.make, title: A, locks: [x]}");
    let mut shell = Shell::begin(start_shared(&plan, &[]));
    shell.has_slots("a");
    shell.done("a");
    shell.input(undo());
    assert_eq!(shell.now_asked(), Vec::<String>::new());
    shell.has_slots("a");
    assert_eq!(shell.now_asked(), ["a back"]);
    shell.done("a");
    assert_eq!(shell.status(), "undone");
}

#[test]
fn slots_that_come_for_a_wait_that_is_over_start_nothing() {
    let plan = plan("tasks:\n  a: {does: t.make, title: A, locks: [x]}");
    let mut shell = Shell::begin(start_shared(&plan, &[]));
    let late = shell.slots_of("a");
    shell.input(pause());
    assert_eq!(shell.workflow().claims(), [], "who is paused leaves them to others");
    assert_eq!(shell.input(late.clone()).events, []);
    shell.input(resume());
    shell.input(cancel());
    assert_eq!(shell.input(late).events, []);
    assert_eq!(shell.status(), "cancelled");
}

#[test]
fn what_may_succeed_next_time_is_tried_again_with_growing_pauses() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.look, title: A, attempts: 8}}"));
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let before = shell.now_ms;
        shell.fails("a", ErrorClass::Unavailable);
        shell.wake();
        pauses.push(shell.now_ms - before);
    }
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    assert_eq!(shell.asked("a").attempt, 8);
    shell.fails("a", ErrorClass::Unavailable);
    assert_eq!(shell.status(), "paused");
}

#[test]
fn what_cannot_succeed_is_not_tried_again() {
    for class in ErrorClass::ALL {
        let mut shell = Shell::start(&plan("tasks: {a: {does: t.look, title: A}}"));
        shell.fails("a", class);
        let expected = if class.may_be_retried() { "running" } else { "undone" };
        assert_eq!(shell.status(), expected, "{class}");
    }
}

#[test]
fn nobody_answers_by_the_deadline() {
    let mut shell =
        Shell::start(&plan("tasks: {a: {does: t.look, title: A, timeout: 5s, attempts: 2}}"));
    shell.now_ms += 4_999;
    assert_eq!(shell.input(Input::Tick).events, []);
    let first = shell.asked("a");
    shell.wake();
    shell.wake();
    assert_eq!(shell.asked("a").attempt, 2);
    assert_eq!(shell.workflow().verdict(&first), Verdict::Stale);

    // The first attempt was only slow: while nothing is decided, its success counts.
    shell.say(&first, News::Done(done(json!({"by": "first"}))));
    assert_eq!(shell.status(), "done");
}

#[test]
fn the_first_terminal_report_of_an_attempt_wins() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.look, title: A}}"));
    let key = shell.asked("a");
    shell.done("a");
    let before = shell.state.clone();
    assert_eq!(shell.say(&key, News::Done(done(json!({"other": 1})))).events, []);
    let late = deadelus_proto::Failure::new(ErrorClass::Denied, "too late");
    assert_eq!(shell.say(&key, News::Failed(late)).events, []);
    assert_eq!(shell.state, before);
}

#[test]
fn reports_that_cannot_be_true_are_refused() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.look, title: A}}"));
    let key = shell.asked("a");
    let news = || News::Done(done(json!({})));
    let never = TaskKey { attempt: 2, ..key.clone() };
    assert!(matches!(shell.try_input(report(&never, news())), Err(Refusal::NeverAsked(_))));
    let unknown = TaskKey { task: "zz".parse().unwrap(), ..key.clone() };
    assert!(matches!(shell.try_input(report(&unknown, news())), Err(Refusal::UnknownTask(_))));
    let other = TaskKey { workflow: "zz".parse().unwrap(), ..key };
    assert!(matches!(shell.try_input(report(&other, news())), Err(Refusal::OtherWorkflow(_))));
    let nobody = deadelus_core::decide(None, report(&never, news()), 0);
    assert_eq!(nobody, Err(Refusal::UnknownWorkflow));
}

#[test]
fn a_clock_that_runs_behind_does_not_turn_time_back() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.look, title: A}}"));
    shell.now_ms = 5_000;
    shell.fails("a", ErrorClass::Unavailable);
    shell.now_ms = 10;
    assert_eq!(shell.input(Input::Tick).events, []);
    shell.now_ms = 6_000;
    shell.input(Input::Tick);
    shell.now_ms = 10;
    let key = shell.asked("a");
    let deadline = shell.workflow().assignment(&key).unwrap().deadline_unix_ms;
    assert_eq!(deadline, 6_000 + TIMEOUT_MS);
}
