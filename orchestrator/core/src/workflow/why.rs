//! What a workflow waits for, for people: never an empty answer while it has not ended.

use std::fmt;

use deadelus_proto::{Direction, Failure, TaskId, TaskKey};

use super::{EffectState, Progress, Slot, Workflow};
use crate::event::{Attempt, Gate};

/// One thing that a workflow waits for.
#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    /// A person's decision.
    Person {
        /// Where.
        gate: Gate,
        /// Why a person must look.
        reason: String,
        /// Since when, in milliseconds since the epoch.
        since_unix_ms: i64,
        /// Who alone may answer; empty for anybody.
        asks: String,
        /// When it is answered without anybody, in milliseconds since the epoch.
        deadline_unix_ms: Option<i64>,
    },
    /// A person, because one has paused it or the tries of a task are used up.
    Paused {
        /// The person who paused it; empty where the tries of a task are used up.
        by: String,
        /// Why.
        reason: String,
        /// Since when, in milliseconds since the epoch.
        since_unix_ms: i64,
    },
    /// A person's word on a task whose tries are used up.
    Held {
        /// Which.
        task: TaskId,
        /// How often it was tried.
        tries: u32,
        /// What failed the last time.
        failure: Failure,
    },
    /// A specialist's answer.
    Answer {
        /// Which attempt of what.
        key: TaskKey,
        /// Since when, in milliseconds since the epoch.
        since_unix_ms: i64,
        /// When it is given up, in milliseconds since the epoch.
        deadline_unix_ms: i64,
        /// It was told to stop; whether it took effect is not known yet.
        cancelling: bool,
    },
    /// The time of the next attempt.
    Retry {
        /// The attempt that will start.
        key: TaskKey,
        /// When, in milliseconds since the epoch.
        not_before_unix_ms: i64,
        /// What failed.
        failure: Failure,
    },
    /// A lock that another task of the workflow holds.
    Lock {
        /// Who waits.
        task: TaskId,
        /// For what.
        lock: String,
        /// Who holds it.
        holder: TaskId,
    },
    /// Slots that tasks of other workflows have.
    Slots {
        /// Which attempt of what starts then.
        key: TaskKey,
        /// Of what.
        slots: Vec<Slot>,
        /// Since when, in milliseconds since the epoch.
        since_unix_ms: i64,
    },
    /// A person, because an undo failed.
    Stuck {
        /// The undo of which task.
        task: TaskId,
        /// What failed.
        failure: Failure,
    },
}

impl Wait {
    /// Whether nobody but a person can end it, or at most the end of a person's time.
    pub fn is_for_a_person(&self) -> bool {
        match self {
            Self::Person { .. } | Self::Paused { .. } | Self::Held { .. } | Self::Stuck { .. } => {
                true
            }
            Self::Answer { .. } | Self::Retry { .. } | Self::Lock { .. } | Self::Slots { .. } => {
                false
            }
        }
    }
}

impl Workflow {
    /// Everything it waits for now; empty once it has ended.
    pub fn why(&self) -> Vec<Wait> {
        let mut waits: Vec<Wait> = self
            .open_gates()
            .map(|(gate, state)| Wait::Person {
                gate: gate.clone(),
                reason: state.reason.clone(),
                since_unix_ms: state.since_unix_ms,
                asks: state.asks.clone(),
                deadline_unix_ms: state.deadline_unix_ms,
            })
            .collect();
        if self.ended.is_some() {
            return waits;
        }
        if let Some(pause) = &self.pause {
            let (by, reason) = (pause.by.clone(), pause.reason.clone());
            waits.push(Wait::Paused { by, reason, since_unix_ms: pause.since_unix_ms });
        }
        for at in 0..self.tasks.len() {
            self.why_task(at, &mut waits);
        }
        self.why_locks(&mut waits);
        waits.extend(self.waiting_claims().into_iter().map(|claim| Wait::Slots {
            key: claim.key,
            slots: claim.slots,
            since_unix_ms: claim.since_unix_ms,
        }));
        waits
    }

    fn why_locks(&self, waits: &mut Vec<Wait>) {
        let (held, over) = (self.held_locks(), self.scopes_over());
        let forward = self.order.is_none() && self.pause.is_none() && !self.awaits_approval();
        for (at, (spec, task)) in self.tasks().enumerate() {
            let ready = forward
                && task.progress == Progress::Waiting
                && self.ground_is_firm(at, &over)
                && !self.is_open(&Gate::Task(spec.id.clone()));
            let lock = spec.locks.iter().find_map(|l| Some((l, *held.get(l.as_str())?)));
            if ready && let Some((lock, holder)) = lock {
                let holder = self.plan.tasks()[holder].id.clone();
                waits.push(Wait::Lock { task: spec.id.clone(), lock: lock.clone(), holder });
            }
        }
    }

    fn why_task(&self, at: usize, waits: &mut Vec<Wait>) {
        let (spec, task) = (&self.plan.tasks()[at], &self.tasks[at]);
        let key =
            |direction, number| self.key(Attempt { task: spec.id.clone(), direction, number });
        for (direction, number, in_flight) in task.in_flight() {
            let key = key(direction, number);
            waits.push(Wait::Answer {
                cancelling: self.verdict(&key) == super::Verdict::Cancel,
                key,
                since_unix_ms: in_flight.since_unix_ms,
                deadline_unix_ms: in_flight.deadline_unix_ms,
            });
        }
        if let Progress::Held(failure) = &task.progress {
            let (task, tries) = (spec.id.clone(), task.tries());
            waits.push(Wait::Held { task, tries, failure: failure.clone() });
        }
        if let Progress::Again { failure, not_before_unix_ms } = &task.progress
            && self.pause.is_none()
            && !self.awaits(at, Direction::Do)
        {
            waits.push(Wait::Retry {
                key: key(deadelus_proto::Direction::Do, task.attempt + 1),
                not_before_unix_ms: *not_before_unix_ms,
                failure: failure.clone(),
            });
        }
        match &task.effect {
            EffectState::UndoAgain { failure, not_before_unix_ms } => waits.push(Wait::Retry {
                key: key(deadelus_proto::Direction::Undo, task.undo_attempt + 1),
                not_before_unix_ms: *not_before_unix_ms,
                failure: failure.clone(),
            }),
            EffectState::Stuck(failure) => {
                waits.push(Wait::Stuck { task: spec.id.clone(), failure: failure.clone() });
            }
            EffectState::None
            | EffectState::Stands
            | EffectState::Undoing(_)
            | EffectState::Undone(_) => {}
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { gate, reason, since_unix_ms, asks, deadline_unix_ms } => {
                let who = if asks.is_empty() { "a person" } else { asks };
                let until = deadline_unix_ms.map(|at| format!(" until {}", utc(at)));
                let (since, until) = (utc(*since_unix_ms), until.unwrap_or_default());
                write!(f, "gate {gate}: waits for {who} since {since}{until}: {reason}")
            }
            Self::Paused { by, reason, since_unix_ms } if by.is_empty() => {
                write!(f, "paused since {}: {reason}", utc(*since_unix_ms))
            }
            Self::Paused { by, reason, since_unix_ms } => {
                write!(f, "paused by {by} since {}: {reason}", utc(*since_unix_ms))
            }
            Self::Held { task, tries, failure } => {
                write!(f, "{task}: held after {tries} tries: {failure}")
            }
            Self::Answer { key, since_unix_ms, deadline_unix_ms, cancelling } => {
                let what = if *cancelling { "was told to stop" } else { "is in flight" };
                let (since, deadline) = (utc(*since_unix_ms), utc(*deadline_unix_ms));
                write!(f, "{}: {what} since {since}, deadline {deadline}", attempt(key))
            }
            Self::Retry { key, not_before_unix_ms, failure } => {
                write!(f, "{}: starts {}: {failure}", attempt(key), utc(*not_before_unix_ms))
            }
            Self::Lock { task, lock, holder } => {
                write!(f, "{task}: waits for lock {lock}, which {holder} holds")
            }
            Self::Slots { key, slots, since_unix_ms } => {
                let slots: Vec<String> = slots.iter().map(ToString::to_string).collect();
                let (slots, since) = (slots.join(", "), utc(*since_unix_ms));
                write!(f, "{}: waits for {slots} since {since}", attempt(key))
            }
            Self::Stuck { task, failure } => write!(f, "stuck: undo of {task} failed: {failure}"),
        }
    }
}

fn attempt(key: &TaskKey) -> String {
    let undo = match key.direction {
        deadelus_proto::Direction::Do => "",
        deadelus_proto::Direction::Undo => "undo of ",
    };
    format!("{undo}{}: attempt {}", key.task, key.attempt)
}

/// `2026-01-31T23:59:59Z`, by Howard Hinnant's `civil_from_days`.
fn utc(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (h, m, s) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

#[cfg(test)]
mod tests {
    #[test]
    fn moments_are_written_as_people_read_them() {
        assert_eq!(super::utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::utc(951_827_696_789), "2000-02-29T12:34:56Z");
        assert_eq!(super::utc(1_767_225_599_999), "2025-12-31T23:59:59Z");
        assert_eq!(super::utc(-1), "1969-12-31T23:59:59Z");
    }
}
