//! Logs that earlier versions wrote are read for ever: each folds to what it meant then.
//!
//! `tests/golden` holds a log and beside it what it comes to, in words. A log is never written
//! again: a newer version adds its own, by `DEADELUS_GOLDEN=<version>` and the ignored test below.

use std::{fmt::Write as _, fs, path::PathBuf};

use deadelus_core::{Chain, Command, Link, Workflow};
use deadelus_proto::{Aftermath, ErrorClass, News, pb};
use prost::Message;
use serde_json::json;

use crate::{
    fixture::{
        Shell, cancel, delegate, done, pause, resolve_stuck, resume, retry_stuck, retry_task,
        skip_task, undo, with_approval,
    },
    fork,
};

#[test]
#[expect(clippy::disallowed_methods, reason = "the logs are files")]
fn every_log_ever_written_comes_to_what_it_came_to() {
    let logs = names();
    assert!(logs.len() >= 5, "{logs:?}");
    for name in logs {
        let log = fs::read(folder().join(format!("{name}.log"))).unwrap();
        let kept = fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
        assert_eq!(rendering(&log), kept, "{name}");
    }
}

#[test]
#[ignore = "writes the logs of a new version: DEADELUS_GOLDEN=<version> names them"]
#[expect(clippy::disallowed_methods, reason = "a person names the version; the logs are files")]
fn write_the_logs_of_this_version() {
    let version = std::env::var("DEADELUS_GOLDEN").expect("DEADELUS_GOLDEN=<version>");
    for (story, shell) in stories() {
        let log = export(&shell);
        let path = |kind: &str| folder().join(format!("{version}-{story}.{kind}"));
        assert!(!path("log").exists(), "{version}-{story} is there and stays as it is");
        fs::write(path("log"), &log).unwrap();
        fs::write(path("txt"), rendering(&log)).unwrap();
    }
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden"))
}

fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        files.filter_map(|name| name.to_str()?.strip_suffix(".log").map(str::to_owned)).collect();
    names.sort();
    names
}

/// The log as it would stand in the stream, every message there byte for byte.
fn export(shell: &Shell) -> Vec<u8> {
    let id = shell.workflow().id().clone();
    let (mut chain, mut decisions) = (Chain::new(id.clone()), vec![]);
    for (n, (at, events)) in shell.decisions.iter().enumerate() {
        // Other workflows write between.
        let sequence = 7 + 3 * n as u64;
        let (id, cause) = (format!("orchestrator-1-{n:04x}"), format!("message-{n}"));
        let entry = chain.next(id, "orchestrator-1".into(), cause, *at, events.clone());
        assert_eq!(chain.read(sequence, &entry.bytes), Link::Accepted);
        decisions.push(pb::ExportedDecision { sequence, decision: entry.bytes.into() });
    }
    pb::ExportedLog { workflow_id: id.into(), decisions }.encode_to_vec()
}

/// What the log comes to. Old files hold this text, so nothing is ever taken out of it.
fn rendering(log: &[u8]) -> String {
    let log = pb::ExportedLog::decode(log).unwrap();
    let mut chain = Chain::new(log.workflow_id.parse().unwrap());
    for message in log.decisions {
        assert_eq!(chain.read(message.sequence, &message.decision), Link::Accepted);
    }
    in_words(chain.workflow().unwrap())
}

fn in_words(workflow: &Workflow) -> String {
    let mut out = String::new();
    let plan = workflow.plan();
    writeln!(out, "{} {}, {} events", workflow.id(), workflow.status(), workflow.events()).unwrap();
    writeln!(out, "plan {} by {}", plan.digest(), workflow.submitted_by()).unwrap();
    writeln!(out, "{} to {}", workflow.accepted_unix_ms(), workflow.last_unix_ms()).unwrap();
    if let Some((ending, reason)) = workflow.ended() {
        writeln!(out, "ended {ending}: {reason}").unwrap();
    }
    if let Some(order) = workflow.take_back() {
        writeln!(out, "taken back: {:?} by {:?}: {}", order.cause, order.by, order.reason).unwrap();
    }
    if let Some(origin) = workflow.forked_from() {
        writeln!(out, "forked from {} at {}", origin.workflow, origin.task).unwrap();
    }
    for (gate, state) in workflow.gates() {
        writeln!(out, "gate {gate}: {} {:?}", state.reason, state.decision).unwrap();
        if !state.asks.is_empty() {
            writeln!(out, "gate {gate} asks {}: {:?}", state.asks, state.deadline_unix_ms).unwrap();
        }
    }
    for (spec, task) in workflow.tasks() {
        let (id, status) = (&spec.id, task.status());
        write!(out, "{id} {status} {} {}", task.attempt, task.undo_attempt).unwrap();
        if task.is_inherited {
            write!(out, " inherited").unwrap();
        }
        let outputs = task.done().map(|done| format!(" {:?}", done.outputs));
        writeln!(out, "{}", outputs.unwrap_or_default()).unwrap();
    }
    for residue in workflow.residue() {
        writeln!(out, "left behind by {}: {}", residue.task, residue.what).unwrap();
    }
    workflow.why().iter().for_each(|wait| writeln!(out, "waits: {wait}").unwrap());
    for command in workflow.outstanding() {
        match command {
            Command::Dispatch(key) => writeln!(out, "asked: {key}").unwrap(),
            Command::WakeAt(at) => writeln!(out, "wakes at {at}").unwrap(),
        }
    }
    out
}

const PLAN: &str = r#"request: make it fast
params: {runs: 3}
scopes: {round: {title: Round, on_failure: continue}}
phases: [{id: all, title: All, milestone: It is fast}]
risks: [{risk: It is slow, likelihood: low, impact: high, mitigation: Measure}]
success: [{criterion: It is judged, checked_by: judge}]
tasks:
  look: {does: t.look, title: Look, phase: all, inputs: {n: "${ params.runs }"}}
  make: {does: t.make, title: Make, needs: [look], inputs: {text: "rows ${ tasks.look.outputs.rows }"}}
  try: {does: t.make, title: Try, needs: [look], scope: round, locks: ['db:shop']}
  judge: {does: t.look, title: Judge, needs: [try], scope: round, attempts: 2, timeout: 5s}
  blend: {does: t.blend, title: Blend, needs: [make, judge], when: "tasks.make.status == 'done'"}
  never: {does: t.look, title: Never, needs: [blend], when: "tasks.blend.outputs.n > 3"}
  ship: {does: t.ship, title: Ship, needs: [blend], gate: there is no way back}
"#;

/// One of each way a workflow goes.
fn stories() -> Vec<(&'static str, Shell)> {
    let rejected_plan = {
        let mut shell = begun();
        shell.decide_gate("plan", false);
        shell
    };
    let done = {
        let mut shell = to_the_gate();
        shell.decide_gate("ship", true);
        shell.done("ship");
        assert_eq!(shell.status(), "done");
        shell
    };
    let undone = {
        let mut shell = to_the_gate();
        shell.decide_gate("ship", true);
        shell.done("ship");
        shell.input(undo());
        shell.done("blend");
        shell.done("make");
        assert_eq!(shell.status(), "undone");
        shell
    };
    let rejected_gate = {
        let mut shell = to_the_gate();
        shell.decide_gate("ship", false);
        shell.done("blend");
        shell.done("make");
        assert_eq!(shell.status(), "undone");
        shell
    };
    vec![
        ("rejected", rejected_plan),
        ("done", done),
        ("undone", undone),
        ("gate-rejected", rejected_gate),
        ("stuck-resolved", stuck_and_resolved()),
        ("cancelled-late", cancelled()),
        ("in-flight", in_flight()),
        ("held-left-out", held_and_left_out()),
        ("escalated", escalated()),
        ("forked", forked()),
    ]
}

/// Its tries used up, paused by hand as well, left out by a person, what it left taken back.
fn held_and_left_out() -> Shell {
    let mut shell = begun();
    shell.decide_gate("plan", true);
    for _ in 0..3 {
        shell.fails("look", ErrorClass::Unavailable);
        if shell.status() != "paused" {
            shell.wake();
        }
    }
    shell.input(pause());
    shell.input(retry_task("look"));
    shell.input(resume());
    shell.done_with("look", json!({"rows": 39}));
    for _ in 0..3 {
        let key = shell.asked("try");
        shell.record(&key);
        shell.fails_leaving("try", ErrorClass::UnknownOutcome, Aftermath::Unknown);
        if shell.status() != "paused" {
            shell.wake();
        }
    }
    shell.input(skip_task("try"));
    shell.done("try");
    shell
}

/// Nobody answered, then the next was asked, then somebody else.
fn escalated() -> Shell {
    let terms = "gate: {reason: for good, asks: grace, timeout: 1h, escalate_to: linus}";
    let plan = PLAN.replace("gate: there is no way back", terms);
    let mut shell = Shell::start(&with_approval("none", &plan));
    shell.done_with("look", json!({"rows": 39}));
    for task in ["make", "try", "judge"] {
        shell.done(task);
    }
    shell.done_with("blend", json!({"n": 2}));
    shell.wake();
    shell.input(delegate("ship", "ada"));
    shell
}

fn forked() -> Shell {
    let mut source = to_the_gate();
    source.input(pause());
    let from = "blend".parse().unwrap();
    let fork = source.workflow().fork(&from).unwrap();
    let mut shell = Shell::begin(fork::forked(source.workflow().plan(), fork));
    shell.decide_gate("plan", true);
    shell
}

fn begun() -> Shell {
    Shell::start(&with_approval("required", PLAN))
}

/// The round failed and was taken back, with a retry and a timeout before; the rest stands.
fn to_the_gate() -> Shell {
    let mut shell = begun();
    shell.decide_gate("plan", true);
    shell.fails("look", ErrorClass::Unavailable);
    shell.wake();
    shell.done_with("look", json!({"rows": 39}));
    shell.now_ms += 700;
    shell.done("make");
    shell.done("try");
    shell.wake();
    shell.wake();
    shell.fails("judge", ErrorClass::CheckFailed);
    shell.done("try");
    shell.done_with("blend", json!({"n": 2}));
    shell
}

fn stuck_and_resolved() -> Shell {
    let mut shell = to_the_gate();
    shell.input(cancel());
    shell.done("blend");
    for _ in 0..3 {
        shell.fails("make", ErrorClass::Unavailable);
        if shell.status() != "stuck" {
            shell.wake();
        }
    }
    shell.input(retry_stuck());
    shell.fails("make", ErrorClass::UndoFailed);
    shell.now_ms += 60_000;
    shell.input(resolve_stuck("make"));
    assert_eq!(shell.status(), "cancelled");
    shell
}

/// What was in flight took effect after it had been given up, and was taken back as well.
fn cancelled() -> Shell {
    let mut shell = begun();
    shell.decide_gate("plan", true);
    shell.done_with("look", json!({"rows": 1}));
    let late = shell.asked("make");
    shell.input(cancel());
    shell.fails_leaving("try", ErrorClass::Denied, Aftermath::Untouched);
    shell.wake();
    assert_eq!(shell.status(), "cancelled");
    shell.record(&late);
    shell.say(&late, News::Done(done(json!({}))));
    let back = shell.asked("make");
    shell.say(&back, News::Done(done(json!({}))));
    assert_eq!(shell.status(), "cancelled");
    shell
}

fn in_flight() -> Shell {
    let mut shell = begun();
    shell.decide_gate("plan", true);
    shell.done_with("look", json!({"rows": 1}));
    let key = shell.asked("make");
    shell.record(&key);
    shell.fails("try", ErrorClass::Unavailable);
    shell
}
