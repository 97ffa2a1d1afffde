//! One database, whichever engine it is.
//!
//! The engines differ in how they do things and agree in what is done; what is done stands here,
//! once per verb.

use std::collections::BTreeMap;

use crate::{
    candidates::{Candidate, Rated},
    ddl::IndexName,
    fault::Fault,
    migration::Applied,
    plan::Plan,
    postgres::Postgres,
    schema::{Index, Schema},
    sqlite::Sqlite,
    transition::{Outcome, Transition},
};

/// What a look at a database shows.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) schema: Schema,
    /// By table; none where nobody knows.
    pub(crate) rows: BTreeMap<String, Option<i64>>,
    /// The last migration that was applied through Deadelus.
    pub(crate) version: Option<i64>,
}

/// A request for an index.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub(crate) name: IndexName,
    /// On which table, quoted.
    pub(crate) table: String,
    /// Complete, without a semicolon.
    pub(crate) ddl: String,
    /// Statements that it is for.
    pub(crate) statements: Vec<String>,
}

/// What became of a request for an index, measured.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) index: Option<Index>,
    pub(crate) size_bytes: i64,
    pub(crate) schema: Schema,
    /// One for each statement.
    pub(crate) plans: Vec<Plan>,
}

/// A database.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Database {
    /// `sqlite` or `postgresql`.
    pub(crate) fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// The whole schema, and how many rows its tables hold.
    pub(crate) async fn see(&self) -> Result<Seen, Fault> {
        match self {
            Self::Sqlite(db) => db.see().await,
            Self::Postgres(db) => db.see().await,
        }
    }

    /// How it means to answer each statement.
    pub(crate) async fn explain(&self, statements: Vec<String>) -> Result<Vec<Plan>, Fault> {
        match self {
            Self::Sqlite(db) => db.explain(statements).await,
            Self::Postgres(db) => db.explain(&statements).await,
        }
    }

    /// What each candidate would do for each statement, found out without touching the database.
    pub(crate) async fn rate(
        &self,
        seen: &Seen,
        statements: Vec<String>,
        candidates: Vec<Candidate>,
    ) -> Result<Rated, Fault> {
        match self {
            Self::Sqlite(db) => db.rate(seen.clone(), statements, candidates).await,
            Self::Postgres(db) => db.rate(seen, &statements, &candidates).await,
        }
    }

    /// Builds an index and measures it. `keep` judges what was measured; if it says no, nothing
    /// is kept. What was measured comes back either way.
    pub(crate) async fn build_index(
        &self,
        build: Build,
        keep: impl Fn(&Built) -> bool + Send + 'static,
    ) -> Result<Built, Fault> {
        match self {
            Self::Sqlite(db) => db.build_index(build, keep).await,
            Self::Postgres(db) => db.build_index(&build, keep).await,
        }
    }

    /// The opposite of [`Self::build_index`]: the schema without this index, which need not be there.
    pub(crate) async fn remove_index(&self, name: &IndexName) -> Result<Schema, Fault> {
        match self {
            Self::Sqlite(db) => db.remove_index(name.clone()).await,
            Self::Postgres(db) => db.remove_index(name).await,
        }
    }

    /// Statements in one transaction. `keep` judges what came of them; if it says no, nothing is
    /// kept. What was seen comes back either way.
    pub(crate) async fn transit(
        &self,
        transition: Transition,
        keep: impl Fn(&Outcome) -> bool + Send + 'static,
    ) -> Result<Outcome, Fault> {
        match self {
            Self::Sqlite(db) => db.transit(transition, keep).await,
            Self::Postgres(db) => db.transit(&transition, keep).await,
        }
    }

    /// Transitions one after the other on a shadow, until one fails; the shadow is gone afterwards.
    pub(crate) async fn rehearse(
        &self,
        transitions: Vec<Transition>,
    ) -> Result<Vec<Result<Outcome, Fault>>, Fault> {
        match self {
            Self::Sqlite(db) => db.rehearse(transitions).await,
            Self::Postgres(db) => db.rehearse(&transitions).await,
        }
    }

    /// Which migrations were applied through Deadelus.
    pub(crate) async fn history(&self) -> Result<Vec<Applied>, Fault> {
        match self {
            Self::Sqlite(db) => db.history().await,
            Self::Postgres(db) => db.history().await,
        }
    }

    /// Measures an index that is there.
    pub(crate) async fn measure_index(&self, build: Build) -> Result<Built, Fault> {
        match self {
            Self::Sqlite(db) => db.measure_index(build).await,
            Self::Postgres(db) => db.measure_index(&build).await,
        }
    }
}
