//! The db specialist: looks at databases, finds out what they lack, changes them and takes the
//! change back.
//!
//! SQLite and PostgreSQL, side by side in `sqlite/` and `postgres/`; one file per capability here.
//! What only looks never writes to the database it looks at, not even for a moment and not even a
//! hypothetical index's definition. What changes is measured by the catalogue's fingerprint before
//! and after, and can be repeated: by the same worker after a crash, or by two workers at once.

mod advise;
mod candidates;
mod create_index;
mod database;
mod ddl;
mod drop_index;
mod explain;
mod fault;
mod inspect;
mod lint;
mod migrate;
mod migration;
mod plan;
mod postgres;
mod query;
mod rehearse;
mod revert;
mod schema;
mod sql;
mod sqlite;
mod target;
#[cfg(test)]
mod testing;
mod transition;

use std::collections::BTreeMap;

use deadelus_runtime::{ErrorClass, Failure, Specialist, TargetName};

pub use self::{
    advise::Advise,
    candidates::{Candidate, Method, Rejected},
    create_index::CreateIndex,
    drop_index::DropIndex,
    explain::Explain,
    inspect::Inspect,
    lint::Lint,
    migrate::Migrate,
    migration::{Migration, Script},
    plan::{FullScan, Plan},
    rehearse::Rehearse,
    revert::Revert,
    schema::{Column, Constraint, ConstraintKind, Index, Object, Schema, Table},
    target::{DbTarget, InvalidLocation, Location, Targets},
    transition::{Lock, Trace},
};

/// Where Deadelus remembers which migrations it applied; no part of any fingerprint.
const HISTORY_TABLE: &str = "deadelus_migrations";

/// The team, in words: whose work the capabilities are.
const DB_ADMIN: &str = "DB Admin";

/// Everything this specialist can do, for these databases.
pub fn specialist(targets: BTreeMap<TargetName, DbTarget>) -> Specialist {
    let targets = Targets::new(targets);
    let specialist = Specialist::new("db", env!("CARGO_PKG_VERSION"))
        .read(Inspect::new(targets.clone()))
        .read(Explain::new(targets.clone()))
        .read(Advise::new(targets.clone()))
        .read(Lint::new(targets.clone()))
        .read(Rehearse::new(targets.clone()))
        .change(Migrate::new(targets.clone()))
        .change(Revert::new(targets.clone()))
        .change(CreateIndex::new(targets.clone()))
        .change(DropIndex::new(targets.clone()));
    targets.cards().fold(specialist, Specialist::target)
}

/// The schema is not the one that was expected. Nothing was touched.
fn drift(expected: &str, found: &Schema) -> Failure {
    let text = format!("expect_fingerprint: {expected}, but it is {}", found.fingerprint());
    Failure::new(ErrorClass::PreconditionFailed, text)
        .help("the schema has changed since; inspect it and make a new plan")
}
