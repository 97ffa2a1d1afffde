//! What is read without complaint: one of everything that travels, small enough to damage anywhere.

#![expect(clippy::expect_used, reason = "test support: a sample that is none ends the test")]

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use deadelus_core::{CheckedPlan, Plan};
use deadelus_proto::{
    Artefact, Assignment, Body, Capability, Check, CheckKind, Direction, Done, Effect, ErrorClass,
    Failure, Idempotency, News, Report, Sha256, SpecialistCard, TargetCard, TaskKey, Undo,
    UndoClass,
    pb::{self, inbound::Message as Said},
};
use prost::Message;
use serde_json::{Value, json};

/// Everything that a plan may say, once.
pub const PLAN: &str = r"
deadelus: 1
title: Test
request: make it fast
target: shop
approval: none
on_exhausted: undo
params: { runs: 3, table: order_line }
phases: [{ id: all, title: All, milestone: It is fast }]
risks: [{ risk: It is slow, likelihood: low, impact: high, mitigation: Measure }]
success: [{ criterion: It is judged, checked_by: see }]
scopes: { round: { title: Round, on_failure: continue } }
tasks:
  look: { does: t.look, title: Look, phase: all, inputs: { n: '${ params.runs }' } }
  make:
    does: t.make
    title: Make
    needs: [look]
    scope: round
    timeout: 5s
    attempts: 2
    locks: ['db:shop']
    inputs: { text: 'rows ${ tasks.look.outputs.rows } of ${ params.table }' }
  see: { does: t.look, title: See, needs: [make], when: tasks.make.status == 'done', gate: there is no way back }
";

/// Every kind of expression, with the values of [`params`] and [`done`].
const EXPRESSIONS: [&str; 10] = [
    "params.runs > 2 && tasks.look.status == 'done'",
    "tasks.look.outputs.rows * 2.5 + 1 - 3 / 2 % 7 >= -params.runs",
    "size(tasks.look.outputs.list) == 3 ? 'three' : \"not three\"",
    "tasks.look.outputs.list.filter(x, x > 1).map(x, x * 2)",
    "tasks.look.checks.all(c, c.pass) || !tasks.look.checks.exists(c, c.id == 'made')",
    "has(tasks.look.outputs.rows) && 'a' in {'a': [1, 2], 'b': null}",
    "target.startsWith('sh') && request.contains('fast') && string(1) + 'x' == '1x'",
    "[1, 2.0, 'c', true][2] != params.table",
    "tasks['look'].outputs['list'][0] <= int('7')",
    "double('1.5') < 2.0 || tasks.look.artefacts.exists_one(a, a.name == 'plans.json')",
];

/// A specialist `t` that looks and makes.
pub fn cards() -> Vec<SpecialistCard> {
    let undo = |name: &str| Some((name.parse().expect("a name"), UndoClass::Exact));
    vec![SpecialistCard {
        specialist: "t".parse().expect("a name"),
        version: "1".into(),
        capabilities: vec![
            capability("t.look", Effect::Read, None),
            capability("t.make", Effect::Reversible, undo("t.unmake")),
            capability("t.unmake", Effect::Reversible, undo("t.make")),
        ],
        targets: vec![TargetCard {
            name: "shop".parse().expect("a name"),
            facts: BTreeMap::from([("engine".into(), "sqlite".into())]),
        }],
    }]
}

fn capability(
    name: &str,
    effect: Effect,
    undo: Option<(deadelus_proto::CapabilityName, UndoClass)>,
) -> Capability {
    Capability {
        name: name.parse().expect("a name"),
        role: "Tester".into(),
        version: "1".into(),
        summary: format!("Does {name}."),
        inputs_schema: json!({
            "type": "object",
            "properties": {"n": {"type": "integer"}, "text": {"type": "string"}},
            "additionalProperties": false
        }),
        outputs_schema: json!({"type": "object"}),
        effect,
        idempotency: Idempotency::Keyed,
        checks: vec![CheckKind { id: "made".into(), what: "It is there.".into() }],
        undo,
        timeout: Duration::from_secs(10),
        locks: vec!["db:{target}".into()],
        hazards: vec![],
    }
}

/// The parameters that [`expressions`] read.
pub fn params() -> BTreeMap<String, Value> {
    BTreeMap::from([("runs".into(), json!(3)), ("table".into(), json!("order_line"))])
}

/// What the task `look` reported.
pub fn done() -> Done {
    Done {
        outputs: Body::Inline(json!({"rows": 39, "list": [1, 2, 3], "deep": {"er": [null]}})),
        checks: vec![Check::equal("made", 1, 1), Check::at_most("ms", 3, 5).evidence(artefact())],
        artefacts: vec![artefact()],
        residue: vec!["a line in the log".into()],
        reconciled: true,
        undo: Some(undo()),
    }
}

fn undo() -> Undo {
    Undo {
        capability: "t.unmake".parse().expect("a name"),
        inputs: json!({"text": "before", "n": 1}),
        class: UndoClass::Exact,
        residue: vec!["nothing".into()],
    }
}

fn artefact() -> Artefact {
    Artefact {
        sha256: digest(),
        media_type: "application/json".into(),
        size_bytes: 12,
        name: "plans.json".into(),
    }
}

fn digest() -> Sha256 {
    Sha256::from_bytes([7; 32])
}

fn key(direction: Direction) -> TaskKey {
    TaskKey {
        workflow: "wf-1".parse().expect("an id"),
        task: "make".parse().expect("an id"),
        direction,
        attempt: 1,
    }
}

/// The plan as it travels.
fn checked() -> CheckedPlan {
    let plan = Plan::read(PLAN).expect("a plan");
    CheckedPlan::check(plan, &cards()).expect("a plan that makes sense")
}

/// One of everything that reaches the inbox.
pub(crate) fn inbound() -> Vec<Vec<u8>> {
    let plan = checked();
    let start = pb::StartWorkflow {
        plan_json: plan.json().to_owned().into(),
        plan_digest: plan.digest().to_string(),
        submitted_by: "ada".into(),
    };
    let (by, reason, task_id) = ("ada".to_owned(), "because".to_owned(), "make".to_owned());
    let fork = pb::ForkWorkflow {
        start: Some(start.clone()),
        workflow_id: "wf-0".into(),
        from_task_id: task_id.clone(),
        results: vec![pb::KeptResult {
            task_id: "look".into(),
            result: Some(pb::kept_result::Result::Done(done().into())),
        }],
    };
    let decide = pb::DecideGate {
        gate: "plan".into(),
        approve: true,
        plan_digest: plan.digest().to_string(),
        by: by.clone(),
        reason: reason.clone(),
    };
    let said = [
        Said::Start(start),
        Said::Fork(fork),
        Said::Report(report(News::Done(done()))),
        Said::Report(report(News::UndoRecorded(undo()))),
        Said::Report(report(News::Failed(failure()))),
        Said::DecideGate(decide),
        Said::Cancel(pb::CancelWorkflow { by: by.clone(), reason: reason.clone() }),
        Said::SkipTask(pb::SkipTask { task_id, by, reason }),
    ];
    let inbound = said.map(|message| pb::Inbound {
        id: "message-1".into(),
        workflow_id: "wf-1".into(),
        reply_to: "_INBOX.x".into(),
        message: Some(message),
    });
    inbound.iter().map(Message::encode_to_vec).collect()
}

fn report(news: News) -> pb::TaskReport {
    let report = Report {
        key: key(Direction::Do),
        instance: "t-1".into(),
        begun_unix_ms: 1,
        reported_unix_ms: 2,
        deliveries: 1,
        news,
    };
    report.into()
}

fn failure() -> Failure {
    let failure = Failure::new(ErrorClass::CheckFailed, "not good enough");
    Failure { checks: vec![Check::not_measured("ms", 5, "no clock")], ..failure }
}

pub(crate) fn assignments() -> Vec<Vec<u8>> {
    let inputs = [Body::Inline(json!({"text": "x", "n": 3})), Body::Stored(artefact())];
    let assignment = |inputs| Assignment {
        key: key(Direction::Undo),
        capability: "t.make".parse().expect("a name"),
        target: "shop".parse().expect("a name"),
        inputs,
        deadline_unix_ms: 1_000,
        plan_digest: digest(),
        again: true,
    };
    let bytes = |inputs| pb::TaskAssignment::from(assignment(inputs)).encode_to_vec();
    inputs.into_iter().map(bytes).collect()
}

pub(crate) fn heartbeats() -> Vec<Vec<u8>> {
    let task = pb::TaskInHand {
        workflow_id: "wf-1".into(),
        task_id: "make".into(),
        direction: pb::Direction::Do.into(),
        attempt: 2,
    };
    let beat = pb::Heartbeat {
        specialist: "t".into(),
        instance: "t-1".into(),
        version: "1".into(),
        in_hand: vec![task.clone(), task],
        asks: true,
    };
    vec![beat.encode_to_vec()]
}

pub(crate) fn card() -> Vec<Vec<u8>> {
    cards().into_iter().map(|card| pb::SpecialistCard::from(card).encode_to_vec()).collect()
}

pub(crate) fn wishes() -> Vec<Vec<u8>> {
    let wish = pb::PlanRequest {
        request: "checkout is slow and times out".into(),
        target: "shop".into(),
        blueprint: String::new(),
        params: [("runs".into(), "3".into())].into(),
        ..pb::PlanRequest::default()
    };
    vec![wish.encode_to_vec()]
}

/// Those that come with the orchestrator.
pub(crate) fn blueprints() -> Vec<Vec<u8>> {
    files("../../orchestrator/blueprints", "yaml")
}

/// The logs of earlier versions in `tests/golden`.
pub(crate) fn logs() -> Vec<Vec<u8>> {
    files("../golden", "log")
}

/// The files of a folder of the repository that end so.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("a folder of the repository");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let wanted = paths.iter().filter(|path| path.extension().is_some_and(|e| e == ending));
    wanted.map(|path| fs::read(path).expect("a file")).collect()
}

pub(crate) fn subjects() -> Vec<Vec<u8>> {
    // wf-1 is of partition 2.
    let below = [
        "task.t.make",
        "in.client.2.wf-1",
        "ask.t.2.wf-1",
        "log.2.wf-1",
        "dead.in.t",
        "live.db.wf-1.make",
        "worker.t.t-1",
        "card.t",
        "api.plan",
        "artefact.db",
    ];
    below.iter().map(|subject| format!("deadelus.v1.{subject}").into_bytes()).collect()
}

pub(crate) fn plans() -> Vec<Vec<u8>> {
    let json = serde_json::to_vec(checked().plan()).expect("a plan is JSON");
    vec![PLAN.as_bytes().to_vec(), json]
}

pub(crate) fn checked_plans() -> Vec<Vec<u8>> {
    vec![checked().json().as_bytes().to_vec()]
}

pub(crate) fn expressions() -> Vec<Vec<u8>> {
    EXPRESSIONS.iter().map(|text| text.as_bytes().to_vec()).collect()
}
