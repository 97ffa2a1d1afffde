//! Bounded history: what happens to workflows that ended long ago.
//!
//! After `retention.keep_log` a log becomes one object, and its messages leave the stream; after
//! `retention.archive_for` more the workflow is forgotten. Which step is next is read from the log
//! alone, here, without IO; `archive/house.rs` takes it. Every step may be taken twice, by two
//! replicas at once, and by whoever comes after one that was killed in the middle.
//!
//! What makes it safe is one decision, appended like any other: it says that those before it are in
//! an object, and keeps the workflow's place in the log when their messages are purged. Whoever is
//! slower than that, with a report or an undo, loses the race, reads it, and goes on from there; an
//! old start that comes again finds the place taken.

#[cfg(test)]
mod fixture;
mod house;
#[cfg(test)]
mod tests;

use deadelus_core::{Chain, Keeping};
use deadelus_mesh::lists::Shelf;

use crate::config::{Keep, Retention};
pub(crate) use house::House;

/// Between the decision to forget and the end of the last trace: longer than any desk remembers a
/// workflow, so that none takes a log that was forgotten for one that was lost.
const FORGOTTEN_FOR_MS: i64 = 60_000;

/// What is to be done about a workflow whose line is due. Of several steps each is found by looking
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Store the log as one object, and append the decision that says so.
    Archive,
    /// It is archived: purge the messages below this sequence, and move the line.
    Clear {
        /// Of the decision that says so.
        sequence: u64,
    },
    /// Append the decision that there is no such workflow.
    Forget,
    /// It is forgotten: remove the archive and everything below this sequence.
    Empty {
        /// Of the decision that says so.
        sequence: u64,
    },
    /// Remove what is left: the last decision, and the line.
    Drop {
        /// Of the last decision.
        sequence: u64,
    },
    /// The line is not true any more: the log has gone on. Put it right.
    Relist,
    /// Nothing yet.
    Wait,
    /// Nothing at all before a person has looked.
    Leave(&'static str),
}

/// Whether a workflow that came to rest at `ended_unix_ms` has been on this shelf for long enough.
fn is_due(terms: &Retention, shelf: Shelf, ended_unix_ms: i64, now_unix_ms: i64) -> bool {
    let kept_ms = match (shelf, terms.keep_log, terms.archive_for) {
        (Shelf::Ended, Keep::For { ms }, _) => ms,
        (Shelf::Archived, Keep::For { ms: log }, Keep::For { ms: archive }) => {
            log.saturating_add(archive)
        }
        (Shelf::Open, _, _)
        | (Shelf::Ended, Keep::Forever, _)
        | (Shelf::Archived, Keep::Forever, _)
        | (Shelf::Archived, Keep::For { .. }, Keep::Forever) => return false,
    };
    now_unix_ms.saturating_sub(ended_unix_ms) >= kept_ms
}

/// The next step for a workflow whose line is on this shelf. `is_alone`: it is forgotten, and the
/// stream holds nothing of it but the decision that says so.
fn next(terms: &Retention, shelf: Shelf, log: &Chain, is_alone: bool, now_unix_ms: i64) -> Step {
    if log.gap().is_some() {
        return Step::Leave("its log is damaged");
    }
    match (log.keeping(), log.workflow()) {
        (Keeping::Forgotten { sequence, .. }, _) if !is_alone => {
            Step::Empty { sequence: *sequence }
        }
        (Keeping::Forgotten { sequence, at_unix_ms }, _) => {
            let long_ago = now_unix_ms.saturating_sub(*at_unix_ms) >= FORGOTTEN_FOR_MS;
            if long_ago { Step::Drop { sequence: *sequence } } else { Step::Wait }
        }
        // Killed between the last two removals.
        (Keeping::Log | Keeping::Archived { .. }, None) if shelf == Shelf::Archived => {
            Step::Drop { sequence: 0 }
        }
        (Keeping::Log | Keeping::Archived { .. }, None) => Step::Leave("its log has vanished"),
        (keeping, Some(workflow)) => {
            let due = is_due(terms, shelf, workflow.last_unix_ms(), now_unix_ms);
            match (shelf, keeping) {
                _ if workflow.ended().is_none() || !due => Step::Relist,
                (Shelf::Ended, Keeping::Archived { sequence, .. }) => {
                    Step::Clear { sequence: *sequence }
                }
                (Shelf::Archived, Keeping::Archived { .. }) => Step::Forget,
                (Shelf::Ended, Keeping::Log | Keeping::Forgotten { .. }) => Step::Archive,
                (Shelf::Open, _) | (Shelf::Archived, _) => Step::Relist,
            }
        }
    }
}

/// From which age on a start is not believed any more, in milliseconds: a workflow of that name may
/// have been forgotten since it was sent. Half of the time that one is remembered at least, so that
/// no two clocks have to agree; none while nothing is forgotten.
pub(crate) fn start_max_age_ms(terms: &Retention) -> Option<i64> {
    match (terms.keep_log, terms.archive_for) {
        (Keep::For { ms: log }, Keep::For { ms: archive }) => Some(log.saturating_add(archive) / 2),
        (Keep::Forever, _) | (Keep::For { .. }, Keep::Forever) => None,
    }
}
