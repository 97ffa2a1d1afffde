//! What was tried when: every attempt of every task, done and taken back, with who did it and what
//! came of it. A pure reading of the log, for waterfalls, lists of incidents and live displays.

use std::collections::BTreeMap;

use deadelus_core::{Attempt, Event, Workflow};
use deadelus_proto::{Direction, TaskId};
use serde::Serialize;

use crate::history::{Entry, History};

/// One try.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Try {
    /// The task.
    pub task: TaskId,
    /// `do` or `undo`.
    pub direction: Direction,
    /// From 1.
    pub number: u32,
    /// When it was asked for, in milliseconds since the epoch.
    pub asked_unix_ms: i64,
    /// When a specialist began, as it says; none before it has spoken.
    pub begun_unix_ms: Option<i64>,
    /// When it was over.
    pub over_unix_ms: Option<i64>,
    /// What came of it.
    pub outcome: Outcome,
    /// Who did it: `db-7f3a`.
    pub instance: String,
    /// How often it was handed out; more than once means that a worker was lost.
    pub deliveries: u64,
    /// It was found done by an earlier delivery, and not done again.
    pub reconciled: bool,
    /// Why it failed; may be empty.
    pub message: String,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nobody has answered yet.
    Open,
    Done,
    Failed,
    /// The deadline passed.
    TimedOut,
    /// The workflow was over before anybody answered.
    Dropped,
}

/// Every try in the order in which it was asked for.
pub fn tries(history: &History) -> Vec<Try> {
    let mut tries = Tries::default();
    history.entries().iter().for_each(|entry| tries.take(entry));
    let ended = history.workflow().is_some_and(|w| w.ended().is_some());
    let mut tries = tries.all;
    for open in tries.iter_mut().filter(|t| ended && t.outcome == Outcome::Open) {
        open.outcome = Outcome::Dropped;
    }
    tries
}

/// When it was accepted, and when the last thing happened.
pub fn extent(workflow: &Workflow) -> (i64, i64) {
    (workflow.accepted_unix_ms(), workflow.last_unix_ms())
}

#[derive(Default)]
struct Tries {
    all: Vec<Try>,
    index: BTreeMap<Attempt, usize>,
}

impl Tries {
    fn take(&mut self, entry: &Entry) {
        let at = entry.at_unix_ms;
        match &entry.event {
            Event::TaskRequested { attempt, .. } => self.open(attempt, at),
            Event::TaskDone { attempt, done, told } => {
                let one = self.of(attempt, at);
                one.reconciled = done.reconciled;
                one.told(told, at, Outcome::Done);
            }
            Event::TaskFailed { attempt, failure, told } => {
                let one = self.of(attempt, at);
                one.message = failure.to_string();
                one.told(told, at, Outcome::Failed);
            }
            Event::TaskTimedOut { attempt } => {
                let one = self.of(attempt, at);
                "nobody answered by the deadline".clone_into(&mut one.message);
                (one.outcome, one.over_unix_ms) = (Outcome::TimedOut, Some(at));
            }
            Event::Accepted { .. }
            | Event::TaskInherited { .. }
            | Event::GateOpened { .. }
            | Event::GateDelegated { .. }
            | Event::GateDecided { .. }
            | Event::UndoRecorded { .. }
            | Event::SlotsAwaited { .. }
            | Event::RetryScheduled { .. }
            | Event::TaskHeld { .. }
            | Event::TaskRetried { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::TaskSkipped { .. }
            | Event::ScopeClosing { .. }
            | Event::ScopeClosed { .. }
            | Event::TakeBackOrdered { .. }
            | Event::LateEffect { .. }
            | Event::StuckRetried { .. }
            | Event::StuckResolved { .. }
            | Event::Ended { .. } => {}
        }
    }

    fn open(&mut self, attempt: &Attempt, at: i64) {
        self.index.insert(attempt.clone(), self.all.len());
        self.all.push(Try {
            task: attempt.task.clone(),
            direction: attempt.direction,
            number: attempt.number,
            asked_unix_ms: at,
            begun_unix_ms: None,
            over_unix_ms: None,
            outcome: Outcome::Open,
            instance: String::new(),
            deliveries: 0,
            reconciled: false,
            message: String::new(),
        });
    }

    /// The try of this attempt; what failed before anybody was asked begins and ends at once.
    fn of(&mut self, attempt: &Attempt, at: i64) -> &mut Try {
        if !self.index.contains_key(attempt) {
            self.open(attempt, at);
        }
        let last = self.all.len() - 1;
        let at = self.index.get(attempt).copied().unwrap_or(last);
        &mut self.all[at]
    }
}

impl Try {
    fn told(&mut self, told: &deadelus_core::Told, at: i64, outcome: Outcome) {
        self.outcome = outcome;
        self.instance.clone_from(&told.instance);
        self.deliveries = told.deliveries;
        let spoke = told.reported_unix_ms > 0;
        self.over_unix_ms = Some(if spoke { told.reported_unix_ms } else { at });
        self.begun_unix_ms = (told.begun_unix_ms > 0).then_some(told.begun_unix_ms);
    }

    /// From the first word of it to the last; `now` for one that is still open.
    pub fn span(&self, now_unix_ms: i64) -> (i64, i64) {
        let from = self.begun_unix_ms.unwrap_or(self.asked_unix_ms).max(self.asked_unix_ms);
        (from, self.over_unix_ms.unwrap_or(now_unix_ms).max(from))
    }
}
