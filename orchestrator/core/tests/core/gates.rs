//! Where a person is asked: because the plan says so or the policy does, who alone may answer, and
//! what happens when nobody does.

use deadelus_core::{Event, Input, Refusal};
use deadelus_proto::ErrorClass;

use crate::fixture::{
    Shell, cancel, delegate, gate_input, gate_input_by, pause, plan, problems, resume,
};

const ASKS: &str = "tasks:
  a: {does: t.make, title: A}
  b: {does: t.look, title: B, needs: [a],
      gate: {reason: look at it, asks: grace, timeout: 2h, escalate_to: linus}}";

/// The unit of the waits in these plans.
const HOUR_MS: i64 = 3_600_000;

#[test]
fn only_who_is_asked_answers() {
    let mut shell = at_the_gate();
    assert_eq!(
        shell.why(),
        ["gate b: waits for grace since 1970-01-01T00:00:01Z until 1970-01-01T02:00:01Z: \
             look at it"]
    );
    assert!(shell.workflow().why().iter().all(deadelus_core::Wait::is_for_a_person));
    let input = gate_input(shell.workflow().plan(), "b", true);
    assert_eq!(
        shell.try_input(input).unwrap_err().to_string(),
        "gate b asks grace: they answer, or somebody delegates it"
    );
    let input = gate_input_by(shell.workflow().plan(), "b", true, "grace");
    shell.input(input);
    assert_eq!(shell.now_asked(), ["b"]);
}

#[test]
fn a_gate_is_delegated_and_the_clock_begins_again() {
    let mut shell = at_the_gate();
    shell.now_ms += HOUR_MS;
    shell.input(delegate("b", "ada"));
    assert_eq!(shell.input(delegate("b", "ada")).events, [], "twice is once");
    let grace = gate_input_by(shell.workflow().plan(), "b", true, "grace");
    assert!(matches!(shell.try_input(grace), Err(Refusal::AsksOther { .. })));
    shell.now_ms += 2 * HOUR_MS - 1;
    assert_eq!(shell.input(Input::Tick).events, []);
    shell.decide_gate("b", true);
    assert_eq!(shell.now_asked(), ["b"]);
    assert!(matches!(shell.try_input(delegate("b", "bob")), Err(Refusal::GateNotOpen(_))));
}

#[test]
fn nobody_in_time_asks_the_next_and_then_it_is_a_no() {
    let mut shell = at_the_gate();
    shell.wake();
    assert!(shell.why()[0].contains("waits for linus"), "{:?}", shell.why());
    let linus = gate_input_by(shell.workflow().plan(), "b", true, "linus");
    shell.wake();
    assert_eq!(shell.now_asked(), ["a back"]);
    assert!(matches!(shell.try_input(linus), Err(Refusal::GateDecided { .. })));
    shell.done("a");
    let (_, reason) = shell.workflow().ended().unwrap();
    assert_eq!(reason, "b failed: denied: nobody answered at the gate in time");
    let asked: Vec<String> = shell
        .events
        .iter()
        .filter_map(|event| {
            let Event::GateDelegated { to, by, .. } = event else { return None };
            Some(format!("{to} by {by:?}"))
        })
        .collect();
    assert_eq!(asked, ["linus by \"\""]);
}

#[test]
fn while_it_is_paused_no_time_runs_out() {
    let mut shell = at_the_gate();
    shell.input(pause());
    assert_eq!(shell.workflow().outstanding(), []);
    shell.now_ms += 3 * HOUR_MS;
    assert_eq!(shell.input(Input::Tick).events, []);
    shell.input(resume());
    shell.input(Input::Tick);
    assert!(shell.why()[0].contains("waits for linus"), "{:?}", shell.why());
    shell.input(cancel());
    assert_eq!(shell.now_asked(), ["a back"], "and a gate that nobody needs is none");
}

#[test]
fn without_a_clock_it_waits_for_ever_and_anybody_may_answer() {
    let text = "tasks: {a: {does: t.look, title: A, gate: look}}";
    let mut shell = Shell::start(&plan(text));
    assert_eq!(shell.workflow().outstanding(), []);
    let anybody = gate_input_by(shell.workflow().plan(), "a", true, "whoever");
    shell.input(anybody);
    assert_eq!(shell.now_asked(), ["a"]);
}

#[test]
fn the_policy_asks_where_the_plan_forgot() {
    for (task, reason) in [
        ("does: t.ship", "it cannot be taken back"),
        ("does: t.refund", "it destroys something, and it moves money"),
        ("does: t.make, target: live", "it changes live, which is production"),
        ("does: t.ship, gate: because I say so", "because I say so"),
    ] {
        let text = format!("tasks: {{a: {{{task}, title: A}}}}");
        let mut shell = Shell::start(&plan(&text));
        assert_eq!(shell.now_asked(), Vec::<String>::new(), "{task}");
        assert!(shell.why()[0].ends_with(reason), "{:?}", shell.why());
        shell.decide_gate("a", true);
        assert_eq!(shell.now_asked(), ["a"], "{task}");
    }
    for free in ["does: t.look, target: live", "does: t.make"] {
        let shell = Shell::start(&plan(&format!("tasks: {{a: {{{free}, title: A}}}}")));
        assert_eq!(shell.now_asked(), ["a"], "{free}");
    }
}

#[test]
fn the_log_alone_knows_the_policy() {
    let text = "tasks: {a: {does: t.make, title: A, target: live}}";
    let checked = plan(text);
    let again = deadelus_core::CheckedPlan::from_json(checked.json().as_bytes()).unwrap();
    assert_eq!(again.tasks()[0].gate, checked.tasks()[0].gate);
    assert!(again.tasks()[0].gate.is_some());
    assert_eq!(again.digest(), checked.digest());
    // Nothing of it is said of a plan that it does not concern: old digests stay what they are.
    assert!(!plan("tasks: {a: {does: t.make, title: A}}").json().contains("production"));
}

#[test]
fn terms_that_make_no_sense_are_named() {
    let task =
        |gate: &str| problems(&format!("tasks: {{a: {{does: t.look, title: A, gate: {gate}}}}}"));
    assert_eq!(
        task("{reason: look, escalate_to: bob}"),
        "tasks.a.gate.escalate_to: is asked after the time of the first is over, and no timeout \
         says when"
    );
    assert_eq!(
        task("{reason: '', asks: ' '}"),
        "tasks.a.gate: is empty\ntasks.a.gate.asks: is empty"
    );
    assert!(task("{reason: look, timeout: soon}").contains("tasks.a.gate.timeout: \"soon\""));
    assert!(!task("{reason: look, who: bob}").is_empty());
}

#[test]
fn a_no_at_a_gate_is_a_failure_for_good() {
    let mut shell = at_the_gate();
    let no = gate_input_by(shell.workflow().plan(), "b", false, "grace");
    shell.input(no);
    assert_eq!(shell.now_asked(), ["a back"]);
    shell.fails("a", ErrorClass::Unavailable);
    shell.wake();
    shell.done("a");
    assert_eq!(shell.status(), "undone");
}

fn at_the_gate() -> Shell {
    let mut shell = Shell::start(&plan(ASKS));
    shell.done("a");
    assert_eq!(shell.now_asked(), Vec::<String>::new());
    shell
}
