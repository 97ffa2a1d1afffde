//! The whole mesh in one thread, on virtual time, with everything going wrong that may.
//!
//! The desks, the append protocol and the decisions are the real ones; the shell around them
//! (`orchestrator.rs`), the specialists and the bus are models of a few hundred lines. Chance comes
//! from one seed: the same seed tells the same story, byte by byte, and a seed that fails is told
//! with everything that happened.
//!
//! Harder than the real mesh in one way: there are no leases, so every replica drives everything, and
//! the log alone keeps them right.
//!
//! ```text
//! cargo test -p deadelus-sim                       some thousand seeds, and the failure table
//! DEADELUS_SEED=42 cargo test -p deadelus-sim      one of them, told from beginning to end
//! cargo run -p deadelus-sim -- --seeds 1000000     for nights; --from N begins elsewhere
//! ```
//!
//! With every quirk of [`Quirks`] but the last two the mesh must be safe and live: every workflow
//! ends, dependencies and locks hold, an attempt has one terminal report, what stands in the world is
//! what the log says. With those two the damage must be noticed, and nothing dispatched after it was.
//! It must never reach for a real clock, a socket or a thread.

mod accidents;
mod bus;
mod effects;
mod judge;
mod orchestrator;
mod people;
pub mod plans;
mod quirks;
mod server;
mod specialist;
mod world;

use std::{collections::BTreeMap, fmt, sync::Arc};

use deadelus_core::{CheckedPlan, Event};
use fastrand::Rng;

pub use quirks::Quirks;
use world::World;

/// Accidents happen for this long, in milliseconds of the world's time; then everything goes well.
const CHAOS_MS: i64 = 60_000;

/// A world to live through.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Of all chance.
    pub seed: u64,
    /// What goes wrong.
    pub quirks: Quirks,
    /// For how long, in milliseconds.
    pub chaos_ms: i64,
    /// Replicas of the orchestrator.
    pub orchestrators: usize,
    /// Replicas of each specialist.
    pub workers: usize,
    /// Workflows at once.
    pub workflows: usize,
    /// Of all of them; each has a random one without it.
    pub plan: Option<Arc<CheckedPlan>>,
    /// One accident at a point that is chosen.
    pub strike: Option<Strike>,
}

/// A process dies, or stops, just before it hears something or carries out an act.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    /// A specialist, or else an orchestrator.
    pub at_worker: bool,
    /// Before the how-manieth thing that processes of its kind do, from 1.
    pub point: u64,
    /// It stops for this many milliseconds, and dies if 0.
    pub pause_ms: i64,
}

/// How a world ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lived {
    /// How often what happened: endings, events, alarms.
    pub seen: BTreeMap<String, u64>,
    /// Points at which an orchestrator, and a specialist, might have died.
    pub points: [u64; 2],
    /// Decisions by their cause, over all workflows.
    pub causes: BTreeMap<String, u32>,
    /// What people and specialists were told is wrong with their letters.
    pub refused: Vec<String>,
    /// The log, all of it.
    pub log: Vec<u8>,
    /// What happened, if it was to be told.
    pub story: Vec<String>,
}

/// What did not hold, with everything it takes to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What did not hold.
    pub problem: String,
    /// The seed and the switches.
    pub setup: String,
    /// Everything that happened, a line each: milliseconds, who, what.
    pub story: Vec<String>,
}

impl Setup {
    /// Everything by chance, from one seed.
    pub fn random(seed: u64) -> Self {
        // Not the generator of the world, so that a switch can be turned and the rest stays.
        let mut rng = Rng::with_seed(seed ^ 0x5eed);
        let mut quirks = Quirks::random(&mut rng);
        match rng.u8(0..16) {
            0 => quirks.double_winner = 40,
            1 => quirks.lost_tail = 8,
            _ => {}
        }
        Self {
            orchestrators: rng.usize(1..=3),
            workers: rng.usize(1..=2),
            workflows: rng.usize(1..=3),
            ..Self::quiet(seed, quirks)
        }
    }

    /// Two orchestrators, two of each specialist, one workflow.
    pub fn quiet(seed: u64, quirks: Quirks) -> Self {
        let (orchestrators, workers, workflows) = (2, 2, 1);
        let (plan, strike) = (None, None);
        Self { seed, quirks, chaos_ms: CHAOS_MS, orchestrators, workers, workflows, plan, strike }
    }

    /// Lives through it.
    ///
    /// # Errors
    /// What did not hold.
    pub fn live(&self) -> Result<Lived, Box<Broken>> {
        let world = self.through(false);
        if world.problem().is_none() {
            return Ok(lived(&world));
        }
        // The same once more, told.
        let world = self.through(true);
        let problem =
            world.problem().unwrap_or("nothing, when it is told: it is not deterministic");
        let (setup, story) = (self.to_string(), world.story().to_vec());
        Err(Box::new(Broken { problem: problem.to_owned(), setup, story }))
    }

    /// The same, told, however it ends.
    pub fn tell(&self) -> Lived {
        lived(&self.through(true))
    }

    /// Lives through it after a report came for a workflow that nobody has ever started.
    ///
    /// # Errors
    /// What did not hold.
    pub fn live_with_a_stranger(&self) -> Result<Lived, Box<Broken>> {
        let mut world = World::new(self, true);
        world.stranger();
        let world = through(world);
        match world.problem() {
            None => Ok(lived(&world)),
            Some(problem) => {
                let (problem, setup) = (problem.to_owned(), self.to_string());
                Err(Box::new(Broken { problem, setup, story: world.story().to_vec() }))
            }
        }
    }

    fn through(&self, tell: bool) -> World {
        through(World::new(self, tell))
    }
}

fn through(mut world: World) -> World {
    world.run();
    if world.problem().is_none() {
        world.judge_the_end();
    }
    world
}

fn lived(world: &World) -> Lived {
    let mut lived = Lived {
        points: world.points,
        refused: world.refused.clone(),
        story: world.story().to_vec(),
        log: world.log.all().iter().flat_map(|entry| entry.bytes.to_vec()).collect(),
        ..Lived::default()
    };
    let mut count = |what: &str, n: u64| *lived.seen.entry(what.to_owned()).or_default() += n;
    count("repeated effects", world.effects.repeated);
    count("left to another", world.effects.left);
    count("lines lost", world.lines_lost);
    count("not begun", world.given_up);
    count("slots waited for", world.waits_for_slots);
    count("noticed damage", world.known_damaged.len() as u64);
    for judge in world.judges.values() {
        for (cause, n) in &judge.causes {
            *lived.causes.entry(cause.clone()).or_default() += n;
        }
        count("alarms", judge.alarms.len() as u64);
        for event in judge.events() {
            count(name(event), 1);
        }
        count("landed by another", judge.landed_by_another());
        if let Some((ending, _)) = judge.workflow().and_then(|workflow| workflow.ended()) {
            count(ending.as_str(), 1);
        }
    }
    lived
}

fn name(event: &Event) -> &'static str {
    match event {
        Event::Accepted { .. } => "accepted",
        Event::GateOpened { .. } => "gate opened",
        Event::GateDecided { .. } => "gate decided",
        Event::TaskRequested { .. } => "requested",
        Event::UndoRecorded { .. } => "undo recorded",
        Event::TaskDone { .. } => "task done",
        Event::TaskFailed { .. } => "task failed",
        Event::TaskTimedOut { .. } => "timed out",
        Event::SlotsAwaited { .. } => "waited for slots",
        Event::RetryScheduled { .. } => "retried",
        Event::TaskSkipped { .. } => "skipped",
        Event::ScopeClosing { .. } => "scope closing",
        Event::ScopeClosed { .. } => "scope closed",
        Event::TakeBackOrdered { .. } => "take back",
        Event::LateEffect { .. } => "late effect",
        Event::StuckRetried { .. } => "stuck retried",
        Event::StuckResolved { .. } => "stuck resolved",
        Event::TaskInherited { .. } => "inherited",
        Event::GateDelegated { .. } => "gate delegated",
        Event::TaskHeld { .. } => "held",
        Event::TaskRetried { .. } => "retried by a person",
        Event::Paused { .. } => "paused",
        Event::Resumed { .. } => "resumed",
        Event::Ended { .. } => "ended",
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, quirks, orchestrators, workers, workflows, strike, .. } = self;
        write!(
            f,
            "seed {seed}: {orchestrators} orchestrators, {workers} of each specialist, \
             {workflows} workflows, {quirks}"
        )?;
        strike.iter().try_for_each(|strike| write!(f, ", {strike:?}"))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{}", self.setup)?;
        write!(f, "{}", self.problem)
    }
}
