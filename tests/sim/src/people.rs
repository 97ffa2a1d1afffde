//! People, and the end: who starts, approves, cancels, undoes and repairs, by what the log says; and
//! when there is nothing more to come.

use std::collections::BTreeMap;

use deadelus_core::{Ending, Gate, Input, Shared, Slot, Status, TaskStatus, Workflow};
use deadelus_proto::{Direction, ErrorClass, Failure, News, Report, TaskId, TaskKey, WorkflowId};

use crate::{
    bus::{Item, Mail, Queue},
    judge::Judge,
    plans::id,
    server::slots_of,
    specialist::Worker,
    world::{Place, Who, World},
};

/// How long a world with a damaged log goes on: several times as long as a replica looks for what is
/// not there.
const DOUBT_MS: i64 = 90_000;

/// Of what is stuck a person settles so much by hand, and has the rest tried again.
const SETTLES_PERCENT: u8 = 40;

impl World {
    pub(crate) fn start(&mut self, workflow: &WorkflowId) {
        let Some(plan) = self.plans.get(workflow).cloned() else { return };
        let digest = plan.digest().clone();
        let (submitted_by, traceparent) = ("ada".to_owned(), String::new());
        let limited = ["specialists.a".to_owned()].into_iter().collect();
        let shared = Shared { locks: true, limited };
        let (fork, workflow) = (None, workflow.clone());
        let input = Input::Start {
            workflow: workflow.clone(),
            plan,
            digest,
            submitted_by,
            traceparent,
            fork,
            shared,
        };
        self.write(&workflow, "start", input);
    }

    /// A letter of a person; the client says it until the inbox has it.
    pub(crate) fn write(&mut self, workflow: &WorkflowId, what: &str, input: Input) {
        self.letters += 1;
        let letter = format!("{what}-{}", self.letters);
        self.say(|| format!("a person: {letter} of {workflow}"));
        let mail = Mail { workflow: workflow.clone(), from: id("client"), id: letter, input };
        if self.mishap(self.quirks.duplicate) {
            self.put(Place::Inbox, Item::Mail(Box::new(mail.clone())), None);
        }
        self.put(Place::Inbox, Item::Mail(Box::new(mail)), None);
    }

    /// A report of a task of a workflow that nobody has started, or that was purged.
    pub(crate) fn stranger(&mut self) {
        let workflow: WorkflowId = id("purged");
        let key = TaskKey {
            workflow: workflow.clone(),
            task: id("gone"),
            direction: Direction::Do,
            attempt: 1,
        };
        let report = Report {
            key,
            instance: "a-9".to_owned(),
            begun_unix_ms: 0,
            reported_unix_ms: 0,
            deliveries: 1,
            news: News::Failed(Failure::new(ErrorClass::Unavailable, "not now")),
        };
        let (from, input) = (id("a"), Input::Report(Box::new(report)));
        let mail = Mail { workflow, from, id: "stranger".to_owned(), input };
        self.put(Place::Inbox, Item::Mail(Box::new(mail)), None);
    }

    pub(crate) fn people(&mut self) {
        let all: Vec<WorkflowId> = self.judges.keys().cloned().collect();
        for workflow in all {
            let Some(judge) = self.judges.get(&workflow) else { continue };
            if judge.chain.gap().is_some() || self.known_damaged.contains(&workflow) {
                continue;
            }
            let Some(state) = judge.workflow().cloned() else { continue };
            self.looks_after(&workflow, &state);
        }
    }

    fn looks_after(&mut self, workflow: &WorkflowId, state: &Workflow) {
        let by = || "ada".to_owned();
        let reason = String::new;
        let trouble = self.quirks.trouble / 3;
        if state.ended().is_none() && self.mishap(trouble) {
            return self.write(workflow, "cancel", Input::Cancel { by: by(), reason: reason() });
        }
        if state.status() == Status::Ended(Ending::Done) && self.mishap(trouble) {
            return self.write(workflow, "undo", Input::Undo { by: by(), reason: reason() });
        }
        if let Some(task) = first(state, TaskStatus::Stuck) {
            if self.rng.u8(0..100) < SETTLES_PERCENT {
                self.effects.remove(workflow, &task);
                let input = Input::ResolveStuck { task, by: by(), reason: reason() };
                return self.write(workflow, "resolve", input);
            }
            let input = Input::RetryStuck { by: by(), reason: reason() };
            return self.write(workflow, "retry", input);
        }
        if state.status() == Status::Paused {
            let held = first(state, TaskStatus::Held);
            let input = match held.filter(|_| self.mishap(self.quirks.trouble)) {
                Some(task) => Input::SkipTask { task, by: by(), reason: reason() },
                None => Input::Resume { by: by(), reason: reason() },
            };
            return self.write(workflow, "resume", input);
        }
        let gates: Vec<Gate> = state.open_gates().map(|(gate, _)| gate.clone()).collect();
        for gate in gates {
            let approve = !self.mishap(self.quirks.trouble);
            let digest = state.plan().digest().clone();
            let input = Input::DecideGate { gate, approve, digest, by: by(), reason: reason() };
            self.write(workflow, "gate", input);
        }
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_at_rest(&self) -> bool {
        let over = |workflow: &WorkflowId| {
            let judge = self.judges.get(workflow);
            let ended = judge.and_then(|j| j.workflow()).is_some_and(|w| w.ended().is_some());
            let damaged = judge.is_some_and(|judge| !judge.alarms.is_empty());
            ended || damaged || self.known_damaged.contains(workflow)
        };
        if !self.quirks.are_honest() {
            // Whoever has reason to doubt the log looks for a while before it says so.
            return self.now > self.calm_at + DOUBT_MS;
        }
        self.is_calm()
            && self.plans.keys().all(over)
            && self.queues.values().all(Queue::is_at_rest)
            && self.workers.iter().all(Worker::is_idle)
            && self.slots.values().all(|(table, _)| table.is_empty())
    }

    pub(crate) fn what_is_waited_for(&self) -> String {
        let mut words = vec![];
        for (workflow, judge) in &self.judges {
            match judge.workflow() {
                Some(state) if state.ended().is_none() => {
                    let why: Vec<String> = state.why().iter().map(ToString::to_string).collect();
                    words.push(format!("{workflow} is {}: {}", state.status(), why.join("; ")));
                }
                Some(_) => {}
                None => words.push(format!("{workflow} was never accepted")),
            }
        }
        let queues = self.queues.iter().filter(|(_, queue)| !queue.is_at_rest());
        words.extend(queues.map(|(place, _)| format!("{place:?} is not empty")));
        let held = self.slots.iter().filter(|(_, (table, _))| !table.is_empty());
        words.extend(held.map(|(slot, (table, _))| format!("{slot}: {table:?}")));
        words.join(" | ")
    }

    /// The stream has one message more.
    pub(crate) fn judge_new(&mut self, workflow: &WorkflowId, sequence: u64) {
        let Some(entry) = self.log.all().last().filter(|entry| entry.sequence == sequence) else {
            return;
        };
        let bytes = entry.bytes.clone();
        let Some(judge) = self.judges.get_mut(workflow) else { return };
        let before = judge.events().len();
        let verdict = judge.read(sequence, &bytes);
        let told: Vec<String> = judge.events()[before..].iter().map(short).collect();
        self.say(|| format!("log {sequence} of {workflow}: {}", told.join(", ")));
        if let Err(problem) = verdict {
            self.wrong(format!("{workflow}: {problem}"));
        }
        if self.quirks.are_honest() {
            self.slots_hold();
        }
    }

    /// No slot has more holders than there are, told from the logs of all workflows.
    fn slots_hold(&mut self) {
        let mut held: BTreeMap<Slot, Vec<TaskKey>> = BTreeMap::new();
        for claim in self.judges.values().filter_map(Judge::workflow).flat_map(Workflow::claims) {
            for slot in claim.slots.iter().filter(|_| claim.ticket.is_none()) {
                held.entry(slot.clone()).or_default().push(claim.key.clone());
            }
        }
        for (slot, holders) in held {
            if holders.len() > slots_of(&slot) {
                self.wrong(format!("{slot} is held by {holders:?}"));
            }
        }
    }

    /// The end of the log vanishes. Whoever knows of it and writes on must notice.
    pub(crate) fn lose_tail(&mut self) {
        let messages = self.rng.usize(1..=3);
        let lost = self.log.lose_tail(messages);
        for entry in &lost {
            self.say(|| {
                format!("server: message {} of {} vanishes", entry.sequence, entry.workflow)
            });
            self.judges.insert(entry.workflow.clone(), Judge::new(&entry.workflow));
            self.lost.insert((entry.workflow.clone(), entry.sequence), entry.id.clone());
            for at in 0..self.orchestrators.len() {
                let knows = self.orchestrators[at].knows(&entry.workflow);
                if knows.is_some_and(|last| last >= entry.sequence) {
                    let who = Who::Orchestrator(at);
                    self.vanished.insert((who, self.life(who), entry.workflow.clone()));
                }
            }
        }
        let kept: Vec<_> = self.log.all().to_vec();
        for entry in kept.iter().filter(|kept| lost.iter().any(|l| l.workflow == kept.workflow)) {
            if let Some(judge) = self.judges.get_mut(&entry.workflow) {
                let _read_before = judge.read(entry.sequence, &entry.bytes);
            }
        }
    }

    /// A replica appends to a log of which it knows something that has vanished. Where another
    /// decision has the same sequence since, the hash that each carries tells every reader.
    pub(crate) fn noticed_if_it_uses(&mut self, at: usize, workflow: &WorkflowId) {
        let who = Who::Orchestrator(at);
        let key = (who, self.life(who), workflow.clone());
        let known = self.orchestrators[at].knows(workflow).unwrap_or(0);
        let last = self.log.of(workflow, u64::MAX).last().map_or(0, |entry| entry.sequence);
        // A desk that was cleared since, and opened anew, knows of nothing.
        if self.vanished.remove(&key) && known > last {
            self.must_be_noticed.insert(key);
        }
    }

    /// What had vanished stands where it stood: whoever wrote it never heard that it was stored, and
    /// published the same bytes again.
    pub(crate) fn is_back(&mut self, workflow: &WorkflowId, sequence: u64, id: &str) {
        if self.lost.get(&(workflow.clone(), sequence)).is_some_and(|lost| lost == id) {
            self.vanished.retain(|(.., of)| of != workflow);
            self.must_be_noticed.retain(|(.., of)| of != workflow);
        }
    }

    /// What must hold when all is over.
    pub(crate) fn judge_the_end(&mut self) {
        let honest = self.quirks.are_honest();
        let mut wrong = vec![];
        for (workflow, judge) in &self.judges {
            if honest && let Some(alarm) = judge.alarms.first() {
                wrong.push(format!("{workflow}: the server kept its word, and yet: {alarm}"));
            }
            if honest && let Err(problem) = judge.at_the_end(&self.effects) {
                wrong.push(format!("{workflow}: {problem}"));
            }
        }
        for sequence in &self.log.doubles {
            let Some(entry) = self.log.all().iter().find(|entry| entry.sequence == *sequence)
            else {
                continue;
            };
            let told = self.judges.get(&entry.workflow).is_some_and(|j| !j.alarms.is_empty());
            if !told {
                wrong.push(format!(
                    "{}: {sequence} won twice, and no reader is told",
                    entry.workflow
                ));
            }
        }
        for (who, life, workflow) in &self.must_be_noticed {
            let alive = self.life(*who) == *life;
            // Who took the place of what vanished before this one's append: the hash tells readers.
            let told = self.judges.get(workflow).is_some_and(|judge| !judge.alarms.is_empty());
            if alive && !told && !self.known_damaged.contains(workflow) {
                wrong.push(format!("{workflow}: {who:?} wrote on what had vanished, in silence"));
            }
        }
        wrong.into_iter().for_each(|problem| self.wrong(problem));
    }
}

fn first(state: &Workflow, status: TaskStatus) -> Option<TaskId> {
    let mut tasks = state.tasks();
    tasks.find(|(_, task)| task.status() == status).map(|(spec, _)| spec.id.clone())
}

/// An event in a few words.
fn short(event: &deadelus_core::Event) -> String {
    if let deadelus_core::Event::Accepted { plan, .. } = event {
        return format!("Accepted({})", plan.json());
    }
    let text = format!("{event:?}");
    text.chars().take(160).collect()
}
