//! SQLite: each statement runs on a blocking thread, in write-ahead mode, and says how many
//! steps it took.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, StatementStatus, params_from_iter};

use super::{Answer, Effort, Row, STATEMENT_TEXTS_MAX, Statement, StoreError, Value};

/// One connection. The lock is never waited for: whoever holds the session is alone with it.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Arc<Mutex<Connection>>,
}

impl Session {
    pub(crate) async fn open(path: PathBuf, lock_timeout: Duration) -> Result<Self, StoreError> {
        let opened = tokio::task::spawn_blocking(move || open(&path, lock_timeout)).await;
        let connection = opened.map_err(|_| StoreError::Aborted)??;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub(crate) async fn run(
        &mut self,
        statement: Statement,
        with: &[Value],
    ) -> Result<Answer, StoreError> {
        let connection = Arc::clone(&self.connection);
        let with = with.to_vec();
        let ran = tokio::task::spawn_blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            run(&connection, statement, &with).map_err(classify)
        });
        ran.await.map_err(|_| StoreError::Aborted)?
    }
}

fn open(path: &Path, lock_timeout: Duration) -> Result<Connection, StoreError> {
    let no_shop = |e: rusqlite::Error| StoreError::NoShop {
        database: format!("sqlite:{}", path.display()),
        reason: e.to_string(),
    };
    // Without CREATE: a mistyped path must not become an empty database.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(no_shop)?;
    connection.busy_timeout(lock_timeout).map_err(classify)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(classify)?;
    connection.pragma_update(None, "synchronous", "normal").map_err(classify)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_TEXTS_MAX);
    connection.prepare(Statement::OrderJoined.text()).map_err(no_shop)?;
    Ok(connection)
}

fn run(
    connection: &Connection,
    statement: Statement,
    with: &[Value],
) -> Result<Answer, rusqlite::Error> {
    let mut prepared = connection.prepare_cached(statement.text())?;
    prepared.reset_status(StatementStatus::FullscanStep);
    prepared.reset_status(StatementStatus::VmStep);
    let columns = prepared.column_count();
    let (rows, count) = if columns == 0 {
        // Not what `execute` returns: after a COMMIT that is the count of an earlier statement.
        let before = connection.total_changes();
        prepared.execute(params_from_iter(with))?;
        (Vec::new(), connection.total_changes().saturating_sub(before))
    } else {
        let rows = prepared
            .query_map(params_from_iter(with), |row| read(row, columns))?
            .collect::<Result<Vec<_>, _>>()?;
        let count = rows.len() as u64;
        (rows, count)
    };
    let steps = |status| u64::try_from(prepared.get_status(status)).unwrap_or(0);
    let effort = Effort {
        scan_steps: steps(StatementStatus::FullscanStep),
        vm_steps: steps(StatementStatus::VmStep),
    };
    Ok(Answer { rows, count, effort: Some(effort) })
}

fn read(row: &rusqlite::Row<'_>, columns: usize) -> Result<Row, rusqlite::Error> {
    (0..columns)
        .map(|column| match row.get_ref(column)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(value) => Ok(Value::Int(value)),
            text @ ValueRef::Text(_) => Ok(Value::Text(text.as_str()?.to_owned())),
            other @ (ValueRef::Real(_) | ValueRef::Blob(_)) => {
                Err(rusqlite::Error::InvalidColumnType(column, String::new(), other.data_type()))
            }
        })
        .collect::<Result<_, _>>()
        .map(Row)
}

fn classify(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked,
        Some(_) | None => StoreError::Sqlite(error),
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
        }))
    }
}
