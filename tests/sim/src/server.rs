//! The server: what it does with a request, who gets what it keeps, and what gets lost between.

use bytes::Bytes;
use deadelus_core::{Claim, Slot};
use deadelus_mesh::pipeline::Answer;
use deadelus_orchestrator::slots::{Table, Turn};
use deadelus_proto::WorkflowId;

use crate::{
    bus::{Mail, refused},
    plans::SPECIALISTS,
    world::{Arrival, ForSlots, Happening, Place, ReplyTo, Request, Said, Who, World},
};

/// A work queue without anybody to deliver to looks again after this.
const QUEUE_EVERY_MS: i64 = 500;

impl World {
    pub(crate) fn serve(&mut self, from: Who, life: u32, token: u64, what: Request) {
        match what {
            Request::Append { workflow, expected, id, bytes } => {
                let said = self.append(from, &workflow, expected, id, bytes);
                self.answer(from, life, token, Said::Answer(said));
            }
            Request::Winner { workflow, expected } => {
                let up_to = self.known_to_reader();
                let found = self.log.winner(&workflow, expected, up_to);
                self.answer(from, life, token, Said::Found(found));
            }
            Request::ReadLog(workflow) => {
                let of = self.log.of(&workflow, u64::MAX);
                let log = of.map(|entry| (entry.sequence, entry.bytes.clone())).collect();
                self.answer(from, life, token, Said::Log(log));
            }
            Request::Open => {
                let open = self.list.iter().filter(|(_, ended)| !**ended);
                let open = open.map(|(workflow, _)| workflow.clone()).collect();
                self.answer(from, life, token, Said::Open(open));
            }
            Request::List(workflow, ended) => {
                self.list.insert(workflow, ended);
                self.answer(from, life, token, Said::Answer(Answer::Stored(1)));
            }
            Request::Slots(what) => self.serve_slots(from, life, token, what),
            Request::Put(place, item, id) => {
                if self.mishap(self.quirks.dedupe_loss)
                    && let Some(queue) = self.queues.get_mut(&place)
                {
                    queue.forget_ids();
                }
                self.put(place, *item, id.as_deref());
                self.answer(from, life, token, Said::Answer(Answer::Stored(1)));
            }
            Request::Ask(mail, reply) => self.forward(mail, reply),
            Request::Reply(to, given_up) => {
                self.carry(to.who, to.life, Arrival::Told(to, given_up));
            }
            Request::Beat(key, reply) => {
                for at in 0..self.orchestrators.len() {
                    let who = Who::Orchestrator(at);
                    self.carry(who, self.life(who), Arrival::Beat(key.clone(), reply));
                }
            }
            Request::Verdict(to, verdict) => {
                self.carry(to.who, to.life, Arrival::Verdict(to, verdict));
            }
            Request::Ack(place, sequence) => {
                if !self.mishap(self.quirks.lost_ack)
                    && let Some(queue) = self.queues.get_mut(&place)
                {
                    queue.ack(sequence);
                }
            }
            Request::Progress(place, sequence) => {
                let now = self.now;
                if !self.mishap(self.quirks.lost_ack)
                    && let Some(queue) = self.queues.get_mut(&place)
                {
                    queue.progress(sequence, now);
                }
            }
        }
    }

    fn serve_slots(&mut self, from: Who, life: u32, token: u64, what: ForSlots) {
        match what {
            ForSlots::Ask(claim) => {
                let has = self.ask_slots(from, &claim);
                self.answer(from, life, token, Said::Slots(has));
            }
            ForSlots::Leave(claim) => {
                let by = format!("{from:?}");
                for slot in &claim.slots {
                    self.change_table(slot, |table| table.leave(&claim.key, &by, slots_of(slot)));
                }
            }
            ForSlots::Tables => {
                let all = self.slots.iter();
                let all = all.map(|(slot, (table, at))| (slot.clone(), table.clone(), *at));
                let all = all.collect();
                self.answer(from, life, token, Said::Tables(all));
            }
            ForSlots::PutOut { slot, revision, key } => {
                let there = self.slots.get(&slot).is_some_and(|(_, at)| *at == revision);
                if there {
                    self.say(|| format!("{from:?}: puts {key} out of {slot}"));
                    self.change_table(&slot, |table| {
                        table.put_out(&key, slots_of(&slot));
                        true
                    });
                }
            }
        }
    }

    /// One slot after the other in their order, up to the first that others have.
    fn ask_slots(&mut self, from: Who, claim: &Claim) -> bool {
        let by = format!("{from:?}");
        for slot in &claim.slots {
            let mut turn = Turn::Waits;
            self.change_table(slot, |table| {
                turn = table.ask(claim, &by, slots_of(slot));
                true
            });
            if turn == Turn::Waits {
                self.waits_for_slots += 1;
                return false;
            }
        }
        true
    }

    fn change_table(&mut self, slot: &Slot, change: impl FnOnce(&mut Table) -> bool) {
        let (table, revision) = self.slots.entry(slot.clone()).or_default();
        if change(table) {
            *revision += 1;
        }
    }

    fn append(
        &mut self,
        from: Who,
        workflow: &WorkflowId,
        expected: u64,
        id: String,
        bytes: Bytes,
    ) -> Answer {
        let not_now = self.mishap(self.quirks.not_now).then(|| self.rng.usize(0..4));
        let refusals = [
            (400, 10164, "wrong last sequence"),
            (503, 10077, "raft: not leader"),
            (503, 10008, "JetStream system temporarily unavailable"),
        ];
        if let Some(which) = not_now.filter(|which| *which < refusals.len()) {
            let (code, err_code, text) = refusals[which];
            self.say(|| format!("server: {text}, to {id} of {from:?}"));
            return refused(code, err_code, text);
        }
        let twice = self.mishap(self.quirks.double_winner);
        let stored = id.clone();
        let answer = self.log.append(workflow, expected, id.clone(), bytes, twice);
        self.say(|| format!("server: {id} of {from:?} after {expected}: {answer:?}"));
        if let Answer::Stored(sequence) = answer {
            self.is_back(workflow, sequence, &stored);
            self.judge_new(workflow, sequence);
        }
        // It took effect, and the server that said so lost its place before it could.
        if not_now.is_some() { refused(503, 10077, "raft: lost leadership") } else { answer }
    }

    /// The newest sequence that whoever answers a read knows.
    fn known_to_reader(&mut self) -> u64 {
        let last = self.log.last();
        let stale = self.mishap(self.quirks.stale_read);
        if stale { last.saturating_sub(self.rng.u64(1..=4)) } else { last }
    }

    fn answer(&mut self, to: Who, life: u32, token: u64, said: Said) {
        if self.mishap(self.quirks.lost_ack) {
            return self.say(|| format!("server: never heard by {to:?}: {said:?}"));
        }
        self.carry(to, life, Arrival::Said(token, said));
    }

    fn carry(&mut self, to: Who, life: u32, what: Arrival) {
        let latency = self.latency();
        self.at(latency, Happening::Arrive { to, life, what });
    }

    /// A question goes to one of the replicas that listen; the server does not know who is stopped.
    fn forward(&mut self, mail: Box<Mail>, reply: ReplyTo) {
        let Some(who) = self.one_of((0..self.orchestrators.len()).map(Who::Orchestrator).collect())
        else {
            return;
        };
        self.carry(who, self.life(who), Arrival::Asked(mail, reply));
    }

    fn one_of(&mut self, all: Vec<Who>) -> Option<Who> {
        let up: Vec<Who> = all
            .into_iter()
            .filter(|who| self.processes.get(who).is_some_and(|p| !p.is_down))
            .collect();
        self.rng.choice(up)
    }

    pub(crate) fn deliver(&mut self, place: Place) {
        let consumers: Vec<Who> = match place {
            Place::Inbox => (0..self.orchestrators.len()).map(Who::Orchestrator).collect(),
            Place::Tasks(of) => (0..self.workers.len())
                .filter(|at| at % SPECIALISTS.len() == of)
                .map(Who::Worker)
                .collect(),
        };
        let (now, away) = (self.now, self.now < self.server_down_until);
        if away || self.one_of(consumers.clone()).is_none() {
            return self.at(QUEUE_EVERY_MS, Happening::Deliver(place));
        }
        let Some(queue) = self.queues.get_mut(&place) else { return };
        let due = queue.deliver(now);
        let next = queue.next_at();
        for (sequence, deliveries, item) in due {
            let copies = if self.mishap(self.quirks.duplicate) { 2 } else { 1 };
            for _ in 0..copies {
                let Some(who) = self.one_of(consumers.clone()) else { continue };
                let mut latency = self.latency();
                if self.mishap(self.quirks.slow_consumer) {
                    latency += self.rng.i64(5_000..30_000);
                }
                let item = Box::new(item.clone());
                let what = Arrival::Delivered(place, sequence, deliveries, item);
                let life = self.life(who);
                self.at(latency, Happening::Arrive { to: who, life, what });
            }
        }
        if let Some(next) = next {
            self.at((next - now).max(1), Happening::Deliver(place));
        }
    }
}

/// A lock has one slot; what is limited in the simulated mesh is limited to two.
pub(crate) fn slots_of(slot: &Slot) -> usize {
    match slot {
        Slot::Lock(_) => 1,
        Slot::Limit(_) => 2,
    }
}
