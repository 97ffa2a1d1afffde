//! One workflow's desk: what is decided, in which order, and what has to be done about it.
//!
//! Facts come in, acts go out; the desk itself does nothing, reads no clock and draws no lots. The
//! order is always the same: decide on a copy, append the decision, make the copy the state,
//! dispatch, answer. Nothing is done that the log does not have; what was decided and not dispatched
//! is found again by reading the state. One append is under way at a time; letters wait for it.

mod acts;

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use deadelus_core::{
    Attempt, Chain, Claim, Command, Entry, Event, Input, Proposal, Status, Verdict, Workflow,
};
use deadelus_mesh::{MeshError, append::Appended};
use deadelus_proto::{News, SpecialistName, TaskKey, WorkflowId, pb};

use crate::{heard::Heard, projection};
pub use acts::{Act, Fact, Letter, Moment, Sending};

/// Letters that wait for one append: every task of the largest plan may report at once, and again.
/// More of them are left to come again.
const LETTERS_MAX: usize = 4_096;
/// How often a desk looks for tasks that nobody speaks of.
const REDRIVE_EVERY_MS: i64 = 10_000;
/// A workflow that has ended is kept in memory this long, for late letters.
const LINGER_MS: i64 = 5_000;
/// A desk says fewer words than this has numbers while it is open; each opening counts elsewhere.
const WORD_BITS: u32 = 24;
/// Between two tries to append what time alone has brought about, when the first did not succeed.
const PAUSE_AFTER_FAILURE_MS: i64 = 1_000;

/// One workflow, as one replica drives it. `T` is what the letters' bringer remembers of them.
#[derive(Debug)]
pub struct Desk<T> {
    id: WorkflowId,
    owner: Arc<str>,
    log: Chain,
    work: Work<T>,
    waiting: VecDeque<Waiting<T>>,
    heard: Heard,
    shown: Option<(&'static str, String)>,
    /// Letters that are answered once the list has what they led to: one entry per [`Act::Show`].
    unlisted: VecDeque<Vec<(T, Vec<String>)>>,
    /// What it has and wants of the slots, as was said last.
    claims: Vec<Claim>,
    /// Names that word: never the same twice in the life of a process.
    word: u64,
    /// Waits that are over, and not decided yet.
    slots: BTreeSet<(TaskKey, u64)>,
    /// When time alone changes something.
    alarm: Option<i64>,
    redrive_at: i64,
    used_at: i64,
}

/// What the desk waits for.
#[derive(Debug)]
enum Work<T> {
    Nothing,
    Log,
    Append(Box<Pending<T>>),
}

/// A letter that waits.
#[derive(Debug)]
struct Waiting<T> {
    letter: Letter<T>,
    /// The log was read since it came.
    log_is_new: bool,
}

/// A decision that the log may or may not have.
#[derive(Debug)]
struct Pending<T> {
    ticket: Option<T>,
    id: String,
    sha256: [u8; 32],
    proposal: Proposal,
    begins: bool,
}

impl<T> Desk<T> {
    /// For the owner: `orchestrator-7f3a21`. Nothing is known of the log.
    pub fn new(owner: Arc<str>, id: WorkflowId) -> Self {
        let log = Chain::new(id.clone());
        Self {
            id,
            owner,
            log,
            work: Work::Nothing,
            waiting: VecDeque::new(),
            heard: Heard::default(),
            shown: None,
            unlisted: VecDeque::new(),
            claims: vec![],
            word: 0,
            slots: BTreeSet::new(),
            alarm: None,
            redrive_at: 0,
            used_at: 0,
        }
    }

    /// What is to be done before anything else happens here. A letter that begins a workflow needs
    /// no reading: if there is one already, the append finds out.
    pub fn open(&mut self, first: Option<&Input>, at: Moment) -> Vec<Act<T>> {
        self.word = at.nonce << WORD_BITS;
        (self.used_at, self.redrive_at) = (at.unix_ms, at.unix_ms + REDRIVE_EVERY_MS);
        if matches!(first, Some(Input::Start { .. })) {
            return vec![];
        }
        self.work = Work::Log;
        vec![Act::Read(Box::new(self.log.again()))]
    }

    /// What follows from a fact.
    pub fn on(&mut self, fact: Fact<T>, at: Moment) -> Vec<Act<T>> {
        let mut acts = vec![];
        match fact {
            Fact::Letter(letter) if self.waiting.len() >= LETTERS_MAX => {
                acts.push(Act::Leave(letter.ticket));
            }
            Fact::Letter(letter) => {
                self.waiting.push_back(Waiting { letter, log_is_new: false });
            }
            Fact::Read(log) if matches!(self.work, Work::Log) => self.read(*log, &mut acts),
            // Asked for by a desk that was cleared in the meantime.
            Fact::Read(_) => {}
            Fact::Appended(outcome) => self.appended(outcome, at, &mut acts),
            Fact::Sent(key) => {
                self.heard.sent(key, at.unix_ms);
                return acts;
            }
            Fact::Beat(key) => {
                self.heard.spoken_of(key, at.unix_ms);
                return acts;
            }
            Fact::Shown(listed) => self.listed(listed, &mut acts),
            Fact::Slots(key, word) => self.has_slots(key, word),
            Fact::Reconnected => {
                let lost = self.heard.perhaps_lost(self.outstanding(), at.unix_ms);
                acts.extend(lost.into_iter().map(|key| Act::Send(key, Sending::Once)));
                return acts;
            }
            Fact::Time => self.time(at, &mut acts),
        }
        while matches!(self.work, Work::Nothing)
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.used_at = at.unix_ms;
            self.letter(waiting, at, &mut acts);
        }
        while matches!(self.work, Work::Nothing)
            && let Some((key, ticket)) = self.slots.pop_first()
        {
            self.start(key, ticket, at, &mut acts);
        }
        self.answered_when_listed(acts)
    }

    /// What a worker that has this attempt in hand is to do.
    pub fn verdict(&self, key: &TaskKey) -> pb::Verdict {
        self.log.workflow().map_or(pb::Verdict::Continue, |workflow| workflow.verdict(key).into())
    }

    /// The workflow after the last decision that counts.
    pub fn workflow(&self) -> Option<&Workflow> {
        self.log.workflow()
    }

    /// The log as far as it is known here.
    pub fn log(&self) -> &Chain {
        &self.log
    }

    /// The letter that the append under way decides, if it is one.
    pub fn in_hand(&self) -> Option<&T> {
        match &self.work {
            Work::Append(pending) => pending.ticket.as_ref(),
            Work::Nothing | Work::Log => None,
        }
    }

    /// Whether an append is under way.
    pub fn is_appending(&self) -> bool {
        matches!(self.work, Work::Append(_))
    }

    /// When [`Fact::Time`] is due, in milliseconds since the epoch.
    pub fn wake_at(&self) -> i64 {
        if !self.is_open() {
            return self.used_at + LINGER_MS;
        }
        let alarm = self.alarm.filter(|_| matches!(self.work, Work::Nothing));
        alarm.map_or(self.redrive_at, |alarm| alarm.min(self.redrive_at))
    }

    /// Whether nobody needs this desk any more.
    pub fn may_be_cleared(&self, at: Moment) -> bool {
        let idle = matches!(self.work, Work::Nothing)
            && self.waiting.is_empty()
            && self.unlisted.is_empty();
        idle && !self.is_open() && at.unix_ms >= self.used_at + LINGER_MS
    }

    /// Holds back the answers to what the list does not have yet: a workflow that no list names would
    /// be taken up by nobody.
    fn answered_when_listed(&mut self, acts: Vec<Act<T>>) -> Vec<Act<T>> {
        let mut now = Vec::with_capacity(acts.len());
        for act in acts {
            match (act, self.unlisted.back_mut()) {
                (Act::Finish(ticket, problems), Some(held)) => held.push((ticket, problems)),
                (act @ Act::Show(_), _) => {
                    self.unlisted.push_back(vec![]);
                    now.push(act);
                }
                (act, _) => now.push(act),
            }
        }
        now
    }

    fn listed(&mut self, listed: bool, acts: &mut Vec<Act<T>>) {
        for (ticket, problems) in self.unlisted.pop_front().unwrap_or_default() {
            acts.push(if listed { Act::Finish(ticket, problems) } else { Act::Leave(ticket) });
        }
        if !listed {
            // What comes again, or the next decision, shows it again.
            self.shown = None;
        }
    }

    fn read(&mut self, log: Chain, acts: &mut Vec<Act<T>>) {
        self.log = log;
        self.work = Work::Nothing;
        // Others may have had its slots since; it asks again.
        self.slots.clear();
        self.claim(true, acts);
        self.settled(acts);
        // What this desk has sent before is looked after by the re-drive.
        let unheard = self.outstanding().into_iter().filter(|key| !self.heard.knows(key));
        acts.extend(unheard.map(|key| Act::Send(key, Sending::Once)));
    }

    fn letter(&mut self, waiting: Waiting<T>, at: Moment, acts: &mut Vec<Act<T>>) {
        let letter = &waiting.letter;
        if let Some(gap) = self.log.gap() {
            let problem = format!("the log of this workflow is damaged: {gap}");
            return acts.push(Act::Finish(waiting.letter.ticket, vec![problem]));
        }
        if letter.asked && self.is_not_to_begin(&letter.input) {
            return acts.push(Act::GivenUp(waiting.letter.ticket));
        }
        let proposed = match self.may_speak(&letter.from, &letter.input) {
            Ok(()) => self.log.propose(letter.input.clone(), at.unix_ms),
            Err(reason) => {
                deadelus_mesh::meters::refused("not_its_own");
                tracing::warn!(workflow = %self.id, from = %letter.from, reason, "not its to report");
                return acts.push(Act::Finish(waiting.letter.ticket, vec![]));
            }
        };
        // What follows from an old state is found out by appending it. That nothing follows is not:
        // another replica may have gone on since the log was read here.
        let nothing = !matches!(proposed, Ok(Some(_)));
        if nothing && !waiting.log_is_new {
            self.waiting.push_front(Waiting { log_is_new: true, ..waiting });
            return self.read_again(acts);
        }
        let Letter { ticket, id, input, redelivered, .. } = waiting.letter;
        match proposed {
            Ok(Some(proposal)) => {
                let begins = matches!(input, Input::Start { .. });
                let entry = self.entry(&proposal, id, at);
                self.append(Some(ticket), proposal, begins, entry, acts);
            }
            Ok(None) => {
                if redelivered {
                    let all = self.outstanding().into_iter();
                    acts.extend(all.map(|key| Act::Send(key, Sending::Once)));
                }
                acts.push(Act::Finish(ticket, vec![]));
            }
            Err(refusal) => acts.push(Act::Finish(ticket, vec![refusal.to_string()])),
        }
    }

    fn append(
        &mut self,
        ticket: Option<T>,
        proposal: Proposal,
        begins: bool,
        entry: Entry,
        acts: &mut Vec<Act<T>>,
    ) {
        let (id, sha256) = (entry.id.clone(), entry.sha256);
        acts.push(Act::Append { entry, expected: self.log.last_sequence() });
        self.work = Work::Append(Box::new(Pending { ticket, id, sha256, proposal, begins }));
    }

    /// The proposal as the log is to have it.
    fn entry(&self, proposal: &Proposal, cause: String, at: Moment) -> Entry {
        let (id, owner) = (self.name(at), self.owner.to_string());
        let (decided, events) = (proposal.at_unix_ms(), proposal.events().to_vec());
        self.log.next(id, owner, cause, decided, events)
    }

    fn appended(
        &mut self,
        outcome: Result<Appended, MeshError>,
        at: Moment,
        acts: &mut Vec<Act<T>>,
    ) {
        let Work::Append(pending) = std::mem::replace(&mut self.work, Work::Nothing) else {
            return;
        };
        let Pending { ticket, id, sha256, proposal, begins } = *pending;
        match outcome {
            Ok(Appended::At(sequence)) => {
                self.adopt(sequence, id, sha256, proposal, at, acts);
                acts.extend(ticket.map(|ticket| Act::Finish(ticket, vec![])));
            }
            Ok(Appended::Lost) => {
                self.read_again(acts);
                acts.extend(ticket.map(Act::Again));
            }
            Err(error) => {
                tracing::warn!(workflow = %self.id, %error, "could not append");
                self.read_again(acts);
                self.alarm = self.alarm.map(|_| at.unix_ms + PAUSE_AFTER_FAILURE_MS);
                let no_room = matches!(error, MeshError::Full { .. } | MeshError::TooLarge { .. });
                acts.extend(ticket.map(|ticket| {
                    // What could not begin has not half begun: its sender gets to know.
                    if begins && no_room {
                        Act::Finish(ticket, vec![error.to_string()])
                    } else {
                        Act::Leave(ticket)
                    }
                }));
            }
        }
    }

    /// The decision is true: tell of it, show it, and do what it asks for.
    fn adopt(
        &mut self,
        sequence: u64,
        id: String,
        sha256: [u8; 32],
        proposal: Proposal,
        at: Moment,
        acts: &mut Vec<Act<T>>,
    ) {
        let was_stuck = self.log.workflow().is_some_and(|w| w.status() == Status::Stuck);
        let events = self.log.adopt(sequence, id, sha256, proposal);
        self.settled(acts);
        if let Some(workflow) = self.log.workflow() {
            for key in events.iter().filter_map(|event| requested(workflow, event)) {
                self.heard.handed_over(key.clone(), at.unix_ms);
                acts.push(Act::Send(key, Sending::First));
            }
        }
        acts.push(Act::Tell { events, was_stuck });
    }

    /// The state is another one.
    fn settled(&mut self, acts: &mut Vec<Act<T>>) {
        self.alarm = self.log.wakes_at();
        self.claim(false, acts);
        let noticed = projection::noticed(&self.log);
        if noticed.is_some() && self.shown != noticed {
            self.shown = noticed;
            acts.extend(projection::summary(&self.id, &self.log).map(Act::Show));
        }
    }

    /// What it has and wants of the slots follows from the state alone.
    fn claim(&mut self, again: bool, acts: &mut Vec<Act<T>>) {
        let whole = self.log.workflow().filter(|_| self.log.gap().is_none());
        let claims = whole.map(Workflow::claims).unwrap_or_default();
        if claims == self.claims && (!again || claims.is_empty()) {
            return;
        }
        self.slots.retain(|(key, ticket)| waits(&claims, key, *ticket));
        self.claims.clone_from(&claims);
        self.word += 1;
        acts.push(Act::Claim(self.word, claims));
    }

    /// Who has said another word since has perhaps given them back in between.
    fn has_slots(&mut self, key: TaskKey, word: u64) {
        let claim = self.claims.iter().find(|claim| claim.key == key && word == self.word);
        if let Some(ticket) = claim.and_then(|claim| claim.ticket) {
            self.slots.insert((key, ticket));
        }
    }

    fn start(&mut self, key: TaskKey, ticket: u64, at: Moment, acts: &mut Vec<Act<T>>) {
        let TaskKey { task, direction, attempt: number, .. } = key;
        let attempt = Attempt { task, direction, number };
        let held = Input::SlotsHeld { attempt, ticket };
        if let Ok(Some(proposal)) = self.log.propose(held, at.unix_ms) {
            let entry = self.entry(&proposal, "slots".to_owned(), at);
            self.append(None, proposal, false, entry, acts);
        }
    }

    fn read_again(&mut self, acts: &mut Vec<Act<T>>) {
        self.work = Work::Log;
        acts.push(Act::Read(Box::new(self.log.again())));
    }

    fn time(&mut self, at: Moment, acts: &mut Vec<Act<T>>) {
        if !self.is_open() || !matches!(self.work, Work::Nothing) {
            // Nothing is left to do but to hear of what is under way.
            self.used_at = at.unix_ms;
            self.redrive_at = at.unix_ms + REDRIVE_EVERY_MS;
            return;
        }
        if at.unix_ms >= self.redrive_at {
            self.redrive_at = at.unix_ms + REDRIVE_EVERY_MS;
            self.redrive(at, acts);
        }
        if self.alarm.is_some_and(|alarm| alarm <= at.unix_ms) {
            self.tick(at, acts);
        }
    }

    fn tick(&mut self, at: Moment, acts: &mut Vec<Act<T>>) {
        match self.log.propose(Input::Tick, at.unix_ms) {
            Ok(Some(proposal)) => {
                let entry = self.entry(&proposal, "timer".to_owned(), at);
                self.append(None, proposal, false, entry, acts);
            }
            // The clock was a little early.
            Ok(None) | Err(_) => self.alarm = Some(at.unix_ms + PAUSE_AFTER_FAILURE_MS),
        }
    }

    /// Sends again what nobody has spoken of for long: no lost message can hang a workflow.
    fn redrive(&mut self, at: Moment, acts: &mut Vec<Act<T>>) {
        let in_flight = self.outstanding();
        let silent = self.heard.silent(in_flight, at.unix_ms);
        if !silent.is_empty() {
            tracing::info!(workflow = %self.id, tasks = silent.len(), "sent again: nobody spoke of them");
            deadelus_mesh::meters::redriven(silent.len());
            acts.extend(silent.into_iter().map(|key| Act::Send(key, Sending::Again)));
        }
    }

    /// Whether an effect is about to begin that nobody waits for any more: a second copy of an
    /// assignment whose first has failed, or one that is being called off. Others may have its locks.
    fn is_not_to_begin(&self, input: &Input) -> bool {
        let (Input::Report(report), Some(workflow)) = (input, self.log.workflow()) else {
            return false;
        };
        let begins = matches!(report.news, News::UndoRecorded(_));
        begins && workflow.verdict(&report.key) != Verdict::Continue
    }

    /// A specialist reports its own tasks only.
    fn may_speak(&self, from: &SpecialistName, input: &Input) -> Result<(), String> {
        let (Input::Report(report), Some(workflow)) = (input, self.log.workflow()) else {
            return Ok(());
        };
        match workflow.plan().task(&report.key.task) {
            Some(task) if task.does.specialist() == from => Ok(()),
            Some(task) => Err(format!("{} belongs to {}", task.id, task.does.specialist())),
            None => Err(format!("there is no task {}", report.key.task)),
        }
    }

    fn outstanding(&self) -> Vec<TaskKey> {
        self.log.outstanding().into_iter().filter_map(dispatched).collect()
    }

    fn is_open(&self) -> bool {
        let ended = |workflow: &Workflow| workflow.ended().is_some();
        !matches!(self.work, Work::Nothing) || self.log.workflow().is_some_and(|w| !ended(w))
    }

    fn name(&self, at: Moment) -> String {
        format!("{}-{:x}", self.owner, at.nonce)
    }
}

fn waits(claims: &[Claim], key: &TaskKey, ticket: u64) -> bool {
    claims.iter().any(|claim| claim.key == *key && claim.ticket == Some(ticket))
}

fn requested(workflow: &Workflow, event: &Event) -> Option<TaskKey> {
    let Event::TaskRequested { attempt, .. } = event else { return None };
    Some(workflow.key(attempt.clone()))
}

fn dispatched(command: Command) -> Option<TaskKey> {
    match command {
        Command::Dispatch(key) => Some(key),
        Command::WakeAt(_) => None,
    }
}
