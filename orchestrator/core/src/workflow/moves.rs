//! The moves of one task: what an event makes of its state. `None`: not from here, and nothing has
//! changed.

use std::sync::Arc;

use deadelus_proto::{Aftermath, Direction, Done, Effect, ErrorClass, Failure, Undo};

use super::{Awaits, EffectState, InFlight, Progress, Skip, TaskState};
use crate::{
    event::{Attempt, Told},
    fork::Kept,
    plan::CheckedTask,
};

impl TaskState {
    pub(super) fn requested(
        &mut self,
        attempt: &Attempt,
        in_flight: InFlight,
        event: u64,
    ) -> Option<()> {
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Waiting | Progress::Again { .. }, _)
                if attempt.number == self.attempt + 1 =>
            {
                self.attempt = attempt.number;
                self.asked_at = event;
                self.awaits = None;
                self.progress = Progress::Doing(in_flight);
                Some(())
            }
            (Direction::Undo, _, EffectState::Stands | EffectState::UndoAgain { .. })
                if attempt.number == self.undo_attempt + 1 =>
            {
                self.undo_attempt = attempt.number;
                self.awaits = None;
                self.effect = EffectState::Undoing(in_flight);
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    /// It will be asked for once it has its slots.
    pub(super) fn slots_awaited(&mut self, attempt: &Attempt, ticket: u64, at: i64) -> Option<()> {
        let next = match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Waiting | Progress::Again { .. }, _) => self.attempt + 1,
            (Direction::Undo, _, EffectState::Stands | EffectState::UndoAgain { .. }) => {
                self.undo_attempt + 1
            }
            (Direction::Do | Direction::Undo, _, _) => return None,
        };
        let (direction, number) = (attempt.direction, attempt.number);
        let awaits = Awaits { direction, number, ticket, since_unix_ms: at };
        self.awaits = Some(Box::new(awaits));
        (number == next).then_some(())
    }

    /// `Some(true)` when the effect must now be assumed although its attempt was given up.
    pub(super) fn recorded(&mut self, attempt: u32, undo: &Undo, told: &Told) -> Option<bool> {
        let again = self.heard.of(attempt, told).is_some_and(|go| go.announced);
        if again || !(1..=self.attempt).contains(&attempt) {
            return None;
        }
        let go = self.heard.by(attempt, told);
        go.announced = true;
        let over = go.is_over();
        // It could not be taken back for want of this record only.
        let waited = self.undo.is_none() && matches!(self.effect, EffectState::Stuck(_));
        self.undo.get_or_insert_with(|| undo.clone());
        let current = self.is_doing() && attempt == self.attempt;
        let assumed = !current && !over && !self.stands();
        if waited {
            self.effect = EffectState::Stands;
        } else if assumed {
            self.new_effect();
        }
        Some(waited || assumed)
    }

    pub(super) fn done_by(
        &mut self,
        attempt: &Attempt,
        done: &Arc<Done>,
        told: &Told,
        spec: &CheckedTask,
    ) -> Option<()> {
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Doing(_) | Progress::Again { .. } | Progress::Held(_), _)
                if (1..=self.attempt).contains(&attempt.number) =>
            {
                self.progress = Progress::Done(Arc::clone(done));
                self.told = told.clone();
                self.heard.by(attempt.number, told).landed = true;
                if spec.effect.changes() {
                    self.effect = EffectState::Stands;
                }
                Some(())
            }
            (
                Direction::Undo,
                _,
                EffectState::Undoing(_) | EffectState::UndoAgain { .. } | EffectState::Stuck(_),
            ) if self.undo_counts(attempt.number) => {
                let known = self.undo.iter().flat_map(|u| &u.residue);
                let mut residue: Vec<String> = done.residue.iter().chain(known).cloned().collect();
                residue.sort();
                residue.dedup();
                self.effect = EffectState::Undone(residue);
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    pub(super) fn failed_by(
        &mut self,
        attempt: &Attempt,
        failure: &Failure,
        told: &Told,
        spec: &CheckedTask,
    ) -> Option<()> {
        let number = attempt.number;
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Doing(_), _) if number == self.attempt => {
                self.heard.by(number, told).failed = Some(failure.aftermath);
                self.told = told.clone();
                self.give_up(failure.clone(), spec);
                Some(())
            }
            // Never asked: its inputs could not be resolved, or a person said no.
            (Direction::Do, Progress::Waiting, _) if number == self.attempt + 1 => {
                self.told = told.clone();
                self.progress = Progress::Failed(failure.clone());
                Some(())
            }
            (Direction::Undo, _, EffectState::Undoing(_)) if number == self.undo_attempt => {
                self.effect = EffectState::Stuck(failure.clone());
                Some(())
            }
            // Never asked: there is no way back that could be asked for.
            (Direction::Undo, _, EffectState::Stands) if number == self.undo_attempt + 1 => {
                self.effect = EffectState::Stuck(failure.clone());
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    pub(super) fn timed_out(&mut self, attempt: &Attempt, spec: &CheckedTask) -> Option<()> {
        let failure = Failure::new(ErrorClass::UnknownOutcome, "nobody answered by the deadline");
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Doing(_), _) if attempt.number == self.attempt => {
                self.give_up(failure, spec);
                Some(())
            }
            (Direction::Undo, _, EffectState::Undoing(_))
                if attempt.number == self.undo_attempt =>
            {
                self.effect = EffectState::Stuck(failure);
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    /// A failed attempt may have left something behind. No effect begins before it is announced
    /// with its way back, so where nothing was announced and nothing is known, nothing stands.
    fn give_up(&mut self, failure: Failure, spec: &CheckedTask) {
        let begun = self.heard.has_begun(self.attempt) || spec.effect == Effect::Pivot;
        match failure.aftermath {
            Aftermath::Partial if spec.effect.changes() => self.effect = EffectState::Stands,
            Aftermath::Unknown if begun => self.effect = EffectState::Stands,
            // Who landed late may have done so after this one was taken back.
            Aftermath::TakenBack if !self.heard.anybody_landed() => self.effect = EffectState::None,
            Aftermath::TakenBack
            | Aftermath::Partial
            | Aftermath::Unknown
            | Aftermath::Untouched => {}
        }
        self.progress = Progress::Failed(failure);
    }

    pub(super) fn retry(&mut self, attempt: &Attempt, not_before_unix_ms: i64) -> Option<()> {
        match (attempt.direction, &self.progress, &self.effect) {
            (Direction::Do, Progress::Failed(failure), _) if attempt.number == self.attempt + 1 => {
                let failure = failure.clone();
                self.progress = Progress::Again { failure, not_before_unix_ms };
                Some(())
            }
            (Direction::Undo, _, EffectState::Stuck(failure))
                if attempt.number == self.undo_attempt + 1 =>
            {
                let failure = failure.clone();
                self.effect = EffectState::UndoAgain { failure, not_before_unix_ms };
                Some(())
            }
            (Direction::Do | Direction::Undo, _, _) => None,
        }
    }

    /// The plan passes over what has not begun; a person also over what is between two tries.
    pub(super) fn skipped(&mut self, skip: Skip) -> Option<()> {
        let by_a_person = !skip.by.is_empty();
        let may = match self.progress {
            Progress::Waiting => true,
            Progress::Again { .. } | Progress::Held(_) => by_a_person,
            Progress::Doing(_) | Progress::Done(_) | Progress::Failed(_) | Progress::Skipped(_) => {
                false
            }
        };
        if may {
            self.progress = Progress::Skipped(skip);
        }
        may.then_some(())
    }

    pub(super) fn inherited(&mut self, result: &Kept) -> Option<()> {
        if self.progress != Progress::Waiting || self.attempt > 0 {
            return None;
        }
        self.is_inherited = true;
        self.progress = match result {
            Kept::Done(done) => Progress::Done(Arc::clone(done)),
            Kept::Skipped(skip) => Progress::Skipped(skip.clone()),
        };
        Some(())
    }

    pub(super) fn held(&mut self) -> Option<()> {
        let Progress::Failed(failure) = &self.progress else { return None };
        self.progress = Progress::Held(failure.clone());
        Some(())
    }

    pub(super) fn try_again(&mut self, at_unix_ms: i64) -> Option<()> {
        let (Progress::Held(failure) | Progress::Again { failure, .. }) = &self.progress else {
            return None;
        };
        let failure = failure.clone();
        self.tries_from = self.attempt + 1;
        self.progress = Progress::Again { failure, not_before_unix_ms: at_unix_ms };
        Some(())
    }

    pub(super) fn late_effect(&mut self, attempt: u32, told: &Told) -> Option<()> {
        let current = self.is_doing() && attempt == self.attempt;
        if current || !(1..=self.attempt).contains(&attempt) {
            return None;
        }
        self.heard.by(attempt, told).landed = true;
        self.new_effect();
        Some(())
    }

    /// Undos asked for before do not count against an effect that is new.
    fn new_effect(&mut self) {
        self.undo_from = self.undo_attempt + 1;
        if !matches!(self.effect, EffectState::Stuck(_)) {
            self.effect = EffectState::Stands;
        }
    }

    pub(super) fn retry_undo(&mut self) {
        if matches!(self.effect, EffectState::Stuck(_)) {
            self.effect = EffectState::Stands;
            self.undo_from = self.undo_attempt + 1;
        }
    }

    pub(super) fn resolved(&mut self, by: &str, reason: &str) -> Option<()> {
        if !matches!(self.effect, EffectState::Stuck(_)) {
            return None;
        }
        self.effect = EffectState::Undone(vec![format!("taken back by hand by {by}: {reason}")]);
        Some(())
    }

    /// Nothing of the scope or the workflow starts any more.
    pub(super) fn call_off_retry(&mut self) {
        if let Progress::Again { failure, .. } | Progress::Held(failure) = &self.progress {
            self.progress = Progress::Failed(failure.clone());
        }
    }
}
