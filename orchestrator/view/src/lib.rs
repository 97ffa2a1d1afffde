//! What a workflow looks like from outside: its log read, told and reported, and what is asked of
//! the mesh on behalf of a person. The command line and the gateway show the same, by this.
//!
//! It never decides anything about a workflow. Whatever it shows is read from the log, so it works
//! while no orchestrator runs.

pub mod client;
pub mod error;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
pub mod history;
pub mod ids;
pub mod lines;
pub mod plan_view;
pub mod report;
pub mod services;
pub mod shelves;
pub mod slot_view;
pub mod standing;
pub mod table;
pub mod telling;
pub mod term;
pub mod time;
pub mod timeline;
pub mod ways_out;
pub mod why;

pub use client::{Client, Heard};
pub use error::ViewError;
