//! Reads the log of one workflow: which decisions count, and where it can go on.
//!
//! Every reader of the same messages comes to the same answer. A decision counts if it builds on
//! the last one that counted. Of two that build on the same one the first counts, and somebody must
//! hear of it. A decision that builds on something the log does not hold means that an acknowledged
//! message vanished; from there on nothing is done any more.
//!
//! A decision after the end may say that those before it are kept elsewhere, or nowhere any more; it
//! has a place in the log like any other, so nothing can begin anew where they were.
//!
//! Each decision also carries the hash of the one it builds on, so that a log which somebody changed
//! afterwards shows it, wherever it is read.

use std::collections::BTreeSet;

use deadelus_proto::{Artefact, Malformed, Sha256, WorkflowId, pb};
use prost::Message;
use sha2::{Digest, Sha256 as Hasher};

use crate::{
    command::Command,
    decide::{Draft, Input, Refusal, draft},
    event::Event,
    workflow::{Impossible, Workflow},
};

/// The log of one workflow as far as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    id: WorkflowId,
    workflow: Option<Workflow>,
    accepted: u64,
    last: u64,
    last_id: String,
    /// Of the bytes of the last decision that counts; none before the first.
    head: Option<[u8; 32]>,
    ignored: BTreeSet<u64>,
    gap: Option<Gap>,
    /// A decision that is known to have counted and that was not read yet.
    missing: Option<(u64, String)>,
    keeping: Keeping,
}

/// Where a log's decisions are kept, as its last decision says.
#[derive(Debug, Clone, PartialEq)]
pub enum Keeping {
    /// In the log: the last decision is an ordinary one, or there is none.
    Log,
    /// All but the last one, which is at this sequence, are in an object.
    Archived {
        /// An `ExportedLog`.
        archive: Box<Artefact>,
        /// Messages below it may be gone.
        sequence: u64,
    },
    /// Nowhere: there is no such workflow.
    Forgotten {
        /// Of the last decision, which said so.
        sequence: u64,
        /// When, in milliseconds since the epoch.
        at_unix_ms: i64,
    },
}

/// A decision that the log does not have yet, and the state it leads to.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "what is not appended has not happened"]
pub struct Proposal {
    workflow: Workflow,
    events: Vec<Event>,
    at_unix_ms: i64,
}

impl Proposal {
    /// What happens.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// When it was decided, in milliseconds since the epoch.
    pub fn at_unix_ms(&self) -> i64 {
        self.at_unix_ms
    }
}

/// A decision as it is to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "what is not appended has not happened"]
pub struct Entry {
    /// The decision's id.
    pub id: String,
    /// The decision. On an unknown outcome these very bytes are appended again.
    pub bytes: Vec<u8>,
    /// Of the bytes: what the next decision will carry.
    pub sha256: [u8; 32],
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "an alarm or a gap must be told"]
pub enum Link {
    /// It counts.
    Accepted,
    /// It was read before.
    Known,
    /// It does not count. Raise an alarm: two owners wrote at once and the server let both.
    Ignored(Alarm),
    /// The log is damaged here; nothing more is dispatched before a person has looked.
    NeedsReconcile(Gap),
}

/// Two decisions built on the same one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("decision {id} of {owner} at {sequence} builds on {builds_on}, but {counts} counts")]
pub struct Alarm {
    /// The decision that does not count.
    pub id: String,
    /// The replica that wrote it.
    pub owner: String,
    /// Where it stands in the stream.
    pub sequence: u64,
    /// What it builds on.
    pub builds_on: u64,
    /// The sequence of the last decision that counts.
    pub counts: u64,
}

/// Why a log cannot be continued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Gap {
    #[error(
        "message {sequence} builds on {builds_on}, which the log does not hold: an acknowledged decision vanished"
    )]
    Vanished { sequence: u64, builds_on: u64 },
    #[error(
        "decision {id} was acknowledged at {sequence}, and the log, which ends at {last}, does not hold it"
    )]
    Lost { sequence: u64, id: String, last: u64 },
    #[error("message {sequence} begins with event {found}, but event {expected} is next")]
    EventNumber { sequence: u64, found: u64, expected: u64 },
    #[error("message {sequence} is of workflow {workflow:?}")]
    OtherWorkflow { sequence: u64, workflow: String },
    #[error("message {sequence} does not follow from the one before it: the log was changed")]
    Changed { sequence: u64 },
    #[error("message {sequence} cannot be read")]
    Malformed { sequence: u64, source: Malformed },
    #[error("message {sequence} cannot follow")]
    Impossible { sequence: u64, source: Impossible },
}

impl Gap {
    fn malformed(sequence: u64, problem: impl ToString) -> Self {
        let source = Malformed { field: "decision", problem: problem.to_string() };
        Self::Malformed { sequence, source }
    }
}

/// What a decision about keeping answers.
const RETENTION: &str = "retention";

fn entry(decision: pb::Decision) -> Entry {
    let bytes = decision.encode_to_vec();
    Entry { id: decision.id, sha256: sha256(&bytes), bytes }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Hasher::digest(bytes).into()
}

impl Chain {
    /// An empty log.
    pub fn new(id: WorkflowId) -> Self {
        let (ignored, last_id) = (BTreeSet::new(), String::new());
        Self {
            id,
            workflow: None,
            accepted: 0,
            last: 0,
            last_id,
            head: None,
            ignored,
            gap: None,
            missing: None,
            keeping: Keeping::Log,
        }
    }

    /// An empty one, to read the same log again: it has to find the last decision that counted here.
    pub fn again(&self) -> Self {
        let missing = (self.accepted > 0).then(|| (self.accepted, self.last_id.clone()));
        Self { missing, ..Self::new(self.id.clone()) }
    }

    /// Whose log it is.
    pub fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// Whether a decision that counted before was not found, so far. Who answered the read may be
    /// behind: read again, and after a while [`give_up`](Self::give_up).
    pub fn lacks(&self) -> bool {
        self.missing.is_some()
    }

    /// What was not found has vanished: from here on nothing is done any more.
    pub fn give_up(&mut self) {
        if let (Some((sequence, id)), None) = (self.missing.take(), &self.gap) {
            self.gap = Some(Gap::Lost { sequence, id, last: self.last });
        }
    }

    /// Reads the next message of the workflow's subject, in the order of the stream. Bytes that are
    /// no decision may have been one that was acknowledged: from there on nothing is done any more.
    pub fn read(&mut self, sequence: u64, bytes: &[u8]) -> Link {
        if let Some(gap) = &self.gap {
            return Link::NeedsReconcile(gap.clone());
        }
        if sequence <= self.last {
            return Link::Known;
        }
        self.last = sequence;
        let decision = match pb::Decision::decode(bytes) {
            Ok(decision) => decision,
            Err(problem) => return self.damaged(Gap::malformed(sequence, problem)),
        };
        if decision.builds_on < self.accepted || self.ignored.contains(&decision.builds_on) {
            self.ignored.insert(sequence);
            return Link::Ignored(Alarm {
                id: decision.id,
                owner: decision.owner,
                sequence,
                builds_on: decision.builds_on,
                counts: self.accepted,
            });
        }
        // Alone in its log, or on top of the decision that archived.
        if decision.forgotten && [0, decision.builds_on].contains(&self.accepted) {
            self.forgotten(sequence, decision.decided_unix_ms);
            return Link::Accepted;
        }
        match self.accept(sequence, decision) {
            Ok(()) => {
                self.head = Some(sha256(bytes));
                Link::Accepted
            }
            Err(gap) => self.damaged(gap),
        }
    }

    /// What was before is gone on purpose, wherever it was; the next decision begins anew.
    fn forgotten(&mut self, sequence: u64, at_unix_ms: i64) {
        let keeping = Keeping::Forgotten { sequence, at_unix_ms };
        *self = Self { last: sequence, keeping, ..Self::new(self.id.clone()) };
    }

    fn damaged(&mut self, gap: Gap) -> Link {
        self.gap = Some(gap.clone());
        Link::NeedsReconcile(gap)
    }

    /// The workflow after the last decision that counts.
    pub fn workflow(&self) -> Option<&Workflow> {
        self.workflow.as_ref()
    }

    /// Why nothing may be done any more, if so.
    pub fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// What is still to be done; nothing when the log is damaged.
    pub fn outstanding(&self) -> Vec<Command> {
        match (&self.gap, &self.workflow) {
            (None, Some(workflow)) => workflow.outstanding(),
            (Some(_), _) | (None, None) => Vec::new(),
        }
    }

    /// When time alone changes something; never, when the log is damaged.
    pub fn wakes_at(&self) -> Option<i64> {
        let whole = self.workflow.as_ref().filter(|_| self.gap.is_none());
        whole.and_then(Workflow::wakes_at)
    }

    /// The last message read, counting or not: what a compare-and-append must expect.
    pub fn last_sequence(&self) -> u64 {
        self.last
    }

    /// The id of the last decision that counts; empty before the first.
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// SHA-256 of the bytes of the last decision that counts; none before the first. Whoever keeps it
    /// elsewhere can tell later that nothing before it was changed.
    pub fn head(&self) -> Option<Sha256> {
        self.head.map(Sha256::from_bytes)
    }

    /// What an input leads to from here; none when it is no news.
    ///
    /// # Errors
    /// [`Refusal`] when the input is not acceptable now.
    pub fn propose(&self, input: Input, now_ms: i64) -> Result<Option<Proposal>, Refusal> {
        let Draft { workflow, events, at_unix_ms } = draft(self.workflow(), input, now_ms)?;
        let news = !events.is_empty();
        Ok(news.then_some(Proposal { workflow, events, at_unix_ms }))
    }

    /// The decision to append next, encoded and hashed once. After its acknowledgement
    /// [`adopt`](Self::adopt) what it was made of, or [`read`](Self::read) it back.
    pub fn next(
        &self,
        id: String,
        owner: String,
        cause: String,
        at_unix_ms: i64,
        events: Vec<Event>,
    ) -> Entry {
        let events = events.into_iter().map(Into::into).collect();
        entry(pb::Decision { events, ..self.blank(id, owner, cause, at_unix_ms) })
    }

    /// The decision that says where those before it are kept from now on: what follows builds on it,
    /// so nothing begins anew where their messages are gone. None before the end, and for a log that
    /// is damaged.
    pub fn archive(
        &self,
        id: String,
        owner: String,
        at_unix_ms: i64,
        archive: Artefact,
    ) -> Option<Entry> {
        let over = self.workflow().is_some_and(|workflow| workflow.ended().is_some());
        let archived = Some(archive.into());
        let blank = || self.blank(id, owner, RETENTION.to_owned(), at_unix_ms);
        (over && self.gap.is_none()).then(|| entry(pb::Decision { archived, ..blank() }))
    }

    /// The decision after which there is no such workflow; none unless it is archived.
    pub fn forget(&self, id: String, owner: String, at_unix_ms: i64) -> Option<Entry> {
        let archived = matches!(self.keeping, Keeping::Archived { .. }) && self.gap.is_none();
        let blank = || self.blank(id, owner, RETENTION.to_owned(), at_unix_ms);
        archived.then(|| entry(pb::Decision { forgotten: true, ..blank() }))
    }

    /// Where the decisions are, as the last one says.
    pub fn keeping(&self) -> &Keeping {
        &self.keeping
    }

    /// The next decision, as yet without content.
    fn blank(&self, id: String, owner: String, cause: String, at_unix_ms: i64) -> pb::Decision {
        pb::Decision {
            id,
            workflow_id: self.id.to_string(),
            first_event_no: self.next_event_no(),
            builds_on: self.accepted,
            owner,
            cause,
            decided_unix_ms: at_unix_ms,
            previous_sha256: self.head.map(|head| head.to_vec().into()).unwrap_or_default(),
            ..pb::Decision::default()
        }
    }

    /// The log has the proposal's decision at this sequence: what it led to is the state now, as
    /// [`read`](Self::read) would find it. Its events, for whoever tells of them.
    pub fn adopt(
        &mut self,
        sequence: u64,
        id: String,
        sha256: [u8; 32],
        proposal: Proposal,
    ) -> Vec<Event> {
        self.workflow = Some(proposal.workflow);
        self.last = sequence;
        self.accepted = sequence;
        self.last_id = id;
        self.head = Some(sha256);
        self.keeping = Keeping::Log;
        proposal.events
    }

    fn next_event_no(&self) -> u64 {
        self.workflow.as_ref().map_or(0, Workflow::events) + 1
    }

    fn accept(&mut self, sequence: u64, decision: pb::Decision) -> Result<(), Gap> {
        if decision.workflow_id != self.id.as_str() {
            return Err(Gap::OtherWorkflow { sequence, workflow: decision.workflow_id });
        }
        if decision.builds_on != self.accepted {
            return Err(Gap::Vanished { sequence, builds_on: decision.builds_on });
        }
        let (found, expected) = (decision.first_event_no, self.next_event_no());
        if found != expected {
            return Err(Gap::EventNumber { sequence, found, expected });
        }
        // What an older version wrote carries none.
        let previous = &decision.previous_sha256;
        let expected = self.head.as_ref().map(<[u8; 32]>::as_slice);
        if !previous.is_empty() && expected != Some(&**previous) {
            return Err(Gap::Changed { sequence });
        }
        let malformed = |source| Gap::Malformed { sequence, source };
        let archived = decision.archived.map(Artefact::try_from).transpose().map_err(malformed)?;
        let events: Result<Vec<Event>, _> =
            decision.events.into_iter().map(Event::try_from).collect();
        let events = events.map_err(malformed)?;
        let folded = self.fold(&events, decision.decided_unix_ms);
        self.workflow = folded.map_err(|source| Gap::Impossible { sequence, source })?;
        self.accepted = sequence;
        self.last_id = decision.id;
        self.keeping = archived
            .map_or(Keeping::Log, |it| Keeping::Archived { archive: Box::new(it), sequence });
        if self.missing.as_ref().is_some_and(|(at, id)| (*at, id) == (sequence, &self.last_id)) {
            self.missing = None;
        }
        Ok(())
    }

    fn fold(&self, events: &[Event], at: i64) -> Result<Option<Workflow>, Impossible> {
        let mut state = self.workflow.clone();
        for event in events {
            match &mut state {
                Some(workflow) => workflow.apply(event, at)?,
                None => state = Some(Workflow::begin(self.id.clone(), event, at)?),
            }
        }
        Ok(state)
    }
}
