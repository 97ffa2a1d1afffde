//! The shop from outside: real HTTP, real databases, one real process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics where it stands")]

mod accounts;
mod checks;
mod common;
mod postgres;
mod sqlite;
mod webhooks;
