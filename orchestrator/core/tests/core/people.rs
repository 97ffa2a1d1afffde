//! What people do to a workflow under way: pause it, resume it, try a task again, go on without one.

use deadelus_core::{Event, Input, Refusal, TaskStatus};
use deadelus_proto::{Aftermath, ErrorClass, News};
use serde_json::json;

use crate::fixture::{
    Shell, cancel, done, pause, plan, resume, retry_task, skip_task, with_approval,
};

const CHAIN: &str = "tasks:
  a: {does: t.make, title: A, attempts: 2}
  b: {does: t.make, title: B, needs: [a]}
  side: {does: t.look, title: S}";

#[test]
fn used_up_tries_pause_the_workflow_and_a_person_has_the_task_tried_again() {
    let mut shell = Shell::start(&plan(CHAIN));
    use_up(&mut shell, "a", 2);
    assert_eq!((shell.status().as_str(), shell.task("a")), ("paused", TaskStatus::Held));
    assert_eq!(shell.now_asked(), ["side"], "what is in flight finishes");
    shell.done("side");
    assert_eq!(shell.workflow().outstanding(), [], "and nothing else happens by itself");
    assert_eq!(
        shell.why(),
        [
            "paused since 1970-01-01T00:00:02Z: a was tried 2 times: unavailable: it broke",
            "a: held after 2 tries: unavailable: it broke"
        ]
    );
    shell.now_ms += 5_000;
    shell.input(retry_task("a"));
    assert_eq!((shell.status().as_str(), shell.asked("a").attempt), ("running", 3));
    // It has as many tries as before.
    shell.fails("a", ErrorClass::Unavailable);
    assert_eq!(shell.task("a"), TaskStatus::Retrying);
    shell.wake();
    shell.done("a");
    shell.done("b");
    assert_eq!(shell.status(), "done");
}

#[test]
fn only_what_is_tried_again_uses_tries_up_and_the_plan_may_want_it_undone() {
    for (class, on_exhausted, status) in [
        (ErrorClass::Unavailable, "pause", "paused"),
        (ErrorClass::UnknownOutcome, "pause", "paused"),
        (ErrorClass::Unavailable, "undo", "undone"),
        (ErrorClass::CheckFailed, "pause", "undone"),
        (ErrorClass::Denied, "pause", "undone"),
    ] {
        let text = "tasks: {a: {does: t.look, title: A, attempts: 1}}";
        let mut shell = Shell::start(&plan(&format!("on_exhausted: {on_exhausted}\n{text}")));
        shell.fails("a", class);
        assert_eq!(shell.status(), status, "{class} {on_exhausted}");
    }
    let own = "on_exhausted: undo\ntasks:
  a: {does: t.look, title: A, attempts: 1, on_exhausted: pause}";
    let mut shell = Shell::start(&plan(own));
    shell.fails("a", ErrorClass::Unavailable);
    assert_eq!(shell.status(), "paused", "the task has the last word");
}

#[test]
fn resuming_tries_everything_again_that_is_held() {
    let mut shell = Shell::start(&plan(
        "tasks:
  a: {does: t.look, title: A, attempts: 1}
  b: {does: t.look, title: B, attempts: 1}",
    ));
    shell.fails("a", ErrorClass::Unavailable);
    shell.fails("b", ErrorClass::Unavailable);
    shell.input(retry_task("a"));
    assert_eq!((shell.status().as_str(), shell.now_asked().len()), ("paused", 0), "b is held");
    shell.input(resume());
    assert_eq!(shell.now_asked(), ["a", "b"]);
    assert!(matches!(shell.try_input(resume()), Err(Refusal::NotPaused)));
}

#[test]
fn a_paused_workflow_finishes_what_is_in_flight_and_starts_nothing() {
    let mut shell = Shell::start(&plan(CHAIN));
    shell.input(pause());
    assert_eq!(shell.input(pause()).events, [], "twice is once");
    shell.fails("a", ErrorClass::Unavailable);
    shell.done("side");
    assert_eq!((shell.status().as_str(), shell.workflow().outstanding()), ("paused", vec![]));
    assert_eq!(shell.why(), ["paused by ada since 1970-01-01T00:00:01Z: to look"]);
    shell.now_ms += 60_000;
    shell.input(Input::Tick);
    assert_eq!(shell.now_asked(), Vec::<String>::new());
    shell.input(resume());
    assert_eq!(shell.asked("a").attempt, 2);
    shell.done("a");
    shell.input(pause());
    shell.done("b");
    assert_eq!(shell.status(), "done", "where nothing is left to start it ends");
    assert!(matches!(shell.try_input(pause()), Err(Refusal::Ended(_))));
}

#[test]
fn a_pause_before_the_approval_outlasts_it() {
    let mut shell =
        Shell::start(&with_approval("required", "tasks: {a: {does: t.look, title: A}}"));
    shell.input(pause());
    shell.decide_gate("plan", true);
    assert_eq!((shell.status().as_str(), shell.now_asked().len()), ("paused", 0));
    shell.input(resume());
    assert_eq!(shell.now_asked(), ["a"]);
}

#[test]
fn a_paused_workflow_can_be_taken_back() {
    let mut shell = Shell::start(&plan(CHAIN));
    shell.done("a");
    shell.done("side");
    shell.input(pause());
    shell.fails("b", ErrorClass::Unavailable);
    shell.input(cancel());
    assert_eq!(shell.now_asked(), ["a back"]);
    assert!(matches!(shell.try_input(pause()), Err(Refusal::BeingTakenBack)));
    shell.done("a");
    assert_eq!(shell.status(), "cancelled");
}

#[test]
fn taking_back_a_scope_goes_on_while_it_is_paused() {
    let mut shell = Shell::start(&plan(
        "scopes: {s: {title: S, on_failure: continue}}
tasks:
  a: {does: t.make, title: A, scope: s}
  b: {does: t.look, title: B, scope: s, needs: [a]}
  c: {does: t.look, title: C, needs: [b], when: 'true'}",
    ));
    shell.done("a");
    shell.input(pause());
    shell.fails("b", ErrorClass::CheckFailed);
    assert_eq!(shell.now_asked(), ["a back"]);
    shell.done("a");
    assert_eq!((shell.status().as_str(), shell.now_asked().len()), ("paused", 0));
    shell.input(resume());
    assert_eq!(shell.now_asked(), ["c"]);
}

#[test]
fn a_late_success_of_what_is_held_is_still_its_success() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A, attempts: 1}}"));
    let key = shell.asked("a");
    shell.record(&key);
    shell.wake();
    assert_eq!(shell.status(), "paused");
    shell.say(&key, News::Done(done(json!({}))));
    assert_eq!(shell.status(), "done", "nothing was decided yet");
}

#[test]
fn a_person_goes_on_without_a_task_and_what_it_left_is_taken_back_first() {
    let mut shell = Shell::start(&plan(CHAIN));
    shell.done("side");
    shell.fails("a", ErrorClass::Unavailable);
    shell.wake();
    let key = shell.asked("a");
    shell.record(&key);
    shell.fails_leaving("a", ErrorClass::UnknownOutcome, Aftermath::Unknown);
    assert_eq!(shell.status(), "paused");
    shell.input(skip_task("a"));
    assert_eq!(shell.input(skip_task("a")).events, [], "twice is once");
    assert_eq!(shell.now_asked(), ["a back"], "b waits until nothing of it is left");
    shell.done("a");
    assert_eq!(shell.task("a"), TaskStatus::Skipped);
    shell.done("b");
    let (_, words) = shell.workflow().ended().unwrap();
    assert_eq!(
        words,
        "2 tasks done, 1 skipped (1 of them by a person), 0 failed or taken back with their scope"
    );
    // Whatever lands now is not wanted.
    shell.say(&key, News::Done(done(json!({}))));
    assert_eq!(shell.now_asked(), ["a back"]);
    shell.done("a");
    assert_eq!(shell.status(), "done");
}

#[test]
fn what_is_not_begun_can_be_left_out_and_what_needs_its_outputs_keeps_it() {
    let text = |any: &str| {
        format!(
            "tasks:
  a: {{does: t.look, title: A}}
  b: {{does: t.look, title: B, needs: [a]}}
  c: {{does: t.look, title: C, needs: [b], inputs: {{any: \"${{ {any} }}\"}}}}"
        )
    };
    let reads = text("tasks.b.outputs.n");
    let defaulted = text("tasks.b.status == 'done' ? tasks.b.outputs.n : 7");
    let mut shell = Shell::start(&plan(&reads));
    let refused = shell.try_input(skip_task("b")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "task b cannot be skipped: c reads what it gives, and has nothing instead"
    );
    let mut shell = Shell::start(&plan(&defaulted));
    shell.input(skip_task("b"));
    shell.done("a");
    let assignment = shell.workflow().assignment(&shell.asked("c")).unwrap();
    assert_eq!(assignment.inputs, deadelus_proto::Body::Inline(json!({"any": 7})));
}

#[test]
fn a_reader_whose_condition_asks_for_the_status_is_asked_itself() {
    for (when, skips) in [
        ("tasks.b.status == 'done'", true),
        ("tasks.b.status == 'done' && tasks.b.outputs.n > 1", true),
        ("tasks.b.outputs.n > 1", false),
        ("true", false),
    ] {
        let text = format!(
            "tasks:
  b: {{does: t.look, title: B, attempts: 1}}
  c: {{does: t.look, title: C, needs: [b], when: \"{when}\",
       inputs: {{any: \"${{ tasks.b.outputs.n }}\"}}}}"
        );
        let mut shell = Shell::start(&plan(&text));
        shell.fails("b", ErrorClass::Unavailable);
        assert_eq!(shell.try_input(skip_task("b")).is_ok(), skips, "{when}");
        if skips {
            assert_eq!(shell.task("c"), TaskStatus::Skipped);
        }
    }
}

#[test]
fn what_is_under_way_or_over_is_neither_retried_nor_skipped() {
    let mut shell = Shell::start(&plan(CHAIN));
    assert!(matches!(shell.try_input(retry_task("a")), Err(Refusal::NotToBeRetried { .. })));
    assert!(matches!(shell.try_input(skip_task("a")), Err(Refusal::NotToBeSkipped { .. })));
    assert!(matches!(shell.try_input(skip_task("zz")), Err(Refusal::UnknownTask(_))));
    let refused = shell.try_input(retry_task("b")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "task b is waiting: only one that is held or between two tries is tried again"
    );
    let nobody =
        Input::SkipTask { task: "b".parse().unwrap(), by: String::new(), reason: "why not".into() };
    assert!(matches!(shell.try_input(nobody), Err(Refusal::Nameless)));
    let nobody = Input::Cancel { by: String::new(), reason: "why not".into() };
    assert!(matches!(shell.try_input(nobody), Err(Refusal::Nameless)));
    // Between two tries it is tried at once.
    shell.fails("a", ErrorClass::Unavailable);
    shell.input(retry_task("a"));
    assert_eq!(shell.asked("a").attempt, 2);
}

#[test]
fn the_log_says_who_left_what_out() {
    let mut shell = Shell::start(&plan(CHAIN));
    shell.input(skip_task("b"));
    let by_ada = Event::TaskSkipped {
        task: "b".parse().unwrap(),
        by: "ada".into(),
        reason: "not needed today".into(),
    };
    assert!(shell.events.contains(&by_ada), "{:?}", shell.events);
}

/// Lets a task fail until nothing is left of its tries.
fn use_up(shell: &mut Shell, task: &str, tries: u32) {
    for last in (0..tries).rev() {
        shell.fails(task, ErrorClass::Unavailable);
        if last > 0 {
            shell.wake();
        }
    }
}
