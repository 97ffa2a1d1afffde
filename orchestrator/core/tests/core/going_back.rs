//! Back: undo order, scopes, cancel, late effects, undos that fail, residue.

use deadelus_core::{Event, Input, Refusal, TaskStatus, Verdict};
use deadelus_proto::{
    Aftermath, Body, Direction, Done, ErrorClass, Failure, News, TaskKey, Undo, UndoClass,
};
use serde_json::json;

use crate::fixture::{Shell, cancel, done, plan, resolve_stuck, retry_stuck, start_shared, undo};

const CHAIN: &str = "tasks:
  a: {does: t.make, title: A}
  b: {does: t.make, title: B, needs: [a]}
  c: {does: t.look, title: C, needs: [b]}
  d: {does: t.make, title: D, needs: [c]}
  e: {does: t.make, title: E, needs: [a]}";

#[test]
fn what_took_effect_is_taken_back_in_reverse() {
    let mut shell = Shell::start(&plan(CHAIN));
    for task in ["a", "b", "e", "c"] {
        shell.done(task);
    }
    shell.fails("d", ErrorClass::CheckFailed);
    assert_eq!(shell.status(), "taking back");
    assert_eq!(shell.now_asked(), ["b back", "e back"], "d undid itself; nothing stands on b, e");
    shell.done("e");
    assert_eq!(shell.now_asked(), ["b back"], "b still stands on a");
    shell.done("b");
    assert_eq!(shell.now_asked(), ["a back"]);
    shell.done("a");
    assert_eq!(shell.status(), "undone");
    assert_eq!(shell.task("c"), TaskStatus::Done, "there is nothing to take back of a look");
    assert_eq!(shell.task("b"), TaskStatus::Undone);
    assert_eq!(shell.task("d"), TaskStatus::Failed);
}

#[test]
fn who_shares_a_lock_goes_back_in_the_reverse_of_the_order_they_came_in() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let tasks = format!(
            "look: {{does: t.look, title: Look}}
  {first}: {{does: t.make, title: First, locks: [x]}}
  {second}: {{does: t.make, title: Second, locks: [x], needs: [look]}}
  c: {{does: t.make, title: Beside, locks: [y]}}"
        );
        let mut shell = Shell::begin(start_shared(&plan(&format!("tasks:\n  {tasks}")), &[]));
        for task in [first, second, "c"] {
            if task == second {
                shell.done("look");
            }
            shell.has_slots(task);
            shell.done(task);
        }
        shell.input(undo());
        let mut claimed = vec![];
        while let Some(claim) = shell.workflow().claims().first() {
            let task = claim.key.task.to_string();
            shell.has_slots(&task);
            shell.done(&task);
            claimed.push(task);
        }
        claimed.retain(|task| task != "c");
        assert_eq!(
            (claimed, shell.status().as_str()),
            (vec![second.into(), first.into()], "undone")
        );
    }
}

#[test]
fn nothing_is_taken_back_while_a_report_is_still_out() {
    let mut shell = Shell::start(&plan(CHAIN));
    shell.done("a");
    let e = shell.asked("e");
    shell.fails("b", ErrorClass::Denied);
    assert_eq!(shell.now_asked(), ["e"]);
    assert_eq!(shell.workflow().verdict(&e), Verdict::Cancel);
    assert!(shell.why()[0].contains("e: attempt 1: was told to stop"), "{:?}", shell.why());
    shell.done("e");
    assert_eq!(shell.now_asked(), ["e back"]);
}

#[test]
fn what_may_have_happened_is_taken_back_whether_or_not_it_did() {
    for (class, left, recorded, owed) in [
        (ErrorClass::Denied, Aftermath::Untouched, true, false),
        (ErrorClass::CheckFailed, Aftermath::TakenBack, true, false),
        (ErrorClass::Denied, Aftermath::Unknown, true, true),
        (ErrorClass::Denied, Aftermath::Unknown, false, false),
        (ErrorClass::Denied, Aftermath::Partial, true, true),
    ] {
        let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
        if recorded {
            let key = shell.asked("a");
            shell.record(&key);
        }
        shell.fails_leaving("a", class, left);
        let asked = shell.now_asked();
        assert_eq!(asked == ["a back"], owed, "{class} {left:?} recorded: {recorded}");
        assert_eq!(shell.status() == "undone", !owed);
    }
}

#[test]
fn a_timeout_with_a_way_back_is_taken_back() {
    let mut shell = Shell::start(&plan(
        "tasks: {a: {does: t.make, title: A, attempts: 1, on_exhausted: undo}}",
    ));
    let key = shell.asked("a");
    shell.record(&key);
    shell.wake();
    assert_eq!(shell.now_asked(), ["a back"]);
    shell.done("a");
    assert_eq!(shell.status(), "undone");
}

#[test]
fn a_later_attempt_does_not_replace_the_first_picture_of_before() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    let first = shell.asked("a");
    shell.record(&first);
    shell.fails("a", ErrorClass::Unavailable);
    shell.wake();
    let second = shell.asked("a");
    let capability = "t.unmake".parse().unwrap();
    let inputs = json!({"text": "half made"});
    let other = Undo { capability, inputs, class: UndoClass::Exact, residue: vec![] };
    shell.say(&second, News::UndoRecorded(other));
    shell.say(&second, News::Done(done(json!({}))));
    let (_, task) = shell.workflow().task(&"a".parse().unwrap()).unwrap();
    assert_eq!(task.undo.as_ref().unwrap().inputs, json!({"text": "before a"}));
}

const SCOPED: &str = "scopes: {round: {title: Round, on_failure: continue}}
tasks:
  look: {does: t.look, title: L}
  make: {does: t.make, title: M, needs: [look], scope: round}
  measure: {does: t.look, title: N, needs: [make], scope: round}
  judge: {does: t.look, title: J, needs: [measure], scope: round}
  side: {does: t.make, title: S, needs: [look]}
  next: {does: t.make, title: X, needs: [make, judge], when: \"tasks.make.status == 'undone'\"}
  only: {does: t.look, title: O, needs: [make]}";

#[test]
fn a_scope_that_fails_takes_back_its_own_and_the_workflow_goes_on() {
    let mut shell = Shell::start(&plan(SCOPED));
    shell.done("look");
    shell.done("side");
    shell.done("make");
    assert_eq!(shell.now_asked(), ["measure"], "outside, everything waits for the whole scope");
    shell.fails("measure", ErrorClass::CheckFailed);
    assert_eq!(shell.now_asked(), ["make back"]);
    assert_eq!(shell.task("judge"), TaskStatus::Skipped);
    assert_eq!(shell.status(), "running");
    shell.done("make");
    assert_eq!(shell.now_asked(), ["next"]);
    assert_eq!(shell.task("only"), TaskStatus::Skipped, "without a condition undone is not done");
    shell.done("next");
    assert_eq!(shell.status(), "done");
    assert_eq!(shell.task("side"), TaskStatus::Done);
    let (_, words) = shell.workflow().ended().unwrap();
    assert_eq!(words, "3 tasks done, 2 skipped, 2 failed or taken back with their scope");

    shell.input(undo());
    assert_eq!(shell.now_asked(), ["side back", "next back"]);
}

#[test]
fn a_scope_that_succeeds_lets_the_others_go_on() {
    let mut shell = Shell::start(&plan(SCOPED));
    for task in ["look", "side", "make", "measure", "judge"] {
        shell.done(task);
    }
    assert_eq!(shell.task("next"), TaskStatus::Skipped);
    assert_eq!(shell.now_asked(), ["only"]);
}

#[test]
fn a_failure_in_a_scope_that_aborts_takes_everything_back() {
    let text = SCOPED.replace("continue", "abort");
    let mut shell = Shell::start(&plan(&text));
    for task in ["look", "side", "make"] {
        shell.done(task);
    }
    shell.fails("measure", ErrorClass::CheckFailed);
    shell.done("only");
    assert_eq!(shell.now_asked(), ["make back", "side back"]);
    shell.done("make");
    shell.done("side");
    assert_eq!(shell.status(), "undone");
}

#[test]
fn cancelling_asks_what_is_in_flight_to_stop_and_takes_the_rest_back() {
    let mut shell = Shell::start(&plan(CHAIN));
    shell.done("a");
    shell.input(cancel());
    assert_eq!(shell.input(cancel()).events, [], "twice is once");
    assert_eq!(shell.now_asked(), ["b", "e"]);
    shell.done("b");
    shell.fails("e", ErrorClass::Unavailable);
    assert_eq!(shell.now_asked(), ["b back"], "nothing is tried again on the way back");
    shell.done("b");
    shell.done("a");
    assert_eq!(shell.status(), "cancelled");
    assert!(matches!(shell.try_input(undo()), Err(Refusal::Ended(_))));
}

#[test]
fn a_pause_before_a_retry_ends_with_the_order_to_go_back() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    shell.fails("a", ErrorClass::Unavailable);
    shell.input(cancel());
    assert_eq!(shell.status(), "cancelled");
    assert_eq!(shell.workflow().outstanding(), []);
}

#[test]
fn only_what_has_ended_can_be_undone() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    let refused = shell.try_input(undo()).unwrap_err();
    assert_eq!(refused.to_string(), "the workflow has not ended; cancel it instead");
    shell.done("a");
    assert!(matches!(shell.try_input(cancel()), Err(Refusal::Ended(_))));
    shell.input(undo());
    assert!(matches!(shell.try_input(cancel()), Err(Refusal::BeingTakenBack)));
    shell.done("a");
    assert_eq!(shell.status(), "undone");
    assert_eq!(shell.input(undo()).events, [], "twice is once");
}

#[test]
fn what_lands_after_the_end_is_taken_back_and_it_ends_the_same_way() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A, attempts: 1}}"));
    let key = shell.asked("a");
    shell.input(cancel());
    shell.wake();
    assert_eq!(shell.status(), "cancelled", "no way back was recorded, so nothing had begun");

    // The way back arrives first: the effect is about to begin.
    shell.record(&key);
    assert_eq!(shell.now_asked(), ["a back"]);
    let first = shell.asked("a");
    // It lands while it is being taken back; that undo may have come too early.
    shell.say(&key, News::Done(done(json!({}))));
    assert_eq!(shell.asked("a").attempt, 2);
    assert_eq!(shell.workflow().verdict(&first), Verdict::Stale);
    assert_eq!(shell.say(&first, News::Done(done(json!({})))).events, []);
    shell.done("a");
    assert_eq!(shell.status(), "cancelled");
    // The same news again is no news.
    assert_eq!(shell.say(&key, News::Done(done(json!({})))).events, []);
    let late = shell.events.iter().filter(|e| matches!(e, Event::LateEffect { .. }));
    assert_eq!(late.count(), 1);
}

#[test]
fn what_lands_in_a_closed_scope_is_taken_back_though_others_went_on() {
    let text = "on_exhausted: undo
scopes: {s: {title: S, on_failure: continue}}
tasks:
  a: {does: t.make, title: A, scope: s, attempts: 1}
  b: {does: t.make, title: B, needs: [a], when: 'true'}";
    let mut shell = Shell::start(&plan(text));
    let key = shell.asked("a");
    shell.wake();
    shell.done("b");
    assert_eq!(shell.status(), "done");
    shell.record(&key);
    assert_eq!(shell.now_asked(), ["a back"], "b does not stand on what was known to have failed");
    shell.done("a");
    assert_eq!(shell.status(), "done");
}

#[test]
fn an_undo_that_fails_for_good_leaves_the_workflow_stuck_by_name() {
    let mut shell = Shell::start(&plan(CHAIN));
    shell.done("a");
    shell.done("b");
    shell.fails("e", ErrorClass::Denied);
    shell.fails("c", ErrorClass::Denied);
    for _ in 0..2 {
        shell.fails("b", ErrorClass::Unavailable);
        shell.wake();
    }
    shell.fails("b", ErrorClass::Unavailable);
    assert_eq!((shell.status().as_str(), shell.task("b")), ("stuck", TaskStatus::Stuck));
    assert_eq!(shell.why(), ["stuck: undo of b failed: unavailable: it broke"]);
    assert_eq!(shell.workflow().outstanding(), [], "a waits: b still stands on it");

    assert!(matches!(shell.try_input(resolve_stuck("a")), Err(Refusal::NotStuck(_))));
    shell.input(retry_stuck());
    assert!(matches!(shell.try_input(retry_stuck()), Err(Refusal::NothingStuck)));
    assert_eq!(shell.asked("b").attempt, 4);
    shell.fails("b", ErrorClass::UndoFailed);
    assert_eq!(shell.status(), "stuck", "what cannot succeed is not tried again");
    shell.input(resolve_stuck("b"));
    shell.done("a");
    assert_eq!(shell.status(), "undone");
    let residue = shell.workflow().residue();
    assert_eq!(residue.len(), 1);
    assert_eq!(residue[0].what, "taken back by hand by ada: dropped it");
}

#[test]
fn a_late_success_of_an_undo_unsticks() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    shell.done("a");
    shell.input(undo());
    let first = shell.asked("a");
    for _ in 0..5 {
        shell.wake();
    }
    assert_eq!(shell.status(), "stuck");
    shell.say(&first, News::Done(done(json!({}))));
    assert_eq!(shell.status(), "undone");
}

#[test]
fn an_effect_without_a_recorded_way_back_needs_a_person() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    let key = shell.asked("a");
    shell.say(&key, News::Done(done(json!({}))));
    shell.input(undo());
    assert_eq!(shell.status(), "stuck");
    assert!(shell.why()[0].contains("recorded no way back"), "{:?}", shell.why());
    // The record was only slow: that was all that stood in the way.
    shell.record(&key);
    assert_eq!(shell.asked("a").attempt, 1);
}

#[test]
fn what_is_done_says_its_way_back_again_in_case_it_overtook_the_record() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    let key = shell.asked("a");
    let (capability, class) = ("t.unmake".parse().unwrap(), UndoClass::Exact);
    let way_back = Undo { capability, inputs: json!({"text": "said"}), class, residue: vec![] };
    shell.say(&key, News::Done(Done { undo: Some(way_back.clone()), ..done(json!({})) }));
    assert_eq!(shell.status(), "done");
    // The record comes in at last, and is no news.
    assert_eq!(shell.say(&key, News::UndoRecorded(way_back)).events, []);
    shell.input(undo());
    let back = shell.asked("a");
    let assignment = shell.workflow().assignment(&back).unwrap();
    assert_eq!(assignment.inputs, Body::Inline(json!({"text": "said"})));
}

#[test]
fn what_has_no_way_back_is_listed_and_stops_nothing() {
    let mut shell = Shell::start(&plan(
        "tasks:
          a: {does: t.blend, title: A}
          b: {does: t.ship, title: B, needs: [a], gate: for good}",
    ));
    let key = shell.asked("a");
    let residue = vec!["an archived price".to_owned()];
    let (capability, class) = ("t.unblend".parse().unwrap(), UndoClass::Semantic);
    let way_back = Undo { capability, inputs: json!({}), class, residue };
    shell.say(&key, News::UndoRecorded(way_back));
    shell.say(&key, News::Done(done(json!({}))));
    shell.decide_gate("b", true);
    shell.done("b");
    assert_eq!(shell.workflow().residue(), []);
    shell.input(undo());
    shell.done("a");
    assert_eq!(shell.status(), "undone");
    let residue: Vec<_> = shell.workflow().residue().into_iter().map(|r| r.what).collect();
    assert_eq!(residue, ["an archived price", "no way back: t.ship"]);
}

#[test]
fn no_specialist_can_make_another_do_things() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    let key = shell.asked("a");
    let (capability, class) = ("db.drop_table".parse().unwrap(), UndoClass::Exact);
    let foreign = Undo { capability, inputs: json!({}), class, residue: vec![] };
    let refused =
        shell.try_input(crate::fixture::report(&key, News::UndoRecorded(foreign.clone())));
    assert!(matches!(refused, Err(Refusal::ForeignUndo { .. })), "{refused:?}");
    shell.done("a");
    shell.input(undo());
    let back: TaskKey = shell.asked("a");
    assert_eq!(back.direction, Direction::Undo);
    let refused = shell.try_input(crate::fixture::report(&back, News::UndoRecorded(foreign)));
    assert!(matches!(refused, Err(Refusal::UndoOfUndo(_))), "{refused:?}");
}

#[test]
fn a_slow_failure_of_what_was_given_up_counts_if_it_left_something() {
    let text = "tasks: {a: {does: t.make, title: A, attempts: 1, on_exhausted: undo}}";
    for (left, asked) in [(Aftermath::Untouched, 0), (Aftermath::Partial, 1)] {
        let mut shell = Shell::start(&plan(text));
        let key = shell.asked("a");
        shell.record(&key);
        shell.wake();
        shell.done("a");
        assert_eq!(shell.status(), "undone");
        let failure = Failure { aftermath: left, ..Failure::new(ErrorClass::Denied, "slow") };
        shell.say(&key, News::Failed(failure));
        assert_eq!(shell.dispatched().len(), asked, "{left:?}");
    }
}

#[test]
fn a_tick_before_its_time_is_no_news_even_when_stuck() {
    let mut shell = Shell::start(&plan("tasks: {a: {does: t.make, title: A}}"));
    shell.done("a");
    shell.input(undo());
    shell.fails("a", ErrorClass::UndoFailed);
    let before = shell.state.clone();
    shell.now_ms += 1_000_000;
    assert_eq!(shell.input(Input::Tick).events, []);
    assert_eq!(shell.state, before);
}

#[test]
fn what_lands_on_something_half_undone_is_taken_back_first_though_both_want_one_lock() {
    let mut shell = Shell::start(&plan(
        "on_exhausted: undo
tasks:
          a: {does: t.make, title: A, locks: [x]}
          b: {does: t.make, title: B, needs: [a], locks: [x], attempts: 1}",
    ));
    shell.done("a");
    let late = shell.asked("b");
    shell.wake();
    assert_eq!(shell.now_asked(), ["a back"], "b announced nothing");
    shell.record(&late);
    shell.fails("a", ErrorClass::Unavailable);
    assert_eq!(
        shell.now_asked(),
        ["b back"],
        "found by seed 10214 as two that wait for each other"
    );
    shell.done("b");
    shell.wake();
    shell.done("a");
    assert_eq!(shell.status(), "undone");
}
