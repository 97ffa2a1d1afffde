//! `api.diff`: what changed from one document to another, and whether callers break.
//!
//! Ids and levels are `oasdiff`'s. What cannot be proved compatible counts as breaking, whatever
//! its level: a gate must never hide a breaking change.

mod capability;
mod change;
mod content;
mod gate;
mod lifecycle;
mod parameters;
mod report;
mod rules;
mod schema;
mod security;
mod summary;
mod walk;

pub(crate) use self::capability::Diff;
pub use self::{
    change::{Change, Level},
    gate::Waiver,
    lifecycle::Policy,
    walk::diff,
};

#[cfg(test)]
mod tests;
