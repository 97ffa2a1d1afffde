//! Credentials in text: what they look like, and what only looks like one.
//!
//! A decision over bytes, with no IO. What is found is told by its place; the bytes themselves
//! never leave this folder. The rules are data: `rules.toml`.

mod assignment;
mod name;
mod rules;
mod scanner;
#[cfg(test)]
mod tests;
mod worth;

pub use self::{
    rules::RulesError,
    scanner::{Scanner, Spotted},
};
