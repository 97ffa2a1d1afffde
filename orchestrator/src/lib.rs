//! The orchestrator: the shell around the decision core.
//!
//! It plans and coordinates and does no work itself: no database driver, no client for targets, no
//! shell. The inbox brings messages, a driver per workflow decides and appends, the journal is the
//! truth, and what the state asks for is dispatched.

mod answer;
mod api;
mod beats;
pub mod cards;
pub mod config;
mod dispatch;
mod driver;
mod hub;
mod inbox;
pub mod journal;
pub mod planner;
mod plans;
mod process;
pub mod projection;
mod spans;
mod telling;

pub use process::main;
