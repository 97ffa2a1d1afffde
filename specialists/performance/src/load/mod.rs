//! The open-loop load generator.
//!
//! A closed loop waits for an answer before it sends again, so that a service that freezes for
//! two seconds is seen by one request. Here every request has an intended send time that no
//! answer can move, and its latency counts from there. It never waits silently: what cannot be
//! sent because too much is under way is counted as dropped.

pub(crate) mod client;
mod generator;
mod schedule;
pub(crate) mod tally;

pub(crate) use client::HttpClient;
pub(crate) use generator::fire;
pub(crate) use schedule::Schedule;
pub(crate) use tally::Tally;
