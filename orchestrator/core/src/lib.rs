//! The decision: what a workflow does next, as a pure value.
//!
//! A fact comes in ([`Input`]), events go out ([`Event`]), and the state ([`Workflow`]) is nothing
//! but the fold of its events. The shell around it reads messages, appends the events to the log,
//! and carries out [`Command`]s; it decides nothing.
//!
//! ```text
//!              Input + now                     Event…                        Command…
//!   inbox ───────────────► decide / step ───────────────► log ──► apply ──► outstanding ──► shell
//!                               ▲                                   │
//!                               └───────────── Workflow ◄───────────┘
//! ```
//!
//! * [`decide`] takes the state and an input and says what happened. It takes in what the input
//!   means, then lets the rules of `follow.rs` speak until none has anything to add. Recovery, undo
//!   and the happy path are the same rules.
//! * [`Workflow::apply`] folds one event in. It never decides, so a log written by an older decider
//!   is replayed by a newer one to the same state.
//! * [`Workflow::outstanding`] says everything that is still to be done, from the state alone. After
//!   a crash between appending and dispatching it is all that is needed to go on.
//! * [`Chain`] reads a log and says which of its decisions count.
//! * [`CheckedPlan`] is a plan that makes sense; the log holds it whole, with the part of the
//!   descriptors it was judged by, so the log alone is enough.
//!
//! # Words that are close
//!
//! A task **settles** when doing it is over: done, failed or skipped. It **stands** when something
//! of it is in the world, or must be assumed to be. A failed task may stand, a done one may not any
//! more. A task is **late** when it took effect after it had been given up. A scope that fails is
//! **closing** until everything of it is taken back, then **closed**. A workflow is **stuck** when
//! an undo failed for good; a person retries or resolves it. A task is **held** when its tries are
//! used up and a person decides; the workflow is **paused** meanwhile, as it is when a person says
//! so. A task that a person goes on without is **left out**: skipped, and nothing of it stays.
//!
//! # What it keeps to
//!
//! * Nothing starts before everything it needs has settled, and nothing outside a scope stands on a
//!   scope that may still be taken back.
//! * Nothing is taken back while something that is taken back with it is still being done, or while
//!   something that is to be taken back still stands on it.
//! * A timeout is not a failure of the work: it may still land. What lands after it was given up is
//!   taken back, even after the end.
//! * The first way back that was recorded is the true one. No effect begins before it.
//! * The same input twice is the same input once.
//!
//! # What is not here
//!
//! No clock, no randomness, no threads, no IO, no hash maps: `clippy.toml` beside this crate says so
//! to the compiler. No retries of the shell's own, no leases, no subjects. No opinion on how a plan
//! came to be: who wrote it does not matter, the same checks judge it.

mod chain;
mod command;
mod decide;
mod event;
pub mod expr;
mod follow;
mod fork;
pub mod limits;
mod person;
pub mod plan;
mod wire;
mod workflow;

pub use chain::{Alarm, Chain, Entry, Gap, Keeping, Link, Proposal};
pub use command::Command;
pub use decide::{Input, Refusal, Step, decide, step};
pub use event::{Attempt, Ending, Event, Gate, TakeBackCause, Told};
pub use fork::{Fork, Kept, Origin};
pub use plan::{CheckedPlan, Plan, Problem, Problems};
pub use workflow::{
    Claim, EffectState, GateState, Impossible, InFlight, NoSlot, NotInFlight, Pause, Progress,
    Residue, Shared, Skip, Slot, Status, TakeBack, TaskState, TaskStatus, Verdict, Wait, Workflow,
};

/// A text cut to what an error message may repeat.
pub fn shown(text: &str) -> String {
    cut(text, limits::SHOWN_MAX_CHARS)
}

/// A text cut to a number of characters.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
