//! Thousands of random plans in a world full of accidents, each from a seed that is printed when
//! something is wrong.
//!
//! Reports come late, twice, in any order; attempts land after their deadline; commands are lost in
//! crashes; clocks differ; people cancel, undo, retry and resolve. After every event the properties
//! of the engine hold, and at the end what stands in the world is what the workflow says.

mod properties;
mod random_plan;
mod specialists;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use deadelus_core::{
    Attempt, CheckedPlan, Claim, Command, EffectState, Ending, Event, Input, Refusal, Slot, Status,
    TaskStatus, Workflow, step,
};
use deadelus_proto::{Assignment, Effect, TaskKey};
use fastrand::Rng;

use crate::fixture::{
    cancel, delegate, gate_input_by, pause, report, resolve_stuck, resume, retry_stuck, retry_task,
    skip_task, start, start_shared, undo,
};
use properties::Properties;
use random_plan::random_plan;
use specialists::Specialists;

/// Plans per run: a few seconds. `DEADELUS_PLANS` asks for more.
const PLANS: u64 = 3_000;
/// Steps in which accidents happen; then everything goes well.
const ACCIDENTS: u32 = 250;
/// Steps after which a workflow that has not come to rest hangs.
const STEPS_MAX: u32 = 20_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "a person asks for a seed, or for more plans")]
fn it_always_ends_and_the_world_is_as_it_says() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let only = number("DEADELUS_SEED");
    let plans = number("DEADELUS_PLANS").unwrap_or(PLANS);
    let seeds = only.map_or(0..plans, |seed| seed..seed + 1);
    let mut seen = BTreeMap::<String, u32>::new();
    for seed in seeds {
        let print = PrintSeed(seed);
        let world = World::live(seed);
        world.count(&mut seen);
        if let Some(fork) = world.fork() {
            fork.count(&mut seen);
        }
        drop(print);
    }
    if only.is_none() {
        let rare =
            |what: &str| assert!(seen.get(what).is_some_and(|n| *n >= 10), "{what}: {seen:?}");
        [
            "done",
            "undone",
            "cancelled",
            "rejected",
            "late",
            "stuck",
            "scope closed",
            "timed out",
            "retried",
            "late after the end",
            "held",
            "paused",
            "resumed",
            "retried by a person",
            "left out",
            "left out and taken back",
            "inherited",
            "delegated",
            "escalated",
            "nobody answered",
            "waited for slots",
        ]
        .iter()
        .for_each(|what| rare(what));
    }
}

struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}: again with DEADELUS_SEED={}", self.0, self.0);
        }
    }
}

struct World {
    rng: Rng,
    plan: Arc<CheckedPlan>,
    state: Option<Workflow>,
    now_ms: i64,
    inbox: Vec<Input>,
    specialists: Specialists,
    assigned: BTreeMap<TaskKey, Assignment>,
    properties: Properties,
    /// How much of what can go wrong does, in percent.
    accidents: u8,
}

impl World {
    fn live(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = random_plan(&mut rng);
        let begin = if rng.bool() { start(&plan) } else { start_shared(&plan, &["targets.shop"]) };
        Self::new(rng, plan, begin).live_on()
    }

    /// Now and then a workflow that has ended is forked; the fork begins in a world of its own, where
    /// nothing stands that it only inherited.
    fn fork(mut self) -> Option<Self> {
        let from = self.rng.choice(self.plan.tasks())?.id.clone();
        let fork = self.state.as_ref()?.fork(&from).ok()?;
        let Input::Start { workflow, plan, digest, submitted_by, traceparent, shared, .. } =
            start_shared(&self.plan, &[])
        else {
            return None;
        };
        let fork = Some(fork);
        let begin =
            Input::Start { workflow, plan, digest, submitted_by, traceparent, fork, shared };
        (self.rng.u8(..) < 80).then(|| Self::new(self.rng, self.plan, begin).live_on())
    }

    fn new(mut rng: Rng, plan: Arc<CheckedPlan>, begin: Input) -> Self {
        let accidents = *rng.choice([0, 5, 15, 50, 100].iter()).unwrap();
        Self {
            inbox: vec![begin],
            properties: Properties::default(),
            rng,
            plan,
            state: None,
            now_ms: 1_000_000,
            specialists: Specialists::default(),
            assigned: BTreeMap::new(),
            accidents,
        }
    }

    /// Until it has ended and everything has come to rest.
    fn live_on(mut self) -> Self {
        for steps in 0..STEPS_MAX {
            if steps == ACCIDENTS {
                self.accidents = 0;
            }
            if steps > ACCIDENTS && self.is_at_rest() {
                self.judge();
                return self;
            }
            self.one_step();
        }
        panic!("hangs: {:#?}\n{}", self.state.as_ref().map(Workflow::why), self.plan.json());
    }

    /// Whether something that goes wrong `percent` of the time does so now.
    fn mishap(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < self.accidents && self.rng.u8(0..100) < percent
    }

    fn is_at_rest(&self) -> bool {
        let ended = self.state.as_ref().is_some_and(|w| w.ended().is_some());
        ended && self.inbox.is_empty() && self.specialists.are_idle()
    }

    fn one_step(&mut self) {
        match self.rng.u8(0..10) {
            0..=3 => self.deliver(),
            4..=6 => {
                if let Some((key, news)) = self.specialists.work(&mut self.rng, self.accidents) {
                    self.inbox.push(report(&key, news));
                }
            }
            7 => self.time_passes(),
            8 => self.person_acts(),
            _ => {
                self.redrive();
                self.hand_out();
            }
        }
    }

    /// Any message of the inbox, in any order, now and then one that is delivered again later.
    fn deliver(&mut self) {
        if self.inbox.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.inbox.len());
        let again = self.mishap(15);
        let input = if again { self.inbox[at].clone() } else { self.inbox.swap_remove(at) };
        self.decide(input);
    }

    fn decide(&mut self, input: Input) {
        let before = self.state.clone();
        let step = match step(&mut self.state, input.clone(), self.now_ms) {
            Ok(step) => step,
            Err(Refusal::Impossible(bug)) => panic!("{bug}\n{}", self.plan.json()),
            Err(_) => return assert_eq!(self.state, before, "a refusal changed something"),
        };
        let workflow = self.state.as_ref().unwrap();
        self.properties.hold(before.as_ref(), workflow, &step, &self.plan);
        if input == Input::Tick {
            let now_ms = workflow.moment(self.now_ms);
            let past = |command: &Command| matches!(command, Command::WakeAt(at) if *at <= now_ms);
            assert!(!workflow.outstanding().iter().any(past), "woken for nothing");
        }
        self.twice_is_once(input);
        // A crash between the append and the dispatch: the commands are gone.
        if !self.mishap(20) {
            for command in step.commands {
                if let Command::Dispatch(key) = command {
                    self.dispatch(&key);
                }
            }
        }
    }

    fn twice_is_once(&mut self, input: Input) {
        // A person who asks for another retry asks for another one.
        if !matches!(input, Input::RetryStuck { .. }) {
            let before = self.state.clone();
            if let Ok(again) = step(&mut self.state, input, self.now_ms) {
                assert_eq!(again.events, [], "said twice");
            }
            assert_eq!(self.state, before, "said twice");
        }
    }

    fn dispatch(&mut self, key: &TaskKey) {
        let assignment = self.state.as_ref().unwrap().assignment(key).unwrap();
        let first = self.assigned.entry(key.clone()).or_insert_with(|| assignment.clone());
        assert_eq!(*first, assignment, "one attempt, two assignments");
        self.specialists.assign(&mut self.rng, &self.plan, &assignment, self.accidents);
    }

    /// What the shell does every few seconds and after a crash; a task may be delivered twice.
    fn redrive(&mut self) {
        let outstanding = self.state.as_ref().map(Workflow::outstanding).unwrap_or_default();
        for command in outstanding {
            if let Command::Dispatch(key) = command
                && (self.specialists.are_idle() || self.mishap(25))
            {
                self.dispatch(&key);
            }
        }
    }

    /// Slots that nobody has; now and then somebody hears of it late.
    fn hand_out(&mut self) {
        let claims = self.state.as_ref().map(Workflow::claims).unwrap_or_default();
        let has = |claim: &&Claim| claim.ticket.is_none();
        let mut locks: BTreeSet<&Slot> =
            claims.iter().filter(has).flat_map(|claim| &claim.slots).collect();
        locks.retain(|slot| matches!(slot, Slot::Lock(_)));
        let waiting: Vec<&Claim> = claims.iter().filter(|claim| !has(claim)).collect();
        let Some(claim) = self.rng.choice(&waiting) else { return };
        let Some(ticket) = claim.ticket else { return };
        if claim.slots.iter().any(|slot| locks.contains(slot)) {
            return;
        }
        let (task, direction) = (claim.key.task.clone(), claim.key.direction);
        let attempt = Attempt { task, direction, number: claim.key.attempt };
        self.inbox.push(Input::SlotsHeld { attempt, ticket });
    }

    fn time_passes(&mut self) {
        let Some(workflow) = &self.state else { return };
        let wake = workflow.outstanding().into_iter().find_map(|command| match command {
            Command::WakeAt(at) => Some(at),
            Command::Dispatch(_) => None,
        });
        let to_wake = wake.unwrap_or(self.now_ms) - self.now_ms;
        let at_leisure = self.specialists.are_idle() && self.inbox.is_empty();
        self.now_ms += if self.mishap(30) || (at_leisure && self.rng.bool()) {
            to_wake
        } else if self.mishap(10) {
            -self.rng.i64(0..3_000)
        } else {
            self.rng.i64(0..500)
        };
        self.decide(Input::Tick);
    }

    fn person_acts(&mut self) {
        let Some(workflow) = &self.state else { return };
        let gates = workflow.open_gates().map(|(gate, state)| (gate.to_string(), &state.asks));
        let gates: Vec<(String, String)> = gates.map(|(gate, who)| (gate, who.clone())).collect();
        let stuck = workflow.tasks().find(|(_, task)| task.status() == TaskStatus::Stuck);
        let stuck = stuck.map(|(spec, _)| spec.id.clone());
        let gate = self.rng.choice(&gates).cloned();
        let task = self.rng.choice(self.plan.tasks()).map(|spec| spec.id.to_string()).unwrap();
        let held = workflow.tasks().find(|(_, task)| task.status() == TaskStatus::Held);
        let held = held.map(|(spec, _)| spec.id.to_string());
        let input = match (workflow.status(), stuck, gate) {
            _ if self.mishap(4) => cancel(),
            _ if self.mishap(10) => pause(),
            _ if self.mishap(5) => retry_task(&task),
            _ if self.mishap(10) => skip_task(&task),
            (Status::Paused, ..) => match held {
                Some(held) if self.rng.bool() => retry_task(&held),
                Some(held) if self.mishap(40) => skip_task(&held),
                Some(_) | None => resume(),
            },
            (Status::Ended(Ending::Done), ..) if self.mishap(50) => undo(),
            (_, Some(task), _) if self.mishap(40) => {
                self.specialists.world.remove(&task);
                resolve_stuck(task.as_str())
            }
            (_, Some(_), _) => retry_stuck(),
            (.., Some((gate, _))) if self.mishap(20) => {
                let who = *self.rng.choice(["ada", "grace", "carol"].iter()).unwrap();
                delegate(&gate, who)
            }
            (.., Some((gate, asked))) => {
                let approve = !self.mishap(20);
                // Now and then by somebody who is not asked, and who is refused.
                let ada = asked.is_empty() || self.rng.u8(..) < 20;
                let by = if ada { "ada" } else { &asked };
                gate_input_by(&self.plan, &gate, approve, by)
            }
            (.., None) => return,
        };
        self.decide(input);
    }

    /// What stands in the world is what the workflow says, and the log alone says the same.
    fn judge(&self) {
        let workflow = self.state.as_ref().unwrap();
        for (spec, task) in workflow.tasks().filter(|(spec, _)| spec.effect.changes()) {
            let stands = self.specialists.world.contains_key(&spec.id);
            if task.is_inherited {
                assert!(!stands, "{} was done again", spec.id);
                continue;
            }
            if spec.effect == Effect::Pivot {
                let told = workflow.residue().iter().any(|r| r.task == spec.id);
                let done = task.status() == TaskStatus::Done;
                assert!(!stands || told || done, "{} stands and nobody says so", spec.id);
                continue;
            }
            let said = task.status() == TaskStatus::Done;
            let story = || self.properties.story(&spec.id);
            assert_eq!(stands, said, "{} is {}:\n{}", spec.id, task.status(), story());
            let kept = workflow.status() == Status::Ended(Ending::Done);
            assert!(kept || !stands, "{} is left over", spec.id);
        }
        self.properties.replay(workflow);
    }

    fn count(&self, seen: &mut BTreeMap<String, u32>) {
        let mut count = |what: &str| *seen.entry(what.to_owned()).or_default() += 1;
        let (ending, _) = self.state.as_ref().and_then(Workflow::ended).unwrap();
        count(ending.as_str());
        let mut ended = false;
        for event in self.properties.events() {
            match event {
                Event::LateEffect { .. } => {
                    count("late");
                    if ended {
                        count("late after the end");
                    }
                }
                Event::StuckRetried { .. } | Event::StuckResolved { .. } => count("stuck"),
                Event::ScopeClosed { .. } => count("scope closed"),
                Event::TaskHeld { .. } => count("held"),
                Event::TaskInherited { .. } => count("inherited"),
                Event::GateDelegated { by, .. } if by.is_empty() => count("escalated"),
                Event::GateDelegated { .. } => count("delegated"),
                Event::GateDecided { by, .. } if by.is_empty() => count("nobody answered"),
                Event::Paused { .. } => count("paused"),
                Event::Resumed { .. } => count("resumed"),
                Event::TaskRetried { .. } => count("retried by a person"),
                Event::TaskSkipped { task, by, .. } if !by.is_empty() => {
                    count("left out");
                    let (_, state) = self.state.as_ref().unwrap().task(task).unwrap();
                    if matches!(state.effect, EffectState::Undone(_)) {
                        count("left out and taken back");
                    }
                }
                Event::TaskTimedOut { .. } => count("timed out"),
                Event::RetryScheduled { .. } => count("retried"),
                Event::SlotsAwaited { .. } => count("waited for slots"),
                Event::Ended { .. } => ended = true,
                Event::Accepted { .. }
                | Event::GateOpened { .. }
                | Event::GateDecided { .. }
                | Event::TaskRequested { .. }
                | Event::UndoRecorded { .. }
                | Event::TaskDone { .. }
                | Event::TaskFailed { .. }
                | Event::TaskSkipped { .. }
                | Event::ScopeClosing { .. }
                | Event::TakeBackOrdered { .. } => {}
            }
        }
    }
}
