//! The log of one workflow as it was decided: every event that counts, with its moment. Pure; it
//! works on bytes that were read, so `show`, `why`, `trace` and `report` need no orchestrator.

use deadelus_core::{Chain, Event, Keeping, Link, Workflow};
use deadelus_proto::{Artefact, Sha256, WorkflowId, pb};
use prost::Message;

use crate::ViewError;

/// The events of a workflow and their fold.
#[derive(Debug, Clone)]
pub struct History {
    id: WorkflowId,
    chain: Chain,
    entries: Vec<Entry>,
    alarms: Vec<String>,
    messages: usize,
    unlinked: usize,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it was decided, in milliseconds since the epoch.
    pub at_unix_ms: i64,
    /// The orchestrator replica that decided.
    pub owner: String,
    /// What happened.
    pub event: Event,
}

impl History {
    /// Of a workflow of which nothing was read.
    pub fn new(id: WorkflowId) -> Self {
        let chain = Chain::new(id.clone());
        Self { id, chain, entries: vec![], alarms: vec![], messages: 0, unlinked: 0 }
    }

    /// Takes in the next message of the workflow's subject.
    ///
    /// # Errors
    /// [`ViewError::Log`] when the message is none of ours.
    pub fn read(&mut self, sequence: u64, bytes: &[u8]) -> Result<(), ViewError> {
        let unreadable =
            |problem: String| ViewError::Log { workflow: self.id.to_string(), problem };
        match self.chain.read(sequence, bytes) {
            Link::Accepted => self.messages += 1,
            Link::Known => return Ok(()),
            Link::Ignored(alarm) => {
                self.alarms.push(alarm.to_string());
                return Ok(());
            }
            Link::NeedsReconcile(gap) => {
                self.alarms.push(deadelus_mesh::chain(&gap));
                return Ok(());
            }
        }
        let decision = pb::Decision::decode(bytes).map_err(|e| unreadable(e.to_string()))?;
        if self.messages > 1 && decision.previous_sha256.is_empty() {
            self.unlinked += 1;
        }
        for event in decision.events {
            let event = Event::try_from(event).map_err(|e| unreadable(e.to_string()))?;
            let (at_unix_ms, owner) = (decision.decided_unix_ms, decision.owner.clone());
            self.entries.push(Entry { at_unix_ms, owner, event });
        }
        Ok(())
    }

    /// Its id.
    pub fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// The state after the last event; `None` before the first.
    pub fn workflow(&self) -> Option<&Workflow> {
        self.chain.workflow()
    }

    /// The same of a log that must have begun.
    ///
    /// # Errors
    /// [`ViewError::Log`] with what is wrong with it.
    pub fn accepted(&self) -> Result<&Workflow, ViewError> {
        self.workflow().ok_or_else(|| ViewError::Log {
            workflow: self.id.to_string(),
            problem: self.alarms.join("; "),
        })
    }

    /// Every event that counts, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The decisions that count.
    pub fn decisions(&self) -> usize {
        self.messages
    }

    /// Of these, those that do not carry the hash of the one before: an older version wrote them.
    pub fn unlinked(&self) -> usize {
        self.unlinked
    }

    /// The hash that the next decision will carry; none before the first.
    pub fn head(&self) -> Option<Sha256> {
        self.chain.head()
    }

    /// The object that all but the last decision are kept in; none while they are in the log.
    pub fn archive(&self) -> Option<&Artefact> {
        match self.chain.keeping() {
            Keeping::Archived { archive, .. } => Some(archive),
            Keeping::Log | Keeping::Forgotten { .. } => None,
        }
    }

    /// Whether there was such a workflow once.
    pub fn is_forgotten(&self) -> bool {
        matches!(self.chain.keeping(), Keeping::Forgotten { .. })
    }

    /// Where the log cannot be gone on from, and why.
    pub fn damage(&self) -> Option<String> {
        self.chain.gap().map(|gap| deadelus_mesh::chain(gap))
    }

    /// Sequence of the last message read, 0 for none.
    pub fn last_sequence(&self) -> u64 {
        self.chain.last_sequence()
    }

    /// Messages that do not count, and why, in sentences; empty in a sound log.
    pub fn alarms(&self) -> &[String] {
        &self.alarms
    }

    /// Whether the log is damaged, so that nothing is done any more.
    pub fn needs_reconcile(&self) -> bool {
        self.chain.gap().is_some()
    }
}
