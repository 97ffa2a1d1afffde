//! Hashes where services keep them: a column of a table, read in place and kept nowhere.

use std::time::Duration;

use deadelus_runtime::{ErrorClass, Failure, Secret, blocking, invalid};
use rusqlite::{Connection, OpenFlags};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::NoTls;

use super::HASHES_MAX;

/// A server that does not answer by then is not there, and one that reads longer is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of a name, as PostgreSQL has it.
const NAME_MAX_BYTES: usize = 63;

/// Which column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    /// `account`
    table: String,
    /// `password_hash`
    column: String,
}

impl Column {
    /// A hash a line, as from a file; one more than is judged, where there are too many.
    pub(super) async fn lines(&self, database: &Secret) -> Result<String, Failure> {
        let sql = self.select()?;
        let hashes = match database.expose().strip_prefix("sqlite:") {
            Some(path) => {
                let path = path.to_owned();
                blocking(move || sqlite(&path, &sql).map_err(|error| away(&error))).await?
            }
            None => {
                let read = tokio::time::timeout(PATIENCE, postgres(database, &sql)).await;
                read.map_err(|late| away(&late))?.map_err(|error| away(&error))?
            }
        };
        Ok(hashes.join("\n"))
    }

    /// Names are letters, digits and `_`: there is nothing to quote, and nothing to smuggle.
    fn select(&self) -> Result<String, Failure> {
        for (field, name) in [("table", &self.table), ("column", &self.column)] {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !plain || !begins || name.len() > NAME_MAX_BYTES {
                return Err(invalid(format!("column.{field}: letters, digits and _")));
            }
        }
        let (Self { table, column }, most) = (self, HASHES_MAX + 1);
        Ok(format!("SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT {most}"))
    }
}

fn sqlite(path: &str, sql: &str) -> Result<Vec<String>, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(path, flags)?;
    file.busy_timeout(PATIENCE)?;
    file.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

async fn postgres(database: &Secret, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(database.expose(), NoTls).await?;
    // Ends with the client; what goes wrong comes back through the statement.
    tokio::spawn(connection);
    client.batch_execute("SET default_transaction_read_only = on").await?;
    client.query(sql, &[]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// The database's own words name tables and columns, never what stands in them.
fn away(error: &dyn std::error::Error) -> Failure {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(ErrorClass::Unavailable, format!("reading the hashes: {error}{cause}"))
        .help("is the target's `accounts` right, and is the table there?")
}
