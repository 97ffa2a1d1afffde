//! The specialists of the simulated world, and what really stands in it.
//!
//! They keep to the contract and to nothing more: the way back is announced before the effect, and
//! every assignment that is not lost ends in a report, after which nobody begins it again. In
//! between they are slow, die and are replaced, work side by side, and are unsure.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_core::CheckedPlan;
use deadelus_proto::{
    Aftermath, Assignment, Direction, ErrorClass, Failure, News, TaskId, TaskKey, Undo,
};
use fastrand::Rng;
use serde_json::{Value, json};

use crate::fixture::done;

/// A worker that dies more often than this is replaced by one that does not.
const DEATHS_MAX: u32 = 3;

#[derive(Debug, Default)]
pub(crate) struct Specialists {
    /// Which effects stand, and which job put each there.
    pub(crate) world: BTreeMap<TaskId, u64>,
    jobs: Vec<Job>,
    born: u64,
    /// Assignments that were answered: the effect ledger knows them and nothing begins again.
    answered: BTreeSet<TaskKey>,
    /// Tasks that the ledger has as done.
    finished: BTreeSet<TaskId>,
}

#[derive(Debug)]
struct Job {
    id: u64,
    key: TaskKey,
    way_back: Option<Undo>,
    changes: bool,
    steps: Vec<Act>,
    deaths: u32,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    Announce,
    Land,
    TakeBackOwn,
    Remove,
    Say(Box<News>),
}

impl Specialists {
    pub(crate) fn are_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(crate) fn assign(
        &mut self,
        rng: &mut Rng,
        plan: &CheckedPlan,
        assignment: &Assignment,
        accidents: u8,
    ) {
        let spec = plan.task(&assignment.key.task).unwrap();
        let way_back = spec.undo.clone().map(|(capability, class)| {
            let inputs = json!({"text": format!("before {}", spec.id)});
            Undo { capability, inputs, class, residue: vec![] }
        });
        self.take_on(rng, assignment.key.clone(), way_back, spec.effect.changes(), 0, accidents);
    }

    fn take_on(
        &mut self,
        rng: &mut Rng,
        key: TaskKey,
        way_back: Option<Undo>,
        changes: bool,
        deaths: u32,
        accidents: u8,
    ) {
        if self.answered.contains(&key) {
            return;
        }
        self.born += 1;
        let mut steps = match key.direction {
            Direction::Do => doing(rng, changes, way_back.is_some(), accidents),
            Direction::Undo => undoing(rng, accidents),
        };
        steps.reverse();
        self.jobs.push(Job { id: self.born, key, way_back, changes, steps, deaths });
    }

    /// One step of one job; what it says goes to the inbox.
    pub(crate) fn work(&mut self, rng: &mut Rng, accidents: u8) -> Option<(TaskKey, News)> {
        if self.jobs.is_empty() {
            return None;
        }
        let at = rng.usize(..self.jobs.len());
        if rng.u8(0..100) < accidents && rng.u8(..) < 20 && self.jobs[at].deaths < DEATHS_MAX {
            let Job { key, way_back, changes, deaths, .. } = self.jobs.swap_remove(at);
            self.take_on(rng, key, way_back, changes, deaths + 1, accidents);
            return None;
        }
        let job = &mut self.jobs[at];
        let (id, key) = (job.id, job.key.clone());
        let act = job.steps.pop();
        let way_back = job.way_back.clone();
        if job.steps.is_empty() {
            self.jobs.swap_remove(at);
        }
        match act? {
            Act::Announce => way_back.map(|undo| (key, News::UndoRecorded(undo))),
            Act::Land => {
                // One effect per key: who does it again takes it over.
                let by = self.world.entry(key.task).or_insert(id);
                *by = id.max(*by);
                None
            }
            Act::TakeBackOwn => {
                if self.is_its_alone(&key, id) {
                    self.world.remove(&key.task);
                }
                None
            }
            Act::Remove => {
                self.world.remove(&key.task);
                None
            }
            Act::Say(news) => {
                let news = self.reconciled(&key, *news);
                self.answered(&key, &news);
                Some((key, news))
            }
        }
    }

    /// Nobody takes back on its own what another delivery has done or is about to report.
    fn is_its_alone(&self, key: &TaskKey, id: u64) -> bool {
        let mut others = self.jobs.iter().filter(|job| job.key.task == key.task && job.id != id);
        let shared = others.any(|job| !job.steps.contains(&Act::Land));
        let finished = self.finished.contains(&key.task);
        self.world.get(&key.task) == Some(&id) && !finished && !shared
    }

    /// Whoever says that nothing is there has looked, and another delivery may have put it there.
    fn reconciled(&self, key: &TaskKey, news: News) -> News {
        let stands = key.direction == Direction::Do && self.world.contains_key(&key.task);
        match news {
            News::Failed(failure) if stands && failure.aftermath != Aftermath::Partial => {
                News::Failed(Failure { aftermath: Aftermath::Unknown, ..failure })
            }
            News::Failed(_) | News::Done(_) | News::UndoRecorded(_) => news,
        }
    }

    /// One answer per assignment: it is acknowledged, and whoever else got the same one and has not
    /// begun leaves it alone.
    fn answered(&mut self, key: &TaskKey, news: &News) {
        if key.direction == Direction::Do && matches!(news, News::Done(_)) {
            self.finished.insert(key.task.clone());
        }
        if !matches!(news, News::UndoRecorded(_)) {
            self.answered.insert(key.clone());
            self.jobs.retain(|job| job.key != *key || !job.steps.contains(&Act::Land));
        }
    }
}

fn doing(rng: &mut Rng, changes: bool, has_way_back: bool, accidents: u8) -> Vec<Act> {
    let success = says_done(json!({"n": rng.u32(0..8)}));
    let mut steps = if has_way_back { vec![Act::Announce] } else { vec![] };
    let mut land = || {
        if changes {
            steps.push(Act::Land);
        }
    };
    let mishap = rng.u8(0..100) < accidents && rng.bool();
    match if mishap { rng.u8(13..20) } else { 0 } {
        0..13 => {
            land();
            steps.push(success);
        }
        13 => steps.push(fails(ErrorClass::Unavailable, Aftermath::Untouched)),
        14 => {
            // Refused before anything was announced.
            let class =
                if rng.bool() { ErrorClass::Denied } else { ErrorClass::PreconditionFailed };
            return vec![fails(class, Aftermath::Untouched)];
        }
        15 => {
            land();
            steps.push(Act::TakeBackOwn);
            steps.push(fails(ErrorClass::CheckFailed, Aftermath::TakenBack));
        }
        16 | 17 => {
            if rng.bool() {
                land();
            }
            steps.push(fails(ErrorClass::UnknownOutcome, Aftermath::Unknown));
        }
        18 => {
            land();
            let class = if rng.bool() { ErrorClass::Conflict } else { ErrorClass::Unavailable };
            let left = if changes { Aftermath::Partial } else { Aftermath::Untouched };
            steps.push(fails(class, left));
        }
        // Lost on the way: nobody ever works on it.
        _ => return vec![],
    }
    steps
}

fn undoing(rng: &mut Rng, accidents: u8) -> Vec<Act> {
    let success = vec![Act::Remove, says_done(json!({}))];
    let mishap = rng.u8(0..100) < accidents && rng.bool();
    match if mishap { rng.u8(8..12) } else { 0 } {
        0..8 => success,
        8 => vec![fails(ErrorClass::Unavailable, Aftermath::Untouched)],
        9 => vec![Act::Remove, fails(ErrorClass::UnknownOutcome, Aftermath::Unknown)],
        10 => vec![fails(ErrorClass::UndoFailed, Aftermath::Partial)],
        _ => vec![],
    }
}

fn fails(class: ErrorClass, aftermath: Aftermath) -> Act {
    let failure = Failure { aftermath, ..Failure::new(class, "an accident") };
    Act::Say(Box::new(News::Failed(failure)))
}

fn says_done(outputs: Value) -> Act {
    Act::Say(Box::new(News::Done(done(outputs))))
}
