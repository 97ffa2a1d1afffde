//! The database behind the shop: a small pool of sessions, to SQLite or to PostgreSQL, that run
//! the [`Statement`]s of the shop and count what they cost.

mod pool;
mod postgres;
mod sqlite;
mod statement;

pub(crate) use pool::{Gauges, Lease, Pool};
pub(crate) use postgres::connect;
pub(crate) use statement::{STATEMENT_TEXTS_MAX, Statement};

use std::time::Duration;

use crate::config::Database;

/// Why the database gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no shop in this database.
    #[error("no shop in {database}: make one with `deadelus-shop seed` ({reason})")]
    NoShop {
        /// The database, without its password.
        database: String,
        /// What the database said.
        reason: String,
    },
    /// Every connection was in use, and the queue for them full or too slow.
    #[error("no database connection free: {0}")]
    Exhausted(&'static str),
    /// Somebody else held a lock for longer than `lock_timeout_ms`.
    #[error("a lock was not given in time")]
    Locked,
    /// SQLite refused.
    #[error("SQLite")]
    Sqlite(#[source] rusqlite::Error),
    /// PostgreSQL refused, or is not there.
    #[error("PostgreSQL")]
    Postgres(#[source] tokio_postgres::Error),
    /// The rows are not what the schema of the shop promises.
    #[error("unexpected data: {0}")]
    Shape(String),
    /// The thread that ran a statement died.
    #[error("the statement was not finished")]
    Aborted,
}

/// A value given to a statement or read from one. The shop has no other types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
}

/// One row of an answer, by column.
#[derive(Debug)]
pub(crate) struct Row(Vec<Value>);

impl Row {
    pub(crate) fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get(column), None | Some(Value::Null))
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(*value),
            Some(Value::Null | Value::Text(_)) | None => Err(self.unexpected(column)),
        }
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(value.clone()),
            Some(Value::Null | Value::Int(_)) | None => Err(self.unexpected(column)),
        }
    }

    fn unexpected(&self, column: usize) -> StoreError {
        StoreError::Shape(format!("column {column} of {:?}", self.0))
    }
}

/// What a statement gave.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// Rows returned, or rows written by a statement that returns none.
    pub(crate) count: u64,
    /// What it cost inside the database, where the database says so (SQLite does).
    pub(crate) effort: Option<Effort>,
}

/// SQLite's own account of one run: `sqlite3_stmt_status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Steps of a scan without an index (`SQLITE_STMTSTATUS_FULLSCAN_STEP`).
    pub(crate) scan_steps: u64,
    /// Virtual machine operations (`SQLITE_STMTSTATUS_VM_STEP`).
    pub(crate) vm_steps: u64,
}

/// One connection.
#[derive(Debug)]
pub(crate) enum Session {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
}

impl Session {
    /// Connects, and makes sure that there is a shop on the other side.
    async fn open(database: &Database, lock_timeout: Duration) -> Result<Self, StoreError> {
        match database {
            Database::Sqlite(path) => {
                sqlite::Session::open(path.clone(), lock_timeout).await.map(Self::Sqlite)
            }
            Database::Postgres(server) => {
                postgres::Session::open(server, lock_timeout).await.map(Self::Postgres)
            }
        }
    }

    async fn run(&mut self, statement: Statement, with: &[Value]) -> Result<Answer, StoreError> {
        match self {
            Self::Sqlite(session) => session.run(statement, with).await,
            Self::Postgres(session) => session.run(statement, with).await,
        }
    }

    fn is_usable(&self) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(session) => session.is_usable(),
        }
    }
}
