//! The orchestrator: the shell around the decision core.
//!
//! It plans and coordinates and does no work itself: no database driver, no client for targets, no
//! shell. The inbox brings letters, a desk per workflow decides, a shard of desks appends and
//! dispatches; the log is the truth.

mod api;
mod archive;
mod asks;
mod beats;
pub mod cards;
pub mod config;
pub mod desk;
mod dispatch;
mod drafts;
mod heard;
mod hub;
mod inbox;
pub mod journal;
mod lending;
mod letter;
mod partitions;
pub mod planner;
mod plans;
mod process;
pub mod projection;
mod shard;
pub mod slots;
mod spans;
mod telling;

pub use process::main;
