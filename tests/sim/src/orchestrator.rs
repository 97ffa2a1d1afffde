//! A replica of the orchestrator: real desks, real appends, and a shell that carries out their acts
//! in the same order as `orchestrator/src/shard.rs` does. Nothing is decided here.

use std::{collections::BTreeMap, sync::Arc};

use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use deadelus_core::{Chain, Claim, Entry, Input, Slot};
use deadelus_mesh::{
    MeshError,
    append::{APPEND_MAX, Append, DECISION_HEADER, Next},
    pipeline::{Answer, PUB_ACK_MAX},
};
use deadelus_orchestrator::{
    desk::{Act, Desk, Fact, Letter, Moment as At, Sending},
    slots::Table,
};
use deadelus_proto::{TaskKey, WorkflowId};

use crate::{
    bus::{Item, Mail},
    plans::SPECIALISTS,
    world::{Arrival, ForSlots, Moment, Place, ReplyTo, Request, Said, Who, World},
};

/// Races lost in a row before a letter is left to come again; as in the real shell.
const RACES_MAX: u32 = 16;
/// Between two looks at a log that cannot be read; as in the real shell.
const READ_PAUSE_MS: i64 = 1_000;
/// As often as the real keeper looks at who waits.
const LOOK_AT_SLOTS_MS: i64 = 2_000;
/// Looks for what is known to be there, before it has vanished; as in the real shell.
const LOOKS_MAX: u32 = 15;

/// One process.
#[derive(Debug)]
pub(crate) struct Replica {
    owner: Arc<str>,
    nonce: u64,
    tokens: u64,
    seats: BTreeMap<WorkflowId, Seat>,
    asked: BTreeMap<u64, Asked>,
    /// What its workflows have and want of the slots, each with the word that said so.
    claims: BTreeMap<WorkflowId, (u64, Vec<Claim>)>,
}

#[derive(Debug)]
struct Seat {
    desk: Desk<Ticket>,
    append: Option<Flight>,
    timer: Option<i64>,
}

/// An append under way.
#[derive(Debug)]
struct Flight {
    id: String,
    append: Append,
    begun: i64,
}

/// How a letter came, for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    delivery: Delivery,
    mail: Mail,
    redelivered: bool,
    races: u32,
}

#[derive(Debug, Clone)]
enum Delivery {
    Stored(u64),
    Asked(ReplyTo),
}

/// What was asked of the server.
#[derive(Debug)]
enum Asked {
    Append(WorkflowId),
    Winner(WorkflowId),
    /// Into this, for the how-manieth time.
    Read(Box<Chain>, u32),
    Send(TaskKey),
    Show(WorkflowId),
    Slots(u64, Claim),
    Tables,
    /// Whether somebody has any use for a slot.
    Use(Box<Chain>, Slot, u64, TaskKey),
    Open,
}

impl Replica {
    pub(crate) fn new(at: usize, life: u32) -> Self {
        let owner = format!("orchestrator-{at}{life:x}").into();
        let (seats, asked, claims) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { owner, nonce: 0, tokens: 0, seats, asked, claims }
    }

    /// The newest message of the workflow's log that it knows; none when it has no desk for it.
    pub(crate) fn knows(&self, workflow: &WorkflowId) -> Option<u64> {
        self.seats.get(workflow).map(|seat| seat.desk.log().last_sequence())
    }
}

impl World {
    pub(crate) fn orchestrator_hears(&mut self, at: usize, what: Arrival) {
        match what {
            Arrival::Delivered(_, sequence, deliveries, item) => {
                if let Item::Mail(mail) = *item {
                    let (delivery, mail) = (Delivery::Stored(sequence), *mail);
                    let redelivered = deliveries > 1;
                    self.letter(at, Ticket { delivery, mail, redelivered, races: 0 });
                }
            }
            Arrival::Asked(mail, reply) => {
                let (delivery, mail) = (Delivery::Asked(reply), *mail);
                self.letter(at, Ticket { delivery, mail, redelivered: false, races: 0 });
            }
            Arrival::Said(token, said) => {
                if let Some(asked) = self.orchestrators[at].asked.remove(&token) {
                    self.said(at, asked, said);
                }
            }
            Arrival::Beat(key, reply) => self.beat(at, &key, reply),
            Arrival::Moment(moment) => self.orchestrator_moment(at, moment),
            Arrival::Told(..) | Arrival::Verdict(..) => {}
        }
    }

    fn orchestrator_moment(&mut self, at: usize, moment: Moment) {
        match moment {
            Moment::Begin => {
                self.ask_as(at, Asked::Open, Request::Open);
                self.moment(Who::Orchestrator(at), LOOK_AT_SLOTS_MS, Moment::LookAtSlots);
            }
            Moment::LookAtSlots => self.look_at_slots(at),
            Moment::HandIn(ticket) => self.letter(at, *ticket),
            Moment::Expired(token) => {
                if let Some(asked) = self.orchestrators[at].asked.remove(&token) {
                    self.silence(at, asked);
                }
            }
            Moment::AppendAgain(workflow, id) => self.append_again(at, &workflow, &id),
            Moment::ReadAgain(empty, looks) => self.read_log(at, empty, looks),
            Moment::Timer(workflow, due) => self.timer(at, &workflow, due),
            Moment::Step(_)
            | Moment::AskOver(..)
            | Moment::StoreAgain(..)
            | Moment::KeepAlive(_) => {}
        }
    }

    fn said(&mut self, at: usize, asked: Asked, said: Said) {
        match (asked, said) {
            (Asked::Append(workflow), Said::Answer(answer)) => {
                self.append_answered(at, &workflow, answer);
            }
            (Asked::Winner(workflow), Said::Found(found)) => {
                let flight = self.flight(at, &workflow);
                let next = flight.map(|flight| flight.append.looked_up(Ok(found)));
                self.append_next(at, &workflow, next);
            }
            (Asked::Read(empty, looks), Said::Log(log)) => {
                let (workflow, mut chain) = (empty.id().clone(), empty.clone());
                for (sequence, bytes) in log {
                    let _link = chain.read(sequence, &bytes);
                }
                if chain.lacks() && looks < LOOKS_MAX {
                    let again = Moment::ReadAgain(empty, looks + 1);
                    return self.moment(Who::Orchestrator(at), READ_PAUSE_MS, again);
                }
                chain.give_up();
                self.fact(at, &workflow, Fact::Read(chain));
            }
            (Asked::Send(key), Said::Answer(Answer::Stored(_))) => {
                let workflow = key.workflow.clone();
                self.fact(at, &workflow, Fact::Sent(key));
            }
            (Asked::Open, Said::Open(open)) => {
                open.iter().for_each(|workflow| self.take_seat(at, workflow, None));
            }
            (Asked::Show(workflow), Said::Answer(Answer::Stored(_))) => {
                self.fact(at, &workflow, Fact::Shown(true));
            }
            (Asked::Slots(word, claim), Said::Slots(true)) if claim.ticket.is_some() => {
                let workflow = claim.key.workflow.clone();
                self.fact(at, &workflow, Fact::Slots(claim.key, word));
            }
            (Asked::Slots(..), _) => {}
            (Asked::Tables, Said::Tables(all)) => self.who_has_no_use(at, all),
            (Asked::Use(mut chain, slot, revision, key), Said::Log(log)) => {
                for (sequence, bytes) in log {
                    let _link = chain.read(sequence, &bytes);
                }
                let sound = chain.gap().is_none();
                if sound && chain.workflow().is_none_or(|workflow| workflow.is_done_with(&key)) {
                    let what = Request::Slots(ForSlots::PutOut { slot, revision, key });
                    self.ask(Who::Orchestrator(at), 0, what);
                }
            }
            (Asked::Send(_), _) => {}
            (
                Asked::Append(_)
                | Asked::Winner(_)
                | Asked::Read(..)
                | Asked::Show(_)
                | Asked::Tables
                | Asked::Use(..)
                | Asked::Open,
                said,
            ) => {
                self.wrong(format!("the simulation answers what was not asked: {said:?}"));
            }
        }
    }

    /// Nobody answered in time.
    fn silence(&mut self, at: usize, asked: Asked) {
        match asked {
            Asked::Append(workflow) => {
                self.append_answered(at, &workflow, Answer::Silence("no answer".into()));
            }
            Asked::Winner(workflow) => {
                let (what, waited) = ("look up".to_owned(), PUB_ACK_MAX);
                let flight = self.flight(at, &workflow);
                let next = flight.map(|flight| {
                    flight.append.looked_up(Err(MeshError::TimedOut { what, waited }))
                });
                self.append_next(at, &workflow, next);
            }
            Asked::Read(empty, looks) => {
                let again = Moment::ReadAgain(empty, looks);
                self.moment(Who::Orchestrator(at), READ_PAUSE_MS, again);
            }
            // A process that cannot begin is begun again.
            Asked::Open => self.ask_as(at, Asked::Open, Request::Open),
            Asked::Show(workflow) => {
                self.lines_lost += 1;
                self.fact(at, &workflow, Fact::Shown(false));
            }
            Asked::Send(_) | Asked::Slots(..) | Asked::Tables | Asked::Use(..) => {}
        }
    }

    fn letter(&mut self, at: usize, ticket: Ticket) {
        let mail = ticket.mail.clone();
        self.say(|| format!("orchestrator {at}: gets {}", mail.id));
        self.take_seat(at, &mail.workflow, Some(&mail.input));
        let Mail { workflow, from, id, input } = mail;
        let redelivered = ticket.redelivered;
        let asked = matches!(ticket.delivery, Delivery::Asked(_));
        let letter = Letter { ticket, from, id, input, redelivered, asked };
        self.fact(at, &workflow, Fact::Letter(letter));
    }

    fn take_seat(&mut self, at: usize, workflow: &WorkflowId, first: Option<&Input>) {
        if self.orchestrators[at].seats.contains_key(workflow) {
            return;
        }
        let now = self.moment_of(at);
        let replica = &mut self.orchestrators[at];
        let mut desk = Desk::new(Arc::clone(&replica.owner), workflow.clone());
        let acts = desk.open(first, now);
        replica.seats.insert(workflow.clone(), Seat { desk, append: None, timer: None });
        self.carry_out(at, workflow, acts);
    }

    fn fact(&mut self, at: usize, workflow: &WorkflowId, fact: Fact<Ticket>) {
        let now = self.moment_of(at);
        let Some(seat) = self.orchestrators[at].seats.get_mut(workflow) else { return };
        let acts = seat.desk.on(fact, now);
        let damaged = seat.desk.log().gap().map(ToString::to_string);
        if let Some(gap) = damaged {
            self.say(|| format!("orchestrator {at}: {workflow} needs reconcile: {gap}"));
            self.known_damaged.insert(workflow.clone());
        }
        self.carry_out(at, workflow, acts);
    }

    /// The acts in their order; a process may die before any of them.
    fn carry_out(&mut self, at: usize, workflow: &WorkflowId, acts: Vec<Act<Ticket>>) {
        for act in acts {
            if self.point(Who::Orchestrator(at)) {
                return;
            }
            self.act(at, workflow, act);
        }
        self.set_timer(at, workflow);
    }

    fn act(&mut self, at: usize, workflow: &WorkflowId, act: Act<Ticket>) {
        match act {
            Act::Read(empty) => self.read_log(at, empty, 1),
            Act::Append { entry, expected } => self.begin_append(at, workflow, entry, expected),
            Act::Tell { .. } => {}
            Act::Show(summary) => {
                let what = Request::List(workflow.clone(), summary.ended);
                self.ask_as(at, Asked::Show(workflow.clone()), what);
            }
            Act::Claim(word, claims) => self.claim(at, workflow, word, claims),
            Act::Send(key, sending) => self.send(at, key, sending),
            Act::Finish(ticket, problems) => self.finish(at, ticket, problems),
            Act::GivenUp(ticket) => self.give_up(at, ticket),
            Act::Again(mut ticket) if ticket.races < RACES_MAX => {
                ticket.races += 1;
                self.say(|| format!("orchestrator {at}: lost a race for {}", ticket.mail.id));
                let moment = Moment::HandIn(Box::new(ticket));
                self.moment(Who::Orchestrator(at), 0, moment);
            }
            Act::Again(_) | Act::Leave(_) => {}
        }
    }

    /// As the real keeper: gives back what is no longer claimed, asks for what is.
    fn claim(&mut self, at: usize, workflow: &WorkflowId, word: u64, claims: Vec<Claim>) {
        let who = Who::Orchestrator(at);
        let before = self.orchestrators[at].claims.remove(workflow);
        for claim in before.into_iter().flat_map(|(_, claims)| claims) {
            let given_back = claim.without(&claims);
            if !given_back.slots.is_empty() {
                self.ask(who, 0, Request::Slots(ForSlots::Leave(given_back)));
            }
        }
        for claim in &claims {
            let asked = Asked::Slots(word, claim.clone());
            self.ask_as(at, asked, Request::Slots(ForSlots::Ask(claim.clone())));
        }
        if !claims.is_empty() {
            self.orchestrators[at].claims.insert(workflow.clone(), (word, claims));
        }
    }

    /// Who waits asks again, and who is before it is looked after.
    fn look_at_slots(&mut self, at: usize) {
        self.moment(Who::Orchestrator(at), LOOK_AT_SLOTS_MS, Moment::LookAtSlots);
        let claims = self.orchestrators[at].claims.clone();
        for (word, claims) in claims.into_values() {
            for claim in claims.into_iter().filter(|claim| claim.ticket.is_some()) {
                self.ask_as(
                    at,
                    Asked::Slots(word, claim.clone()),
                    Request::Slots(ForSlots::Ask(claim)),
                );
            }
        }
        if self.slots.values().any(|(table, _)| !table.is_empty()) {
            self.ask_as(at, Asked::Tables, Request::Slots(ForSlots::Tables));
        }
    }

    fn who_has_no_use(&mut self, at: usize, all: Vec<(Slot, Table, u64)>) {
        for (slot, table, revision) in all {
            for key in table.places().map(|place| place.key.clone()) {
                let claims = self.orchestrators[at].claims.get(&key.workflow);
                if claims.is_some_and(|(_, claims)| claims.iter().any(|c| c.key.is_same_task(&key)))
                {
                    continue;
                }
                let chain = Box::new(Chain::new(key.workflow.clone()));
                let what = Request::ReadLog(key.workflow.clone());
                self.ask_as(at, Asked::Use(chain, slot.clone(), revision, key), what);
            }
        }
    }

    fn finish(&mut self, at: usize, ticket: Ticket, problems: Vec<String>) {
        let id = &ticket.mail.id;
        self.say(|| format!("orchestrator {at}: finishes {id}: {problems:?}"));
        self.refused.extend(problems);
        let who = Who::Orchestrator(at);
        match ticket.delivery {
            Delivery::Stored(sequence) => self.ask(who, 0, Request::Ack(Place::Inbox, sequence)),
            Delivery::Asked(reply) => self.ask(who, 0, Request::Reply(reply, false)),
        }
    }

    fn give_up(&mut self, at: usize, ticket: Ticket) {
        let id = &ticket.mail.id;
        self.say(|| format!("orchestrator {at}: does not let begin {id}"));
        self.given_up += 1;
        match ticket.delivery {
            Delivery::Asked(reply) => {
                self.ask(Who::Orchestrator(at), 0, Request::Reply(reply, true));
            }
            Delivery::Stored(_) => self.wrong(format!("{id}: nobody waits for this answer")),
        }
    }

    /// A repetition is dropped by a stream that remembers the first, unless it is to be kept.
    fn send(&mut self, at: usize, key: TaskKey, sending: Sending) {
        let Some(seat) = self.orchestrators[at].seats.get(&key.workflow) else { return };
        if seat.desk.log().gap().is_some() {
            return self.wrong(format!("{key} is dispatched from a damaged log"));
        }
        let assignment = seat.desk.workflow().and_then(|w| w.assignment(&key).ok());
        let Some(assignment) = assignment else { return };
        if !self.log.requested.contains(&key) {
            return self.wrong(format!("{key} is dispatched and no decision asks for it"));
        }
        self.say(|| format!("orchestrator {at}: sends {key}"));
        let name = assignment.capability.specialist().as_str();
        let of = SPECIALISTS.iter().position(|specialist| *specialist == name).unwrap_or(0);
        let id = (sending != Sending::Again).then(|| key.to_string());
        let what = Request::Put(Place::Tasks(of), Box::new(Item::Task(Box::new(assignment))), id);
        match sending {
            Sending::First => self.ask(Who::Orchestrator(at), 0, what),
            Sending::Once | Sending::Again => self.ask_as(at, Asked::Send(key), what),
        }
    }

    fn beat(&mut self, at: usize, key: &TaskKey, reply: ReplyTo) {
        let now = self.moment_of(at);
        let Some(seat) = self.orchestrators[at].seats.get_mut(&key.workflow) else { return };
        let _none = seat.desk.on(Fact::Beat(key.clone()), now);
        let verdict = seat.desk.verdict(key);
        self.ask(Who::Orchestrator(at), 0, Request::Verdict(reply, verdict));
    }

    fn begin_append(&mut self, at: usize, workflow: &WorkflowId, entry: Entry, expected: u64) {
        self.noticed_if_it_uses(at, workflow);
        let (id, bytes) = (entry.id, entry.bytes.into());
        let subject = format!("log.{workflow}");
        match Append::new(subject, expected, id.clone(), bytes, async_nats::HeaderMap::new()) {
            Ok(append) => {
                let begun = self.now;
                if let Some(seat) = self.orchestrators[at].seats.get_mut(workflow) {
                    seat.append = Some(Flight { id, append, begun });
                }
                self.publish_append(at, workflow);
            }
            Err(error) => self.fact(at, workflow, Fact::Appended(Err(error))),
        }
    }

    /// The same bytes every time, under the headers that the append asks for.
    fn publish_append(&mut self, at: usize, workflow: &WorkflowId) {
        let Some(flight) = self.flight(at, workflow) else { return };
        let (_, headers, bytes) = flight.append.message();
        let header = |name: &str| headers.get(name).map(ToString::to_string).unwrap_or_default();
        let expected = header(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE.as_ref()).parse().unwrap_or(0);
        let id = header(DECISION_HEADER);
        let workflow = workflow.clone();
        let what = Request::Append { workflow: workflow.clone(), expected, id, bytes };
        self.ask_as(at, Asked::Append(workflow), what);
    }

    fn append_answered(&mut self, at: usize, workflow: &WorkflowId, answer: Answer) {
        let seat = self.orchestrators[at].seats.get_mut(workflow);
        let Some(flight) = seat.and_then(|seat| seat.append.as_mut()) else { return };
        match flight.append.answered(answer) {
            Ok(next) => self.append_next(at, workflow, Some(next)),
            Err(error) => self.append_over(at, workflow, Fact::Appended(Err(error))),
        }
    }

    fn append_next(&mut self, at: usize, workflow: &WorkflowId, next: Option<Next>) {
        let Some((next, begun)) = next.zip(self.flight(at, workflow).map(|flight| flight.begun))
        else {
            return;
        };
        match next {
            Next::Over(over) => self.append_over(at, workflow, Fact::Appended(Ok(over))),
            Next::LookUp => {
                let Some(flight) = self.flight(at, workflow) else { return };
                let (_, headers, _) = flight.append.message();
                let expected = headers.get(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE);
                let expected =
                    expected.and_then(|text| text.as_str().parse().ok()).unwrap_or_default();
                let workflow = workflow.clone();
                let what = Request::Winner { workflow: workflow.clone(), expected };
                self.ask_as(at, Asked::Winner(workflow), what);
            }
            Next::Again { pause, cause } => {
                let waited = std::time::Duration::from_millis((self.now - begun).unsigned_abs());
                if waited >= APPEND_MAX {
                    let subject = format!("log.{workflow}");
                    let error =
                        MeshError::OutcomeUnknown { subject, tries: 0, waited, source: cause };
                    return self.append_over(at, workflow, Fact::Appended(Err(error)));
                }
                let longest = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                let pause = self.rng.i64(0..=longest);
                let Some(id) = self.flight(at, workflow).map(|flight| flight.id.clone()) else {
                    return;
                };
                let moment = Moment::AppendAgain(workflow.clone(), id);
                self.moment(Who::Orchestrator(at), pause, moment);
            }
        }
    }

    fn append_again(&mut self, at: usize, workflow: &WorkflowId, id: &str) {
        if self.flight(at, workflow).is_some_and(|flight| flight.id == id) {
            self.publish_append(at, workflow);
        }
    }

    fn append_over(&mut self, at: usize, workflow: &WorkflowId, fact: Fact<Ticket>) {
        if let Some(seat) = self.orchestrators[at].seats.get_mut(workflow) {
            seat.append = None;
        }
        self.fact(at, workflow, fact);
    }

    fn flight(&self, at: usize, workflow: &WorkflowId) -> Option<&Flight> {
        self.orchestrators[at].seats.get(workflow).and_then(|seat| seat.append.as_ref())
    }

    fn read_log(&mut self, at: usize, empty: Box<Chain>, looks: u32) {
        let workflow = empty.id().clone();
        self.ask_as(at, Asked::Read(empty, looks), Request::ReadLog(workflow));
    }

    /// Asks, and remembers what for; silence is an answer, too.
    fn ask_as(&mut self, at: usize, asked: Asked, what: Request) {
        let who = Who::Orchestrator(at);
        let replica = &mut self.orchestrators[at];
        replica.tokens += 1;
        let token = replica.tokens;
        replica.asked.insert(token, asked);
        let patience = i64::try_from(PUB_ACK_MAX.as_millis()).unwrap_or(i64::MAX);
        self.moment(who, patience, Moment::Expired(token));
        self.ask(who, token, what);
    }

    fn timer(&mut self, at: usize, workflow: &WorkflowId, due: i64) {
        let now = self.moment_of(at);
        let Some(seat) = self.orchestrators[at].seats.get_mut(workflow) else { return };
        // Set anew since, for an earlier moment.
        if seat.timer != Some(due) {
            return;
        }
        seat.timer = None;
        if seat.desk.may_be_cleared(now) {
            self.orchestrators[at].seats.remove(workflow);
        } else {
            self.fact(at, workflow, Fact::Time);
        }
    }

    fn set_timer(&mut self, at: usize, workflow: &WorkflowId) {
        let now = self.moment_of(at).unix_ms;
        let Some(seat) = self.orchestrators[at].seats.get_mut(workflow) else { return };
        let due = seat.desk.wake_at();
        if seat.timer.is_none_or(|set| due < set) {
            seat.timer = Some(due);
            let moment = Moment::Timer(workflow.clone(), due);
            self.moment(Who::Orchestrator(at), due - now, moment);
        }
    }

    fn moment_of(&mut self, at: usize) -> At {
        let unix_ms = self.clock_of(Who::Orchestrator(at));
        let replica = &mut self.orchestrators[at];
        replica.nonce += 1;
        At { unix_ms, nonce: replica.nonce }
    }
}
