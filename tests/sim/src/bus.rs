//! A fake JetStream: the log under compare-and-append, and work queues. It keeps what it is given
//! and decides what the answer is; whether anything arrives is the world's to decide.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream;
use bytes::Bytes;
use deadelus_core::Input;
use deadelus_mesh::{append::Entry, pipeline::Answer};
use deadelus_proto::{Assignment, SpecialistName, TaskKey, WorkflowId, pb};
use prost::Message as _;
use serde_json::json;

/// How long a work queue remembers the id of a message, as `mesh` asks for it.
const DEDUPE_MS: i64 = 120_000;

/// The log stream.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Logged>,
    last: u64,
    /// Attempts that some decision in the log asks for, or once did.
    pub(crate) requested: BTreeSet<TaskKey>,
    /// Sequences that were let in although the place was taken.
    pub(crate) doubles: Vec<u64>,
}

/// One message of the log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) sequence: u64,
    pub(crate) workflow: WorkflowId,
    pub(crate) id: String,
    pub(crate) bytes: Bytes,
}

impl Log {
    /// Compare-and-append. `twice`: let in whoever lost by one, too.
    pub(crate) fn append(
        &mut self,
        workflow: &WorkflowId,
        expected: u64,
        id: String,
        bytes: Bytes,
        twice: bool,
    ) -> Answer {
        let mut of = self.entries.iter().rev().filter(|entry| entry.workflow == *workflow);
        let last = of.next().map_or(0, |entry| entry.sequence);
        let before = of.next().map_or(0, |entry| entry.sequence);
        if expected != last {
            if !(twice && expected == before) {
                return refused(400, 10071, &format!("wrong last sequence: {last}"));
            }
            self.doubles.push(self.last + 1);
        }
        self.last += 1;
        let sequence = self.last;
        self.remember(workflow, &bytes);
        self.entries.push(Logged { sequence, workflow: workflow.clone(), id, bytes });
        Answer::Stored(sequence)
    }

    /// The message after `expected` on the subject, for a reader that knows nothing newer than
    /// `up_to`.
    pub(crate) fn winner(&self, workflow: &WorkflowId, expected: u64, up_to: u64) -> Option<Entry> {
        let found = self.of(workflow, up_to).find(|entry| entry.sequence > expected)?;
        Some(Entry { sequence: found.sequence, id: Some(found.id.clone()) })
    }

    /// A workflow's messages up to a sequence.
    pub(crate) fn of(&self, workflow: &WorkflowId, up_to: u64) -> impl Iterator<Item = &Logged> {
        let known = self.entries.iter().take_while(move |entry| entry.sequence <= up_to);
        known.filter(move |entry| entry.workflow == *workflow)
    }

    pub(crate) fn all(&self) -> &[Logged] {
        &self.entries
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The end of the stream vanishes; its sequences are given again.
    pub(crate) fn lose_tail(&mut self, messages: usize) -> Vec<Logged> {
        let keep = self.entries.len().saturating_sub(messages);
        let lost = self.entries.split_off(keep);
        self.last = self.entries.last().map_or(0, |entry| entry.sequence);
        lost
    }

    fn remember(&mut self, workflow: &WorkflowId, bytes: &Bytes) {
        let Ok(decision) = pb::Decision::decode(bytes.clone()) else { return };
        for event in decision.events {
            let Some(pb::event::Kind::TaskRequested(asked)) = event.kind else { continue };
            let (task, attempt) = (&asked.task_id, asked.attempt);
            let key = TaskKey::from_pb(workflow.as_str(), task, asked.direction, attempt);
            self.requested.extend(key);
        }
    }
}

/// What a server says when it refuses.
pub(crate) fn refused(code: u16, err_code: u64, description: &str) -> Answer {
    let said = json!({"code": code, "err_code": err_code, "description": description});
    match serde_json::from_value::<jetstream::Error>(said) {
        Ok(error) => Answer::Refused(error),
        Err(error) => panic!("the library spells its errors otherwise: {error}"),
    }
}

/// What a work queue holds.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// For an orchestrator.
    Mail(Box<Mail>),
    /// For a specialist.
    Task(Box<Assignment>),
}

/// A letter to the orchestrator, as it lies in the inbox or is asked.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) workflow: WorkflowId,
    pub(crate) from: SpecialistName,
    pub(crate) id: String,
    pub(crate) input: Input,
}

/// A work queue with one durable consumer that several processes share.
#[derive(Debug)]
pub(crate) struct Queue {
    ack_wait_ms: i64,
    deliveries_max: u64,
    messages: BTreeMap<u64, Waiting>,
    last: u64,
    seen: BTreeMap<String, i64>,
}

#[derive(Debug)]
struct Waiting {
    item: Item,
    deliveries: u64,
    /// Until then it is somebody's.
    until: i64,
}

impl Queue {
    /// `deliveries_max` 0: without end.
    pub(crate) fn new(ack_wait_ms: i64, deliveries_max: u64) -> Self {
        let (messages, seen) = (BTreeMap::new(), BTreeMap::new());
        Self { ack_wait_ms, deliveries_max, messages, last: 0, seen }
    }

    /// Keeps it, unless `id` was seen of late.
    pub(crate) fn publish(&mut self, item: Item, id: Option<&str>, now: i64) {
        if let Some(id) = id {
            let seen = self.seen.get(id).is_some_and(|at| now - at < DEDUPE_MS);
            if seen {
                return;
            }
            self.seen.insert(id.to_owned(), now);
        }
        self.last += 1;
        self.messages.insert(self.last, Waiting { item, deliveries: 0, until: i64::MIN });
    }

    pub(crate) fn forget_ids(&mut self) {
        self.seen.clear();
    }

    /// Everything that is nobody's now becomes somebody's: sequence, how often delivered, what.
    pub(crate) fn deliver(&mut self, now: i64) -> Vec<(u64, u64, Item)> {
        let (wait, max) = (self.ack_wait_ms, self.deliveries_max);
        let due = self
            .messages
            .iter_mut()
            .filter(|(_, waiting)| waiting.until <= now && (max == 0 || waiting.deliveries < max));
        let taken = due.map(|(sequence, waiting)| {
            waiting.until = now + wait;
            waiting.deliveries += 1;
            (*sequence, waiting.deliveries, waiting.item.clone())
        });
        taken.collect()
    }

    /// When something is nobody's again.
    pub(crate) fn next_at(&self) -> Option<i64> {
        let max = self.deliveries_max;
        let alive = self.messages.values().filter(|w| max == 0 || w.deliveries < max);
        alive.map(|waiting| waiting.until).min()
    }

    /// Whoever says so, it is gone.
    pub(crate) fn ack(&mut self, sequence: u64) {
        self.messages.remove(&sequence);
    }

    /// Whoever says so, it is still somebody's.
    pub(crate) fn progress(&mut self, sequence: u64, now: i64) {
        if let Some(waiting) = self.messages.get_mut(&sequence) {
            waiting.until = now + self.ack_wait_ms;
        }
    }

    /// Whether nothing in it will ever be delivered again.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.next_at().is_none()
    }
}
