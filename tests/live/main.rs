//! The whole, from outside: real servers, real processes, and the rules of the house.

#![cfg(test)]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for the events it is about")]

mod archive;
mod arrows;
mod bad_input;
mod blueprints;
mod bounds;
mod cli;
mod customers;
mod disk;
mod drafts;
mod failures;
mod gateway;
mod golden1;
mod golden2;
mod golden3;
mod golden4;
mod house;
mod kill;
mod matrix;
mod nothing_kept;
mod pages;
mod permissions;
mod person;
mod plans;
mod provider;
mod quiet;
mod readme;
mod replicas;
mod scale;
mod scene;
mod schemathesis;
mod shop;
mod slots;
mod story;
mod trace;
mod undo;
mod upgrade;
mod verbs;
