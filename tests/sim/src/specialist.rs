//! A replica of a specialist, by the contract of `specialists/runtime`: intent in the ledger, the way
//! back told, the effect, the outcome in the ledger, the report, the acknowledgement. A report is
//! asked first; unanswered, it goes to the inbox.

use std::collections::BTreeMap;

use deadelus_core::Input;
use deadelus_mesh::pipeline::Answer;
use deadelus_proto::{
    Aftermath, Assignment, Body, Check, Direction, Done, ErrorClass, Failure, News, Report, Undo,
    limits::{TASK_ACK_WAIT, TASK_DELIVERIES_MAX},
    pb,
};
use serde_json::json;

use crate::{
    bus::{Item, Mail},
    effects::{Entry, Held},
    plans::{SPECIALISTS, id},
    world::{Arrival, Moment, Place, ReplyTo, Request, Said, Who, World},
};

/// As long as the runtime waits for an orchestrator's answer.
const ASK_MAX_MS: i64 = 2_000;
/// As long as the runtime tries to put a report into the inbox.
const TRY_FOR_MS: i64 = 60_000;
/// As the runtime pauses between two tries.
const PAUSE_BETWEEN_TRIES_MS: i64 = 200;

/// One process.
#[derive(Debug)]
pub(crate) struct Worker {
    name: String,
    specialist: &'static str,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    tokens: u64,
    stored: BTreeMap<u64, (u64, u32)>,
}

/// One assignment in hand.
#[derive(Debug, Clone)]
struct Job {
    place: Place,
    sequence: u64,
    deliveries: u64,
    begun: i64,
    assignment: Assignment,
    stage: Stage,
    /// Which telling it is at, what it says, and until when it is tried.
    telling: u32,
    news: Option<News>,
    give_up_at: i64,
    is_stopped: bool,
    /// In whose name it reports what it found done.
    finished_by: Option<(String, i64)>,
}

/// What comes next.
#[derive(Debug, Clone)]
enum Stage {
    Arrived,
    Look,
    Intend,
    /// The way back is to be told; then the component is looked at, if somebody was here before.
    Announce(Held, bool),
    Reconcile(Held),
    Perform(Held),
    TakeBack(Held),
    Finish(Held, Box<Done>),
    Report(Box<News>),
    Ack,
}

/// What performing comes to.
enum Outcome {
    Works,
    Refuses,
    NotGoodEnough,
    Unsure { landed: bool },
    Jammed,
}

impl Worker {
    pub(crate) fn new(at: usize, life: u32) -> Self {
        let specialist = SPECIALISTS[at % SPECIALISTS.len()];
        // Ids of jobs are never used twice, whoever has them.
        let next_job = (at as u64 + 1) * 1_000_000_000 + u64::from(life) * 1_000_000;
        let name = format!("{specialist}-{at}{life:x}");
        Self {
            name,
            specialist,
            jobs: BTreeMap::new(),
            next_job,
            tokens: 0,
            stored: BTreeMap::new(),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl World {
    pub(crate) fn worker_hears(&mut self, at: usize, what: Arrival) {
        match what {
            Arrival::Delivered(place, sequence, deliveries, item) => {
                if let Item::Task(assignment) = *item {
                    self.take_in_hand(at, place, sequence, deliveries, *assignment);
                }
            }
            Arrival::Told(reply, false) => self.told(at, reply.job, reply.telling),
            Arrival::Told(reply, true) => self.not_to_begin(at, reply.job, reply.telling),
            Arrival::Verdict(reply, verdict) => {
                let stop = matches!(verdict, pb::Verdict::Cancel | pb::Verdict::Stale);
                if let Some(job) = self.workers[at].jobs.get_mut(&reply.job) {
                    job.is_stopped |= stop;
                }
            }
            Arrival::Said(token, Said::Answer(Answer::Stored(_))) => {
                if let Some((job, telling)) = self.workers[at].stored.remove(&token) {
                    self.told(at, job, telling);
                }
            }
            Arrival::Moment(Moment::Step(job)) => self.step(at, job),
            Arrival::Moment(Moment::AskOver(job, telling) | Moment::StoreAgain(job, telling)) => {
                self.store(at, job, telling);
            }
            Arrival::Moment(Moment::KeepAlive(job)) => self.keep_alive(at, job),
            Arrival::Said(..) | Arrival::Asked(..) | Arrival::Beat(..) | Arrival::Moment(_) => {}
        }
    }

    fn take_in_hand(
        &mut self,
        at: usize,
        place: Place,
        sequence: u64,
        deliveries: u64,
        assignment: Assignment,
    ) {
        let begun = self.now;
        let worker = &mut self.workers[at];
        if worker.jobs.values().any(|job| job.assignment.key == assignment.key) {
            return;
        }
        let (number, name) = (worker.next_job, worker.name.clone());
        worker.next_job += 1;
        let key = assignment.key.clone();
        let job = Job {
            place,
            sequence,
            deliveries,
            begun,
            assignment,
            stage: Stage::Arrived,
            telling: 0,
            news: None,
            give_up_at: 0,
            is_stopped: false,
            finished_by: None,
        };
        worker.jobs.insert(number, job);
        self.say(|| format!("{name}: has {key} in hand, delivery {deliveries}"));
        self.moment(Who::Worker(at), 0, Moment::Step(number));
        self.moment(Who::Worker(at), alive_every_ms(), Moment::KeepAlive(number));
    }

    fn step(&mut self, at: usize, number: u64) {
        let Some(job) = self.workers[at].jobs.get(&number).cloned() else { return };
        let (next, after) = match job.stage.clone() {
            Stage::Arrived => self.arrived(at, &job),
            Stage::Look => (self.look(at, &job), 0),
            Stage::Intend => (self.intend(at, number, &job), 0),
            Stage::Announce(held, begun) => return self.announce(at, number, &job, held, begun),
            Stage::Reconcile(held) => self.reconcile(&job, held),
            Stage::Perform(held) => self.perform(at, &job, held),
            Stage::TakeBack(held) => (self.take_back(&job, &held), 0),
            Stage::Finish(held, done) => (self.write_outcome(at, &job, &held, *done), 0),
            Stage::Report(news) => return self.tell(at, number, *news),
            Stage::Ack => {
                self.workers[at].jobs.remove(&number);
                return self.ask(Who::Worker(at), 0, Request::Ack(job.place, job.sequence));
            }
        };
        self.go_on(at, number, next, after);
    }

    fn go_on(&mut self, at: usize, number: u64, next: Stage, after: i64) {
        if let Some(job) = self.workers[at].jobs.get_mut(&number) {
            job.stage = next;
            self.moment(Who::Worker(at), after, Moment::Step(number));
        }
    }

    fn arrived(&mut self, at: usize, job: &Job) -> (Stage, i64) {
        let changes = self.changes(job);
        if job.deliveries >= TASK_DELIVERIES_MAX.unsigned_abs() {
            let class = if changes { ErrorClass::UnknownOutcome } else { ErrorClass::Unavailable };
            return (failed(Failure::new(class, "every worker before was lost")), 0);
        }
        if job.assignment.deadline_unix_ms <= self.clock_of(Who::Worker(at)) {
            let begun = changes && job.deliveries > 1;
            let class = if begun { ErrorClass::UnknownOutcome } else { ErrorClass::Unavailable };
            return (failed(Failure::new(class, "the deadline had passed")), 0);
        }
        if changes { (Stage::Intend, 0) } else { (Stage::Look, self.takes_ms()) }
    }

    fn look(&mut self, at: usize, job: &Job) -> Stage {
        if job.is_stopped {
            return failed(Failure::new(ErrorClass::Denied, "cancelled before it was done"));
        }
        if self.mishap(self.quirks.trouble) || !self.is_reachable(Who::Worker(at)) {
            return failed(Failure::new(ErrorClass::Unavailable, "not now"));
        }
        Stage::Report(Box::new(News::Done(done(None))))
    }

    fn intend(&mut self, at: usize, number: u64, job: &Job) -> Stage {
        if !self.is_reachable(Who::Worker(at)) {
            return failed(unsure(no_ledger()));
        }
        let key = ledger_key(job);
        match self.effects.read(&key) {
            Some(Held { entry: Entry { done: Some(done), finished_by, .. }, .. }) => {
                if let Some(job) = self.workers[at].jobs.get_mut(&number) {
                    job.finished_by = finished_by;
                }
                found_done(done)
            }
            Some(held) => Stage::Announce(self.effects.write(&key, held.entry), true),
            None => {
                let entry = Entry { undo: self.way_back(job), ..Entry::default() };
                let held = self.effects.begin(&key, entry);
                // The ledger has it, and the worker does not know.
                if self.mishap(self.quirks.lost_ack) {
                    return failed(no_ledger());
                }
                Stage::Announce(held, false)
            }
        }
    }

    fn announce(&mut self, at: usize, number: u64, job: &Job, held: Held, begun: bool) {
        let news = match (job.assignment.key.direction, &held.entry.undo) {
            (Direction::Undo, _) | (Direction::Do, None) => None,
            (Direction::Do, Some(undo)) => Some(News::UndoRecorded(undo.clone())),
        };
        let next = if begun { Stage::Reconcile(held) } else { Stage::Perform(held) };
        if let Some(job) = self.workers[at].jobs.get_mut(&number) {
            job.stage = next;
        }
        match news {
            Some(news) => self.tell(at, number, news),
            None => self.worked_on(at, number),
        }
    }

    fn reconcile(&mut self, job: &Job, held: Held) -> (Stage, i64) {
        let key = &job.assignment.key;
        let stands = self.effects.stands(&key.workflow, &key.task);
        let is_done = stands == (key.direction == Direction::Do);
        if is_done {
            let done = Done { reconciled: true, ..done(held.entry.undo.clone()) };
            return (Stage::Finish(held, Box::new(done)), 0);
        }
        (Stage::Perform(held), self.takes_ms())
    }

    fn perform(&mut self, at: usize, job: &Job, held: Held) -> (Stage, i64) {
        let (key, there) = (&job.assignment.key, job.assignment.key.direction == Direction::Do);
        let name = self.workers[at].name.clone();
        let outcome = self.outcome(there && held.entry.undo.is_some());
        let touches = match outcome {
            Outcome::Works | Outcome::NotGoodEnough => true,
            Outcome::Unsure { landed } => landed,
            Outcome::Refuses | Outcome::Jammed => false,
        };
        if touches {
            self.say(|| format!("{name}: {key} takes effect"));
            if there {
                self.effects.land(key);
            } else {
                self.effects.remove(&key.workflow, &key.task);
            }
        }
        let next = match outcome {
            Outcome::Works => {
                let undo = held.entry.undo.clone().filter(|_| there);
                Stage::Finish(held, Box::new(done(undo)))
            }
            Outcome::Refuses => {
                self.effects.forget(&ledger_key(job), &held);
                failed(Failure::new(ErrorClass::Unavailable, "not now"))
            }
            Outcome::NotGoodEnough => return (Stage::TakeBack(held), self.takes_ms()),
            Outcome::Unsure { .. } => failed(Failure::new(ErrorClass::UnknownOutcome, "who knows")),
            Outcome::Jammed => failed(Failure::new(ErrorClass::UndoFailed, "jammed")),
        };
        (next, 0)
    }

    /// Not good enough: who had it last takes it back.
    fn take_back(&mut self, job: &Job, held: &Held) -> Stage {
        let (ledger_key, key) = (ledger_key(job), &job.assignment.key);
        if !self.effects.is_its_own(&ledger_key, held) {
            self.effects.left += 1;
            return failed(Failure::new(ErrorClass::UnknownOutcome, "another has taken it up"));
        }
        self.say(|| format!("{key} takes itself back"));
        self.effects.remove(&key.workflow, &key.task);
        self.effects.forget(&ledger_key, held);
        failed(Failure::new(ErrorClass::CheckFailed, "not good enough"))
    }

    fn outcome(&mut self, may_take_back: bool) -> Outcome {
        if !self.mishap(self.quirks.trouble) {
            return Outcome::Works;
        }
        match self.rng.u8(0..4) {
            0 => Outcome::Refuses,
            1 if may_take_back => Outcome::NotGoodEnough,
            1 => Outcome::Jammed,
            _ => Outcome::Unsure { landed: self.rng.bool() },
        }
    }

    /// Who has done it well has it, whoever took it up meanwhile: nobody takes it back any more.
    fn write_outcome(&mut self, at: usize, job: &Job, held: &Held, done: Done) -> Stage {
        if !self.is_reachable(Who::Worker(at)) {
            return failed(unsure(no_ledger()));
        }
        let key = ledger_key(job);
        match self.effects.read(&key) {
            Some(Held { entry: Entry { done: Some(done), .. }, .. }) => found_done(done),
            Some(now) if now.entry.intent == held.entry.intent => {
                let finished_by = Some((self.workers[at].name.clone(), job.begun));
                let entry = Entry { done: Some(done.clone()), finished_by, ..now.entry };
                self.effects.write(&key, entry);
                Stage::Report(Box::new(News::Done(done)))
            }
            Some(_) | None => {
                failed(Failure::new(ErrorClass::UnknownOutcome, "it was taken back meanwhile"))
            }
        }
    }

    /// Asks an orchestrator to take the news.
    fn tell(&mut self, at: usize, number: u64, news: News) {
        let now = self.now;
        let Some(job) = self.workers[at].jobs.get_mut(&number) else { return };
        job.telling += 1;
        job.news = Some(news);
        job.give_up_at = now + ASK_MAX_MS + TRY_FOR_MS;
        let telling = job.telling;
        self.put_question(at, number, telling);
    }

    fn put_question(&mut self, at: usize, number: u64, telling: u32) {
        let Some(mail) = self.mail(at, number) else { return };
        let who = Who::Worker(at);
        self.say(|| format!("{who:?}: tells {}", mail.id));
        let reply = ReplyTo { who, life: self.life(who), job: number, telling };
        self.moment(who, ASK_MAX_MS, Moment::AskOver(number, telling));
        self.ask(who, 0, Request::Ask(Box::new(mail), reply));
    }

    /// Nobody answered: the inbox keeps it.
    fn store(&mut self, at: usize, number: u64, telling: u32) {
        let Some(job) = self.workers[at].jobs.get(&number) else { return };
        if job.telling != telling || job.news.is_none() {
            return;
        }
        if self.now >= job.give_up_at {
            return self.not_told(at, number);
        }
        // What is about to begin waits for the answer.
        if matches!(job.news, Some(News::UndoRecorded(_))) {
            return self.put_question(at, number, telling);
        }
        let Some(mail) = self.mail(at, number) else { return };
        let worker = &mut self.workers[at];
        worker.tokens += 1;
        let token = worker.tokens;
        worker.stored.insert(token, (number, telling));
        let item = Box::new(Item::Mail(Box::new(mail)));
        let again = ASK_MAX_MS + PAUSE_BETWEEN_TRIES_MS;
        self.moment(Who::Worker(at), again, Moment::StoreAgain(number, telling));
        self.ask(Who::Worker(at), token, Request::Put(Place::Inbox, item, None));
    }

    /// The log has it, or the inbox.
    fn told(&mut self, at: usize, number: u64, telling: u32) {
        let Some(job) = self.workers[at].jobs.get_mut(&number) else { return };
        if job.telling != telling || job.news.take().is_none() {
            return;
        }
        if matches!(job.stage, Stage::Report(_)) {
            job.stage = Stage::Ack;
            self.moment(Who::Worker(at), 0, Moment::Step(number));
        } else {
            self.worked_on(at, number);
        }
    }

    /// Nobody waits for it any more: what was announced does not begin.
    fn not_to_begin(&mut self, at: usize, number: u64, telling: u32) {
        let Some(job) = self.workers[at].jobs.get_mut(&number) else { return };
        if job.telling != telling || job.news.take().is_none() {
            return;
        }
        let job = job.clone();
        let failure = Failure::new(ErrorClass::Denied, "nobody waits for it any more");
        let begun = matches!(job.stage, Stage::Reconcile(_));
        if let Stage::Perform(held) = &job.stage {
            self.effects.forget(&ledger_key(&job), held);
        }
        let failure = if begun { unsure(failure) } else { failure };
        self.go_on(at, number, failed(failure), 0);
    }

    /// Neither has it: the way back is not durable, so nothing begins; and what is done is left to be
    /// delivered again.
    fn not_told(&mut self, at: usize, number: u64) {
        let Some(job) = self.workers[at].jobs.get_mut(&number) else { return };
        job.news = None;
        if matches!(job.stage, Stage::Report(_)) {
            self.workers[at].jobs.remove(&number);
        } else {
            let failure = Failure::new(ErrorClass::Unavailable, "the way back could not be told");
            let begun = matches!(job.stage, Stage::Reconcile(_));
            self.go_on(at, number, failed(if begun { unsure(failure) } else { failure }), 0);
        }
    }

    fn worked_on(&mut self, at: usize, number: u64) {
        let after = self.takes_ms();
        self.moment(Who::Worker(at), after, Moment::Step(number));
    }

    fn keep_alive(&mut self, at: usize, number: u64) {
        let Some(job) = self.workers[at].jobs.get(&number) else { return };
        if matches!(job.stage, Stage::Report(_) | Stage::Ack) {
            return;
        }
        let who = Who::Worker(at);
        let (place, sequence) = (job.place, job.sequence);
        let (key, telling) = (job.assignment.key.clone(), job.telling);
        let reply = ReplyTo { who, life: self.life(who), job: number, telling };
        self.ask(who, 0, Request::Progress(place, sequence));
        self.ask(who, 0, Request::Beat(key, reply));
        self.moment(who, alive_every_ms(), Moment::KeepAlive(number));
    }

    fn mail(&self, at: usize, number: u64) -> Option<Mail> {
        let worker = &self.workers[at];
        let job = worker.jobs.get(&number)?;
        let (key, news) = (job.assignment.key.clone(), job.news.clone()?);
        let kind = match &news {
            News::UndoRecorded(_) => "undo-recorded",
            News::Done(_) => "done",
            News::Failed(_) => "failed",
        };
        let letter = format!("{key}.{}.{}.{kind}", worker.name, job.deliveries);
        let own = || (worker.name.clone(), job.begun);
        let (instance, begun_unix_ms) = job.finished_by.clone().unwrap_or_else(own);
        let report = Report {
            key: key.clone(),
            instance,
            begun_unix_ms,
            reported_unix_ms: self.now,
            deliveries: job.deliveries,
            news,
        };
        let from = id(worker.specialist);
        let input = Input::Report(Box::new(report));
        Some(Mail { workflow: key.workflow, from, id: letter, input })
    }

    fn changes(&self, job: &Job) -> bool {
        let key = &job.assignment.key;
        let plan = self.plans.get(&key.workflow);
        plan.and_then(|plan| plan.task(&key.task)).is_some_and(|task| task.effect.changes())
    }

    fn way_back(&self, job: &Job) -> Option<Undo> {
        let key = &job.assignment.key;
        let task = self.plans.get(&key.workflow)?.task(&key.task)?;
        let (capability, class) = task.undo.clone()?;
        let there = key.direction == Direction::Do;
        there.then(|| Undo { capability, inputs: json!({}), class, residue: vec![] })
    }

    /// How long a piece of work takes: milliseconds, or now and then longer than its deadline.
    fn takes_ms(&mut self) -> i64 {
        if self.mishap(self.quirks.trouble) { self.rng.i64(0..40_000) } else { self.rng.i64(1..30) }
    }
}

fn alive_every_ms() -> i64 {
    i64::try_from(TASK_ACK_WAIT.as_millis()).unwrap_or(i64::MAX) / 3
}

/// An effect has one key for all its attempts, an undo one for each.
fn ledger_key(job: &Job) -> String {
    let key = &job.assignment.key;
    match key.direction {
        Direction::Do => key.effect_key(),
        Direction::Undo => format!("{}.{}", key.effect_key(), key.attempt),
    }
}

/// From where an effect may stand already.
fn unsure(failure: Failure) -> Failure {
    Failure { aftermath: Aftermath::Unknown, ..failure }
}

fn no_ledger() -> Failure {
    Failure::new(ErrorClass::Unavailable, "the effect ledger: no answer")
}

fn failed(failure: Failure) -> Stage {
    Stage::Report(Box::new(News::Failed(failure)))
}

fn found_done(done: Done) -> Stage {
    Stage::Report(Box::new(News::Done(Done { reconciled: true, ..done })))
}

fn done(undo: Option<Undo>) -> Done {
    Done {
        outputs: Body::Inline(json!({"n": 1})),
        checks: vec![Check::equal("made", 1, 1)],
        artefacts: vec![],
        residue: vec![],
        reconciled: false,
        undo,
    }
}
