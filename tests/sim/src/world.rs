//! One thread, one clock: what happens, in which order, and what befalls whom.
//!
//! Everything that happens is an entry of one queue, ordered by its moment and then by the order in
//! which it was put there; chance comes from one seeded generator. So a seed is a story.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use deadelus_core::{Chain, CheckedPlan, Claim, Slot};
use deadelus_mesh::{append::Entry, pipeline::Answer};
use deadelus_orchestrator::slots::Table;
use deadelus_proto::{
    TaskKey, WorkflowId,
    limits::{INBOX_ACK_WAIT, TASK_ACK_WAIT, TASK_DELIVERIES_MAX},
    pb,
};
use fastrand::Rng;
use std::sync::Arc;

use crate::{
    Setup, Strike,
    bus::{Item, Log, Mail, Queue},
    effects::Effects,
    judge::Judge,
    orchestrator::{Replica, Ticket},
    plans::SPECIALISTS,
    quirks::{CHANCE_EVERY_MS, Quirks},
    specialist::Worker,
};

/// The clock of a world begins here, in milliseconds since the epoch.
pub(crate) const BEGIN_MS: i64 = 1_000_000_000;
/// A world that has not come to rest after this much of its time hangs: half an hour after the last
/// accident, and nothing in the mesh waits for longer than minutes.
const HANGS_AFTER_MS: i64 = 45 * 60_000;
/// Happenings after which a world is taken for a busy loop; an eventful one has some 20,000.
const HAPPENINGS_MAX: u64 = 300_000;
/// A person looks this often.
const LOOK_EVERY_MS: i64 = 3_000;

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Orchestrator(usize),
    Worker(usize),
}

/// What the outside does to a process.
#[derive(Debug, Default)]
pub(crate) struct Process {
    /// Counts its deaths: what was meant for an earlier one does not reach a later one.
    pub(crate) life: u32,
    pub(crate) is_down: bool,
    pub(crate) cut_until: i64,
    pub(crate) stopped_until: i64,
    pub(crate) skew_ms: i64,
}

/// Which work queue: one for the inbox, one for each specialist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Inbox,
    Tasks(usize),
}

/// Where an answer on core NATS goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplyTo {
    pub(crate) who: Who,
    pub(crate) life: u32,
    pub(crate) job: u64,
    pub(crate) telling: u32,
}

/// What a process asks of the server.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Append {
        workflow: WorkflowId,
        expected: u64,
        id: String,
        bytes: Bytes,
    },
    Winner {
        workflow: WorkflowId,
        expected: u64,
    },
    ReadLog(WorkflowId),
    Open,
    /// A line of the list: whether the workflow has ended.
    List(WorkflowId, bool),
    Slots(ForSlots),
    Put(Place, Box<Item>, Option<String>),
    Ask(Box<Mail>, ReplyTo),
    Reply(ReplyTo, bool),
    Beat(TaskKey, ReplyTo),
    Verdict(ReplyTo, pb::Verdict),
    Ack(Place, u64),
    Progress(Place, u64),
}

/// What is asked of the bucket of slots.
#[derive(Debug, Clone)]
pub(crate) enum ForSlots {
    Ask(Claim),
    Leave(Claim),
    Tables,
    PutOut { slot: Slot, revision: u64, key: TaskKey },
}

/// What the server says.
#[derive(Debug)]
pub(crate) enum Said {
    Answer(Answer),
    Found(Option<Entry>),
    Log(Vec<(u64, Bytes)>),
    Open(Vec<WorkflowId>),
    /// Whether everything is there.
    Slots(bool),
    Tables(Vec<(Slot, Table, u64)>),
}

/// What reaches a process: from the server, or from its own clock.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Of a work queue: where, sequence, deliveries, what.
    Delivered(Place, u64, u64, Box<Item>),
    Asked(Box<Mail>, ReplyTo),
    Said(u64, Said),
    Beat(TaskKey, ReplyTo),
    /// What was told is kept; or it is not to begin.
    Told(ReplyTo, bool),
    Verdict(ReplyTo, pb::Verdict),
    /// A moment that the process itself has waited for.
    Moment(Moment),
}

/// What a process waits for by its own clock.
#[derive(Debug)]
pub(crate) enum Moment {
    Begin,
    HandIn(Box<Ticket>),
    Expired(u64),
    AppendAgain(WorkflowId, String),
    ReadAgain(Box<Chain>, u32),
    Timer(WorkflowId, i64),
    LookAtSlots,
    Step(u64),
    AskOver(u64, u32),
    StoreAgain(u64, u32),
    KeepAlive(u64),
}

/// An entry of the queue.
#[derive(Debug)]
pub(crate) enum Happening {
    Request { from: Who, life: u32, token: u64, what: Request },
    Arrive { to: Who, life: u32, what: Arrival },
    Deliver(Place),
    Befall,
    People,
    Restart(Who),
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: i64,
    pub(crate) quirks: Quirks,
    pub(crate) calm_at: i64,
    pub(crate) log: Log,
    /// Which workflows there are, and whether each has ended: what a replica takes up when it begins.
    pub(crate) list: BTreeMap<WorkflowId, bool>,
    /// Lines of which nobody heard whether they arrived.
    pub(crate) lines_lost: u64,
    /// Effects that were not to begin.
    pub(crate) given_up: u64,
    /// How often somebody had to wait for a slot.
    pub(crate) waits_for_slots: u64,
    pub(crate) queues: BTreeMap<Place, Queue>,
    pub(crate) processes: BTreeMap<Who, Process>,
    pub(crate) orchestrators: Vec<Replica>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) effects: Effects,
    pub(crate) slots: BTreeMap<Slot, (Table, u64)>,
    pub(crate) plans: BTreeMap<WorkflowId, Arc<CheckedPlan>>,
    pub(crate) judges: BTreeMap<WorkflowId, Judge>,
    /// Workflows of which some replica has seen that their log is damaged.
    pub(crate) known_damaged: BTreeSet<WorkflowId>,
    /// Who knows of something that has vanished from which log.
    pub(crate) vanished: BTreeSet<(Who, u32, WorkflowId)>,
    /// What has vanished: where it stood, and its id.
    pub(crate) lost: BTreeMap<(WorkflowId, u64), String>,
    /// Those of them that wrote on since.
    pub(crate) must_be_noticed: BTreeSet<(Who, u32, WorkflowId)>,
    pub(crate) letters: u64,
    pub(crate) refused: Vec<String>,
    pub(crate) strike: Option<Strike>,
    /// Points passed so far: of orchestrators, of workers.
    pub(crate) points: [u64; 2],
    problem: Option<String>,
    story: Option<Vec<String>>,
    queue: BTreeMap<(i64, u64), Happening>,
    next_number: u64,
    happenings: u64,
    pub(crate) server_down_until: i64,
}

impl World {
    pub(crate) fn new(setup: &Setup, tell: bool) -> Self {
        let rng = Rng::with_seed(setup.seed);
        let inbox = i64::try_from(INBOX_ACK_WAIT.as_millis()).unwrap_or(i64::MAX);
        let tasks = i64::try_from(TASK_ACK_WAIT.as_millis()).unwrap_or(i64::MAX);
        let mut queues = BTreeMap::from([(Place::Inbox, Queue::new(inbox, 0))]);
        for specialist in 0..SPECIALISTS.len() {
            let queue = Queue::new(tasks, TASK_DELIVERIES_MAX.unsigned_abs());
            queues.insert(Place::Tasks(specialist), queue);
        }
        let mut world = Self {
            rng,
            now: BEGIN_MS,
            quirks: setup.quirks,
            calm_at: BEGIN_MS + setup.chaos_ms,
            log: Log::default(),
            list: BTreeMap::new(),
            lines_lost: 0,
            given_up: 0,
            waits_for_slots: 0,
            queues,
            processes: BTreeMap::new(),
            orchestrators: vec![],
            workers: vec![],
            effects: Effects::default(),
            slots: BTreeMap::new(),
            plans: BTreeMap::new(),
            judges: BTreeMap::new(),
            known_damaged: BTreeSet::new(),
            vanished: BTreeSet::new(),
            lost: BTreeMap::new(),
            must_be_noticed: BTreeSet::new(),
            letters: 0,
            refused: vec![],
            strike: setup.strike,
            points: [0; 2],
            problem: None,
            story: tell.then(Vec::new),
            queue: BTreeMap::new(),
            next_number: 0,
            happenings: 0,
            server_down_until: 0,
        };
        world.populate(setup);
        world
    }

    fn populate(&mut self, setup: &Setup) {
        for at in 0..setup.orchestrators {
            self.orchestrators.push(Replica::new(at, 0));
            self.process(Who::Orchestrator(at));
        }
        for at in 0..setup.workers * SPECIALISTS.len() {
            self.workers.push(Worker::new(at, 0));
            self.process(Who::Worker(at));
        }
        for at in 0..setup.workflows {
            let plan = setup.plan.clone().unwrap_or_else(|| crate::plans::random(&mut self.rng));
            let workflow: WorkflowId = crate::plans::id(&format!("wf-{at}"));
            self.judges.insert(workflow.clone(), Judge::new(&workflow));
            self.plans.insert(workflow.clone(), plan);
            self.start(&workflow);
        }
        self.at(LOOK_EVERY_MS, Happening::People);
        self.at(CHANCE_EVERY_MS, Happening::Befall);
    }

    fn process(&mut self, who: Who) {
        let most = i64::from(self.quirks.clock_skew) * 100;
        let skew_ms = self.rng.i64(-most..=most);
        self.processes.insert(who, Process { skew_ms, ..Process::default() });
        self.moment(who, 0, Moment::Begin);
    }

    /// Until everything has come to rest, or something is wrong.
    pub(crate) fn run(&mut self) {
        while self.problem.is_none() {
            let Some(((at, _), happening)) = self.queue.pop_first() else { break };
            self.now = self.now.max(at);
            self.happenings += 1;
            if self.now > BEGIN_MS + HANGS_AFTER_MS || self.happenings > HAPPENINGS_MAX {
                let waits = self.what_is_waited_for();
                self.wrong(format!("hangs after {} happenings: {waits}", self.happenings));
            }
            if matches!(happening, Happening::People) && self.is_at_rest() {
                break;
            }
            self.happen(happening);
        }
    }

    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(crate) fn story(&self) -> &[String] {
        self.story.as_deref().unwrap_or_default()
    }

    /// A property does not hold; the first one is the one that counts.
    pub(crate) fn wrong(&mut self, what: String) {
        self.say(|| format!("WRONG: {what}"));
        self.problem.get_or_insert(what);
    }

    pub(crate) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>9} {}", self.now - BEGIN_MS, what()));
        }
    }

    /// Whether something that goes wrong now and then does so now.
    pub(crate) fn mishap(&mut self, percent: u8) -> bool {
        percent > 0 && self.now < self.calm_at && self.rng.u8(0..100) < percent
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.now >= self.calm_at
    }

    /// Milliseconds since the epoch, by the clock of a process.
    pub(crate) fn clock_of(&self, who: Who) -> i64 {
        self.now + self.processes.get(&who).map_or(0, |process| process.skew_ms)
    }

    pub(crate) fn life(&self, who: Who) -> u32 {
        self.processes.get(&who).map_or(0, |process| process.life)
    }

    /// After this long, by its own clock.
    pub(crate) fn moment(&mut self, who: Who, after_ms: i64, moment: Moment) {
        let life = self.life(who);
        self.at(after_ms, Happening::Arrive { to: who, life, what: Arrival::Moment(moment) });
    }

    /// Hands a request to the connection.
    pub(crate) fn ask(&mut self, from: Who, token: u64, what: Request) {
        if self.mishap(self.quirks.lost_message) {
            self.say(|| format!("{from:?}: lost on its way: {what:?}"));
            return;
        }
        let life = self.life(from);
        if self.mishap(self.quirks.duplicate) {
            let latency = self.latency();
            self.at(latency, Happening::Request { from, life, token, what: what.clone() });
        }
        let mut latency = self.latency();
        let is_ack = matches!(what, Request::Ack(..));
        if is_ack && self.mishap(self.quirks.late_ack) {
            latency += self.rng.i64(8_000..40_000);
        }
        self.at(latency, Happening::Request { from, life, token, what });
    }

    /// Whether the process died or stopped just here: the point is one that a strike may be at.
    pub(crate) fn point(&mut self, who: Who) -> bool {
        let kind = usize::from(matches!(who, Who::Worker(_)));
        self.points[kind] += 1;
        let Some(strike) = self.strike else { return false };
        if strike.at_worker != (kind == 1) || self.points[kind] != strike.point {
            return false;
        }
        if strike.pause_ms > 0 {
            self.stop(who, strike.pause_ms);
            return false;
        }
        self.crash(who);
        true
    }

    pub(crate) fn is_reachable(&self, who: Who) -> bool {
        let cut = self.processes.get(&who).is_some_and(|p| p.is_down || p.cut_until > self.now);
        !cut && self.now >= self.server_down_until
    }

    /// Puts something into a queue of the server, from outside the simulated processes.
    pub(crate) fn put(&mut self, place: Place, item: Item, id: Option<&str>) {
        let now = self.now;
        if let Some(queue) = self.queues.get_mut(&place) {
            queue.publish(item, id, now);
        }
        self.at(0, Happening::Deliver(place));
    }

    pub(crate) fn at(&mut self, after_ms: i64, happening: Happening) {
        let number = self.next_number;
        self.next_number += 1;
        self.queue.insert((self.now + after_ms.max(0), number), happening);
    }

    pub(crate) fn latency(&mut self) -> i64 {
        let slow = self.mishap(self.quirks.reorder);
        if slow { self.rng.i64(0..1_000) } else { self.rng.i64(0..3) }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Request { from, life, token, what } => {
                if !self.is_cut(from) && self.now >= self.server_down_until {
                    self.serve(from, life, token, what);
                }
            }
            Happening::Arrive { to, life, what } => self.arrive(to, life, what),
            Happening::Deliver(place) => self.deliver(place),
            Happening::Befall => self.befall(),
            Happening::People => {
                self.people();
                self.at(LOOK_EVERY_MS, Happening::People);
            }
            Happening::Restart(who) => {
                self.say(|| format!("{who:?}: another begins in its place"));
                if let Some(process) = self.processes.get_mut(&who) {
                    process.is_down = false;
                }
                self.moment(who, 0, Moment::Begin);
            }
        }
    }

    fn is_cut(&self, who: Who) -> bool {
        self.processes.get(&who).is_some_and(|process| process.cut_until > self.now)
    }

    fn arrive(&mut self, to: Who, life: u32, what: Arrival) {
        let Some(process) = self.processes.get(&to) else { return };
        if process.life != life || process.is_down {
            return;
        }
        let from_outside = !matches!(what, Arrival::Moment(_));
        if from_outside && process.cut_until > self.now {
            return self.say(|| format!("{to:?}: cut off, does not hear {what:?}"));
        }
        if process.stopped_until > self.now {
            let later = process.stopped_until - self.now;
            return self.at(later, Happening::Arrive { to, life, what });
        }
        if self.point(to) {
            return;
        }
        match to {
            Who::Orchestrator(at) => self.orchestrator_hears(at, what),
            Who::Worker(at) => self.worker_hears(at, what),
        }
    }
}
