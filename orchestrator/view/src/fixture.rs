//! For tests: a small plan of the second golden workflow, and a log of it that the decision core
//! itself has written.

#![expect(
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "a fixture that is wrong ends the test"
)]

use std::{sync::Arc, time::Duration};

use deadelus_core::{Chain, CheckedPlan, Command, Input, Link, Plan, Shared, Workflow, step};
use deadelus_proto::{
    Aftermath, Artefact, Body, Capability, Check, Done, Effect, ErrorClass, Failure, Idempotency,
    News, Report, SpecialistCard, TargetCard, TaskKey, Undo, UndoClass,
};
use serde_json::{Value, json};

use crate::history::History;

const PLAN: &str = include_str!("fixture.yaml");

/// When everything begins: 2025-11-21 14:26:42 UTC.
const BEGIN_UNIX_MS: i64 = 1_763_735_202_000;

/// What each step of the story takes.
const STEP_MS: i64 = 2_500;

/// The mesh around one workflow, by hand.
pub struct Story {
    state: Option<Workflow>,
    chain: Chain,
    history: History,
    /// Every message, as the stream has it.
    log: Vec<(u64, Vec<u8>)>,
    now_ms: i64,
    sequence: u64,
}

pub fn cards() -> Vec<SpecialistCard> {
    let undo = |name: &str| Some((name.parse().unwrap(), UndoClass::Exact));
    let card = |name: &str, capabilities| SpecialistCard {
        specialist: name.parse().unwrap(),
        version: "0.1.0".into(),
        capabilities,
        targets: vec![TargetCard { name: "shop".parse().unwrap(), facts: [].into() }],
    };
    vec![
        card(
            "db",
            vec![
                capability(
                    "db.create_index",
                    "DB Admin",
                    Effect::Reversible,
                    undo("db.drop_index"),
                ),
                capability(
                    "db.drop_index",
                    "DB Admin",
                    Effect::Reversible,
                    undo("db.create_index"),
                ),
            ],
        ),
        card(
            "performance",
            vec![
                capability("performance.measure", "Performance Admin", Effect::Read, None),
                capability("performance.diagnose", "Performance Admin", Effect::Pure, None),
                capability("performance.compare", "Performance Admin", Effect::Pure, None),
                capability("performance.check_budget", "Performance Admin", Effect::Pure, None),
            ],
        ),
    ]
}

fn capability(
    name: &str,
    role: &str,
    effect: Effect,
    undo: Option<(deadelus_proto::CapabilityName, UndoClass)>,
) -> Capability {
    Capability {
        name: name.parse().unwrap(),
        role: role.into(),
        version: "1".into(),
        summary: format!("Does {name}."),
        inputs_schema: json!({"type": "object"}),
        outputs_schema: json!({"type": "object", "properties": {"runs": {}, "latency": {}}}),
        effect,
        idempotency: Idempotency::Keyed,
        checks: vec![],
        undo,
        timeout: Duration::from_secs(60),
        locks: vec![],
        hazards: vec![],
    }
}

pub fn plan() -> CheckedPlan {
    CheckedPlan::check(Plan::read(PLAN).unwrap(), &cards()).unwrap()
}

/// Where the second index breaks the write budget: one change kept, one taken back, budget met.
pub fn told() -> History {
    to_the_end().history
}

/// The same, taken back afterwards.
pub fn undone() -> History {
    let mut story = to_the_end();
    story.take(Input::Undo { by: "ada".into(), reason: "not wanted".into() });
    story.undone("index1");
    story.history
}

/// Not approved, so that nothing of it ever ran.
pub fn rejected() -> History {
    let mut story = Story::begin();
    story.decide(false);
    story.history
}

pub fn to_the_end() -> Story {
    let mut story = Story::begin();
    story.approve();
    story.done("measure0", measured(400.0, 300_000.0));
    let causes = json!([{"cause": "missing_index", "share": 0.83,
        "evidence": "order_line is read from end to end", "advice": "index order_line(order_id)"}]);
    story.done("diagnose1", json!({"causes": causes}));
    story.done("index1", json!({"index": "i1", "ddl": "CREATE INDEX i1 ON order_line (order_id)"}));
    story.done("measure1", measured(20.0, 5.0));
    story.done("compare1", json!({"verdict": "better"}));
    story.done("index2", json!({"index": "i2", "ddl": "CREATE INDEX i2 ON product (name)"}));
    story.done("measure2", measured(19.0, 5.0));
    story.fails("compare2");
    story.undone("index2");
    story.done("budget", json!({"verdict": "met"}));
    story
}

fn measured(p95: f64, steps: f64) -> Value {
    let endpoint = json!({"name": "checkout", "role": "read",
        "p50_ms": p95 / 2.0, "p95_ms": p95, "p99_ms": p95 * 1.5});
    let run = json!({"endpoints": [endpoint], "counters": {"scan_steps": steps}});
    json!({"runs": [run.clone(), run.clone(), run]})
}

impl Story {
    pub fn begin() -> Self {
        let id: deadelus_proto::WorkflowId = "wf-1".parse().unwrap();
        let mut story = Self {
            state: None,
            chain: Chain::new(id.clone()),
            history: History::new(id.clone()),
            log: vec![],
            now_ms: BEGIN_UNIX_MS,
            sequence: 0,
        };
        let plan = Arc::new(plan());
        let digest = plan.digest().clone();
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
        let submitted_by = "ada".to_owned();
        story.take(Input::Start {
            workflow: id,
            plan,
            digest,
            submitted_by,
            traceparent,
            fork: None,
            shared: Shared::default(),
        });
        story
    }

    pub fn approve(&mut self) {
        self.decide(true);
    }

    fn decide(&mut self, approve: bool) {
        let digest = self.workflow().plan().digest().clone();
        let gate = "plan".parse().unwrap();
        let (by, reason) = ("ada".to_owned(), "looked at it".to_owned());
        self.take(Input::DecideGate { gate, approve, digest, by, reason });
    }

    /// The whole story's log, message by message.
    pub fn log(&self) -> &[(u64, Vec<u8>)] {
        &self.log
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub fn done(&mut self, task: &str, outputs: Value) {
        let key = self.asked(task);
        let (spec, _) = self.workflow().task(&key.task).unwrap();
        if let Some((capability, class)) = spec.undo.clone() {
            let undo = Undo { capability, inputs: json!({}), class, residue: vec![] };
            self.report(&key, News::UndoRecorded(undo));
        }
        self.report(&key, News::Done(done(outputs)));
    }

    fn fails(&mut self, task: &str) {
        let key = self.asked(task);
        let check = Check::at_most("write_p95_ms", 14, 10);
        let failure = Failure::new(ErrorClass::CheckFailed, "writes got 40 % slower");
        let failure = Failure { aftermath: Aftermath::Untouched, ..failure.checks(vec![check]) };
        self.report(&key, News::Failed(failure));
    }

    fn undone(&mut self, task: &str) {
        let key = self.asked(task);
        self.report(&key, News::Done(done(json!({}))));
    }

    fn workflow(&self) -> &Workflow {
        self.state.as_ref().unwrap()
    }

    fn asked(&self, task: &str) -> TaskKey {
        let outstanding = self.workflow().outstanding().into_iter();
        let mut asked = outstanding.filter_map(|command| match command {
            Command::Dispatch(key) => Some(key),
            Command::WakeAt(_) => None,
        });
        asked.find(|k| k.task.as_str() == task).unwrap_or_else(|| panic!("{task} is not asked"))
    }

    fn report(&mut self, key: &TaskKey, news: News) {
        let (begun_unix_ms, instance) = (self.now_ms + 100, "db-7f3a".to_owned());
        self.now_ms += STEP_MS;
        let (key, reported_unix_ms) = (key.clone(), self.now_ms);
        let deliveries = if key.task.as_str() == "measure1" { 2 } else { 1 };
        let report = Report { key, instance, begun_unix_ms, reported_unix_ms, deliveries, news };
        self.take(Input::Report(Box::new(report)));
    }

    /// Decides, and writes what was decided as an orchestrator would.
    fn take(&mut self, input: Input) {
        let step = step(&mut self.state, input, self.now_ms).unwrap();
        self.sequence += 1;
        let id = format!("d-{}", self.sequence);
        let owner = "orchestrator-1".to_owned();
        let entry = self.chain.next(id, owner, String::new(), self.now_ms, step.events);
        assert_eq!(self.chain.read(self.sequence, &entry.bytes), Link::Accepted);
        self.history.read(self.sequence, &entry.bytes).unwrap();
        self.log.push((self.sequence, entry.bytes));
    }
}

fn done(outputs: Value) -> Done {
    Done {
        outputs: Body::Inline(outputs),
        checks: vec![Check::equal("as_asked", 1, 1)],
        artefacts: vec![Artefact {
            sha256: deadelus_mesh::objects::sha256(b"run"),
            media_type: "application/json".into(),
            size_bytes: 3,
            name: "run-1.json".into(),
        }],
        residue: vec![],
        reconciled: false,
        undo: None,
    }
}
