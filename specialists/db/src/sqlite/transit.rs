//! A transition of a SQLite schema, in the transaction of one connection.

use std::{collections::BTreeMap, time::Instant};

use rusqlite::{Connection, types::ValueRef};
use serde_json::Value;

use super::{Shadow, Sqlite, catalogue};
use crate::{
    HISTORY_TABLE,
    fault::{Fault, Reason},
    migration::Applied,
    schema::Schema,
    sql,
    transition::{self, Lost, Outcome, Trace, Transition},
};

const CREATE_HISTORY: &str = "CREATE TABLE IF NOT EXISTS deadelus_migrations (version BIGINT PRIMARY \
    KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, \
    applied_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";

impl Sqlite {
    /// See [`crate::database::Database::transit`].
    pub(crate) async fn transit(
        &self,
        transition: Transition,
        keep: impl Fn(&Outcome) -> bool + Send + 'static,
    ) -> Result<Outcome, Fault> {
        self.write("ALTER", move |connection| transit(connection, &transition, keep)).await
    }

    /// See [`crate::database::Database::history`].
    pub(crate) async fn history(&self) -> Result<Vec<Applied>, Fault> {
        self.read("SELECT", history).await
    }

    /// See [`crate::database::Database::rehearse`]: each transition on the same shadow.
    pub(crate) async fn rehearse(
        &self,
        transitions: Vec<Transition>,
    ) -> Result<Vec<Result<Outcome, Fault>>, Fault> {
        self.read("SELECT", move |original| {
            let shadow = Shadow::of(original)?;
            let mut outcomes = vec![];
            for transition in &transitions {
                let connection = &shadow.connection;
                connection.execute_batch("BEGIN")?;
                let outcome = transit(connection, transition, |_| true);
                connection.execute_batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
                let failed = outcome.is_err();
                outcomes.push(outcome);
                if failed {
                    break;
                }
            }
            Ok(outcomes)
        })
        .await
    }
}

/// Within an open transaction.
fn transit(
    connection: &Connection,
    transition: &Transition,
    keep: impl Fn(&Outcome) -> bool,
) -> Result<Outcome, Fault> {
    connection.execute_batch("SAVEPOINT transit")?;
    let before = catalogue::schema(connection)?;
    // Another worker may have been faster.
    let done = transition.is_done(&history(connection)?);
    let mut exports = BTreeMap::new();
    let (mut left_out, mut trace) = (vec![], vec![]);
    if !done {
        for lost in &transition.export {
            exports.insert(lost.table.clone(), export(connection, lost)?);
        }
        (left_out, trace) = run(connection, transition, &before)?;
        refuse_orphans(connection)?;
        record(connection, transition)?;
    }
    let (after, history) = (catalogue::schema(connection)?, history(connection)?);
    let outcome = Outcome { before, after, done, left_out, exports, trace, history };
    if !keep(&outcome) {
        connection.execute_batch("ROLLBACK TO transit")?;
    }
    connection.execute_batch("RELEASE transit")?;
    Ok(outcome)
}

fn run(
    connection: &Connection,
    transition: &Transition,
    before: &Schema,
) -> Result<(Vec<String>, Vec<Trace>), Fault> {
    let (mut left_out, mut trace) = (vec![], vec![]);
    let mut schema = before.clone();
    for statement in &transition.statements {
        let began = Instant::now();
        connection.execute_batch("SAVEPOINT step")?;
        connection
            .execute_batch(&statement.text)
            .map_err(|error| Fault::from(error).at(statement))?;
        if !transition.protect.is_empty() {
            let now = catalogue::schema(connection)?;
            if transition::violates(&transition.protect, &schema, &now) {
                connection.execute_batch("ROLLBACK TO step")?;
                left_out.push(transition::headline(statement));
            } else {
                schema = now;
            }
        }
        connection.execute_batch("RELEASE step")?;
        if transition.trace {
            trace.push(Trace {
                statement: transition::headline(statement),
                // SQLite has one lock, on the whole file, and every change takes it.
                locks: vec![],
                rewritten: vec![],
                ms: began.elapsed().as_secs_f64() * 1_000.0,
            });
        }
    }
    Ok((left_out, trace))
}

/// Foreign keys were not enforced while tables were rebuilt; now all of them must hold.
fn refuse_orphans(connection: &Connection) -> Result<(), Fault> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    match rows.next()? {
        None => Ok(()),
        Some(row) => {
            let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
            Err(Fault::Refused {
                reason: Reason::Statement,
                code: "foreign_key_check".to_owned(),
                message: format!("rows of {table} would point to nothing in {parent}"),
            })
        }
    }
}

fn history(connection: &Connection) -> Result<Vec<Applied>, Fault> {
    let select = format!("SELECT version, checksum FROM {HISTORY_TABLE} ORDER BY version");
    // The table is made by the first migration.
    let Ok(mut statement) = connection.prepare(&select) else { return Ok(vec![]) };
    let lines = statement
        .query_map([], |row| Ok(Applied { version: row.get(0)?, checksum: row.get(1)? }))?;
    Ok(lines.collect::<Result<_, _>>()?)
}

fn record(connection: &Connection, transition: &Transition) -> Result<(), Fault> {
    if !transition.record.is_empty() {
        connection.execute_batch(CREATE_HISTORY)?;
    }
    for line in &transition.record {
        connection.execute(
            "INSERT INTO deadelus_migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
            (line.version, &line.name, &line.checksum),
        )?;
    }
    for version in &transition.forget {
        connection.execute("DELETE FROM deadelus_migrations WHERE version = ?1", [version])?;
    }
    Ok(())
}

/// One JSON object per line.
fn export(connection: &Connection, lost: &Lost) -> Result<Vec<u8>, Fault> {
    let columns =
        if lost.columns.is_empty() { "*".to_owned() } else { sql::quote_all(&lost.columns) };
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {}", lost.sql_name))?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    let mut lines = vec![];
    while let Some(row) = rows.next()? {
        let mut object = serde_json::Map::new();
        for (place, name) in names.iter().enumerate() {
            object.insert(name.clone(), json(row.get_ref(place)?));
        }
        lines.extend(Value::Object(object).to_string().into_bytes());
        lines.push(b'\n');
    }
    Ok(lines)
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        // As PostgreSQL prints bytes.
        ValueRef::Blob(bytes) => {
            let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            format!("\\x{hex}").into()
        }
    }
}
