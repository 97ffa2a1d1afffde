//! A small specialist, plans in a few lines, and a driver that plays the shell.

use std::{sync::Arc, time::Duration};

use deadelus_core::{
    Attempt, CheckedPlan, Command, Event, Gate, Input, Plan, Refusal, Shared, Step, TaskStatus,
    Workflow, step,
};
use deadelus_proto::{
    Aftermath, Body, Capability, Check, CheckKind, Direction, Done, Effect, ErrorClass, Failure,
    Hazard, Idempotency, News, Report, SpecialistCard, TargetCard, TaskKey, Undo, UndoClass,
};
use serde_json::{Value, json};

/// What one attempt may take, in milliseconds.
pub(crate) const TIMEOUT_MS: i64 = 10_000;

/// `t` looks, makes (and unmakes), blends (with residue) and ships (for good).
pub(crate) fn cards() -> Vec<SpecialistCard> {
    let undo = |name: &str, class| Some((name.parse().unwrap(), class));
    vec![SpecialistCard {
        specialist: "t".parse().unwrap(),
        version: "1".into(),
        capabilities: vec![
            capability("t.look", Effect::Read, None),
            capability("t.think", Effect::Pure, None),
            capability("t.make", Effect::Reversible, undo("t.unmake", UndoClass::Exact)),
            capability("t.unmake", Effect::Reversible, undo("t.make", UndoClass::Exact)),
            capability("t.blend", Effect::Compensatable, undo("t.unblend", UndoClass::Semantic)),
            capability("t.unblend", Effect::Compensatable, undo("t.blend", UndoClass::Semantic)),
            capability("t.ship", Effect::Pivot, None),
            Capability {
                hazards: vec![Hazard::Destructive, Hazard::Money],
                ..capability("t.refund", Effect::Reversible, undo("t.unmake", UndoClass::Exact))
            },
        ],
        targets: vec![target("shop", &[]), target("live", &[("environment", "production")])],
    }]
}

fn target(name: &str, facts: &[(&str, &str)]) -> TargetCard {
    let facts = facts.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    TargetCard { name: name.parse().unwrap(), facts }
}

fn capability(
    name: &str,
    effect: Effect,
    undo: Option<(deadelus_proto::CapabilityName, UndoClass)>,
) -> Capability {
    Capability {
        name: name.parse().unwrap(),
        role: format!("{} role", &name[2..]),
        version: "1".into(),
        summary: format!("Does {name}."),
        inputs_schema: json!({
            "type": "object",
            "properties": {
                "n": {"type": "integer", "minimum": 0},
                "text": {"type": "string"},
                "any": {}
            },
            "additionalProperties": false
        }),
        outputs_schema: json!({"type": "object"}),
        effect,
        idempotency: Idempotency::Keyed,
        checks: vec![CheckKind { id: "made".into(), what: "It is there.".into() }],
        undo,
        timeout: Duration::from_millis(TIMEOUT_MS.try_into().unwrap()),
        locks: vec![],
        hazards: vec![],
    }
}

/// A plan without approval whose `tasks:` (and more) are given.
pub(crate) fn plan(rest: &str) -> Arc<CheckedPlan> {
    with_approval("none", rest)
}

pub(crate) fn with_approval(approval: &str, rest: &str) -> Arc<CheckedPlan> {
    let text = format!("deadelus: 1\ntitle: Test\ntarget: shop\napproval: {approval}\n{rest}");
    let plan = Plan::read(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    Arc::new(CheckedPlan::check(plan, &cards()).unwrap_or_else(|e| panic!("{e}\n{text}")))
}

/// The problems of a plan, one per line.
pub(crate) fn problems(rest: &str) -> String {
    let text = format!("deadelus: 1\ntitle: Test\ntarget: shop\n{rest}");
    let read = Plan::read(&text).and_then(|plan| CheckedPlan::check(plan, &cards()));
    read.map_or_else(|e| e.to_string(), |_| String::new())
}

/// The shell's part, by hand: a workflow, a clock, and the events so far.
pub(crate) struct Shell {
    pub(crate) state: Option<Workflow>,
    pub(crate) now_ms: i64,
    pub(crate) events: Vec<Event>,
    /// When each decision was taken, and what it was.
    pub(crate) decisions: Vec<(i64, Vec<Event>)>,
}

impl Shell {
    pub(crate) fn start(plan: &Arc<CheckedPlan>) -> Self {
        Self::begin(start(plan))
    }

    pub(crate) fn begin(start: Input) -> Self {
        let mut shell = Self { state: None, now_ms: 1_000, events: vec![], decisions: vec![] };
        shell.input(start);
        shell
    }

    pub(crate) fn workflow(&self) -> &Workflow {
        self.state.as_ref().unwrap()
    }

    pub(crate) fn try_input(&mut self, input: Input) -> Result<Step, Refusal> {
        let step = step(&mut self.state, input, self.now_ms)?;
        self.events.extend(step.events.iter().cloned());
        if !step.events.is_empty() {
            self.decisions.push((step.at_unix_ms, step.events.clone()));
        }
        Ok(step)
    }

    pub(crate) fn input(&mut self, input: Input) -> Step {
        let shown = format!("{input:?}");
        self.try_input(input).unwrap_or_else(|e| panic!("{e}\n{shown}"))
    }

    /// What is asked of `task` now, or a panic.
    pub(crate) fn asked(&self, task: &str) -> TaskKey {
        let asked = self.dispatched().into_iter().find(|key| key.task.as_str() == task);
        asked.unwrap_or_else(|| panic!("{task} was not asked: {:?}", self.workflow().why()))
    }

    /// The tasks that are asked now, `task` or `task back`.
    pub(crate) fn now_asked(&self) -> Vec<String> {
        let name = |key: TaskKey| match key.direction {
            Direction::Do => key.task.to_string(),
            Direction::Undo => format!("{} back", key.task),
        };
        self.dispatched().into_iter().map(name).collect()
    }

    pub(crate) fn dispatched(&self) -> Vec<TaskKey> {
        let outstanding = self.workflow().outstanding().into_iter();
        outstanding
            .filter_map(|command| match command {
                Command::Dispatch(key) => Some(key),
                Command::WakeAt(_) => None,
            })
            .collect()
    }

    /// Answers for `task`: done, its way back recorded first if it has an effect.
    pub(crate) fn done(&mut self, task: &str) -> Step {
        self.done_with(task, json!({}))
    }

    pub(crate) fn done_with(&mut self, task: &str, outputs: Value) -> Step {
        let key = self.asked(task);
        self.record(&key);
        self.say(&key, News::Done(done(outputs)))
    }

    /// Records the way back of an attempt at doing something that has one.
    pub(crate) fn record(&mut self, key: &TaskKey) {
        let (spec, _) = self.workflow().task(&key.task).unwrap();
        let Some((capability, class)) = spec.undo.clone() else { return };
        if key.direction == Direction::Do {
            let inputs = json!({"text": format!("before {}", key.task)});
            let undo = Undo { capability, inputs, class, residue: vec![] };
            self.say(key, News::UndoRecorded(undo));
        }
    }

    pub(crate) fn fails(&mut self, task: &str, class: ErrorClass) -> Step {
        let key = self.asked(task);
        self.say(&key, News::Failed(Failure::new(class, "it broke")))
    }

    pub(crate) fn fails_leaving(&mut self, task: &str, class: ErrorClass, left: Aftermath) -> Step {
        let key = self.asked(task);
        let failure = Failure { aftermath: left, ..Failure::new(class, "it broke") };
        self.say(&key, News::Failed(failure))
    }

    pub(crate) fn say(&mut self, key: &TaskKey, news: News) -> Step {
        self.input(report(key, news))
    }

    /// Lets time pass up to the next moment that matters.
    pub(crate) fn wake(&mut self) -> Step {
        let wake = self.workflow().outstanding().into_iter().find_map(|command| match command {
            Command::WakeAt(at) => Some(at),
            Command::Dispatch(_) => None,
        });
        self.now_ms = wake.expect("nothing waits for time");
        self.input(Input::Tick)
    }

    pub(crate) fn decide_gate(&mut self, gate: &str, approve: bool) -> Step {
        let input = gate_input(self.workflow().plan(), gate, approve);
        self.input(input)
    }

    pub(crate) fn status(&self) -> String {
        self.workflow().status().to_string()
    }

    pub(crate) fn task(&self, id: &str) -> TaskStatus {
        self.workflow().task(&id.parse().unwrap()).unwrap().1.status()
    }

    /// All slots that `task` waits for are there.
    pub(crate) fn has_slots(&mut self, task: &str) {
        let slots = self.slots_of(task);
        self.input(slots);
    }

    /// The same, for later.
    pub(crate) fn slots_of(&self, task: &str) -> Input {
        let claims = self.workflow().claims();
        let claim = claims.iter().find(|claim| claim.key.task.as_str() == task).unwrap();
        let (task, direction) = (claim.key.task.clone(), claim.key.direction);
        let attempt = Attempt { task, direction, number: claim.key.attempt };
        Input::SlotsHeld { attempt, ticket: claim.ticket.unwrap() }
    }

    pub(crate) fn why(&self) -> Vec<String> {
        self.workflow().why().iter().map(ToString::to_string).collect()
    }
}

pub(crate) fn start(plan: &Arc<CheckedPlan>) -> Input {
    Input::Start {
        workflow: "wf".parse().unwrap(),
        plan: Arc::clone(plan),
        digest: plan.digest().clone(),
        submitted_by: "ada".into(),
        traceparent: String::new(),
        fork: None,
        shared: Shared::default(),
    }
}

/// The same where locks exclude the tasks of other workflows, and every limit is limited.
pub(crate) fn start_shared(plan: &Arc<CheckedPlan>, limited: &[&str]) -> Input {
    let Input::Start { workflow, plan, digest, submitted_by, traceparent, fork, .. } = start(plan)
    else {
        panic!("a start starts");
    };
    let limited = limited.iter().map(|limit| (*limit).to_owned()).collect();
    let shared = Shared { locks: true, limited };
    Input::Start { workflow, plan, digest, submitted_by, traceparent, fork, shared }
}

pub(crate) fn gate_input(plan: &CheckedPlan, gate: &str, approve: bool) -> Input {
    gate_input_by(plan, gate, approve, "ada")
}

pub(crate) fn gate_input_by(plan: &CheckedPlan, gate: &str, approve: bool, by: &str) -> Input {
    Input::DecideGate {
        gate: gate.parse::<Gate>().unwrap(),
        approve,
        digest: plan.digest().clone(),
        by: by.into(),
        reason: "looked at it".into(),
    }
}

pub(crate) fn delegate(gate: &str, to: &str) -> Input {
    Input::DelegateGate {
        gate: gate.parse::<Gate>().unwrap(),
        to: to.into(),
        by: "ada".into(),
        reason: "knows more".into(),
    }
}

pub(crate) fn cancel() -> Input {
    Input::Cancel { by: "ada".into(), reason: "changed my mind".into() }
}

pub(crate) fn undo() -> Input {
    Input::Undo { by: "ada".into(), reason: "not wanted".into() }
}

pub(crate) fn retry_stuck() -> Input {
    Input::RetryStuck { by: "ada".into(), reason: "repaired".into() }
}

pub(crate) fn pause() -> Input {
    Input::Pause { by: "ada".into(), reason: "to look".into() }
}

pub(crate) fn resume() -> Input {
    Input::Resume { by: "ada".into(), reason: "looked".into() }
}

pub(crate) fn retry_task(task: &str) -> Input {
    let task = task.parse().unwrap();
    Input::RetryTask { task, by: "ada".into(), reason: "it is up again".into() }
}

pub(crate) fn skip_task(task: &str) -> Input {
    let task = task.parse().unwrap();
    Input::SkipTask { task, by: "ada".into(), reason: "not needed today".into() }
}

pub(crate) fn resolve_stuck(task: &str) -> Input {
    let task = task.parse().unwrap();
    Input::ResolveStuck { task, by: "ada".into(), reason: "dropped it".into() }
}

pub(crate) fn report(key: &TaskKey, news: News) -> Input {
    Input::Report(Box::new(Report {
        key: key.clone(),
        instance: "t-1".into(),
        begun_unix_ms: 1,
        reported_unix_ms: 2,
        deliveries: 1,
        news,
    }))
}

pub(crate) fn done(outputs: Value) -> Done {
    Done {
        outputs: Body::Inline(outputs),
        checks: vec![Check::equal("made", 1, 1)],
        artefacts: vec![],
        residue: vec![],
        reconciled: false,
        undo: None,
    }
}
