//! A transition of a PostgreSQL schema, in one transaction that waits for locks only briefly and
//! starts over when it cannot have one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{LOCK_ATTEMPTS_MAX, Postgres, Session, catalogue};
use crate::{
    HISTORY_TABLE,
    fault::{Fault, Reason},
    migration::Applied,
    schema::Schema,
    sql,
    sql::Statement,
    transition::{self, Lock, Lost, Outcome, Trace, Transition},
};

const CREATE_HISTORY: &str = "CREATE TABLE IF NOT EXISTS deadelus_migrations (version BIGINT PRIMARY \
    KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, \
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now())";

/// Locks of this session on tables of users.
const LOCKS: &str = "SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname, \
    l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
    JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p', 'm') \
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

/// Where the rows of each table are: a rewrite puts them elsewhere.
const FILES: &str = "SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname, \
    pg_relation_filenode(c.oid)::bigint FROM pg_class c \
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm') \
    AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

impl Postgres {
    /// See [`crate::database::Database::transit`].
    pub(crate) async fn transit(
        &self,
        transition: &Transition,
        keep: impl Fn(&Outcome) -> bool + Send,
    ) -> Result<Outcome, Fault> {
        let session = self.change().await?;
        let mut attempt = 1;
        loop {
            session.run("BEGIN", "BEGIN").await?;
            let outcome = self.within(&session, transition).await;
            match outcome {
                Ok(outcome) if keep(&outcome) => {
                    session.run("COMMIT", "COMMIT").await?;
                    return Ok(outcome);
                }
                Ok(outcome) => {
                    session.run("ROLLBACK", "ROLLBACK").await?;
                    return Ok(outcome);
                }
                Err(fault) => {
                    if fault.reason().is_some() {
                        session.run("ROLLBACK", "ROLLBACK").await?;
                    }
                    if fault.reason() != Some(Reason::Locked) || attempt == LOCK_ATTEMPTS_MAX {
                        return Err(fault);
                    }
                }
            }
            self.pause(attempt).await;
            attempt += 1;
        }
    }

    /// See [`crate::database::Database::history`].
    pub(crate) async fn history(&self) -> Result<Vec<Applied>, Fault> {
        history(&self.look().await?).await
    }

    async fn within(&self, session: &Session, transition: &Transition) -> Result<Outcome, Fault> {
        let before = catalogue::schema(session).await?;
        // Another worker may have been faster.
        let done = transition.is_done(&history(session).await?);
        let mut exports = BTreeMap::new();
        let (mut left_out, mut trace) = (vec![], vec![]);
        if !done {
            for lost in &transition.export {
                exports.insert(lost.table.clone(), export(session, lost).await?);
            }
            (left_out, trace) = self.steps(session, transition, &before).await?;
            record(session, transition).await?;
        }
        let (after, history) = (catalogue::schema(session).await?, history(session).await?);
        Ok(Outcome { before, after, done, left_out, exports, trace, history })
    }

    async fn steps(
        &self,
        session: &Session,
        transition: &Transition,
        before: &Schema,
    ) -> Result<(Vec<String>, Vec<Trace>), Fault> {
        let (mut left_out, mut traces) = (vec![], vec![]);
        let mut schema = before.clone();
        let mut watch = Watch::new(session, transition.trace).await?;
        for statement in &transition.statements {
            let began = Instant::now();
            session.run("SAVEPOINT", "SAVEPOINT deadelus_step").await?;
            self.stoppable(session, "ALTER", &in_transaction(statement))
                .await
                .map_err(|fault| fault.at(statement))?;
            let ms = began.elapsed().as_secs_f64() * 1_000.0;
            if !transition.protect.is_empty() {
                let now = catalogue::schema(session).await?;
                if transition::violates(&transition.protect, &schema, &now) {
                    session.run("ROLLBACK", "ROLLBACK TO SAVEPOINT deadelus_step").await?;
                    left_out.push(transition::headline(statement));
                } else {
                    schema = now;
                }
            }
            session.run("RELEASE", "RELEASE SAVEPOINT deadelus_step").await?;
            traces.extend(watch.look(session, statement, ms).await?);
        }
        Ok((left_out, traces))
    }
}

/// What a statement says, in a form that a transaction allows. Only a rehearsal meets statements
/// that run concurrently: on a shadow nobody is in the way, and the schema comes out the same.
fn in_transaction(statement: &Statement) -> String {
    match statement.tokens.iter().find(|token| token.is("concurrently")) {
        Some(token) => {
            let first = statement.tokens.first().map_or(0, |first| first.start);
            let (head, tail) = statement.text.split_at(token.start - first);
            format!("{head}{}", &tail["concurrently".len()..])
        }
        None => statement.text.clone(),
    }
}

/// Sees which locks and files a statement changed.
struct Watch {
    /// None when nobody asked.
    seen: Option<(BTreeSet<Lock>, BTreeMap<String, i64>)>,
}

impl Watch {
    async fn new(session: &Session, wanted: bool) -> Result<Self, Fault> {
        let seen = if wanted { Some((locks(session).await?, files(session).await?)) } else { None };
        Ok(Self { seen })
    }

    async fn look(
        &mut self,
        session: &Session,
        statement: &Statement,
        ms: f64,
    ) -> Result<Option<Trace>, Fault> {
        let Some((locks_before, files_before)) = &mut self.seen else { return Ok(None) };
        let (locks_now, files_now) = (locks(session).await?, files(session).await?);
        let concurrent = statement.has(&["concurrently"]);
        // A table that the script itself made is nobody else's yet.
        let taken = locks_now
            .difference(locks_before)
            .filter(|lock| files_before.contains_key(&lock.table))
            .map(|lock| Lock { table: lock.table.clone(), mode: mode(&lock.mode, concurrent) });
        let rewritten = files_before
            .iter()
            .filter(|(table, file)| files_now.get(*table).is_some_and(|now| now != *file))
            .map(|(table, _)| table.clone());
        let trace = Trace {
            statement: transition::headline(statement),
            locks: taken.collect(),
            rewritten: rewritten.collect(),
            ms,
        };
        *locks_before = locks_now;
        *files_before = files_now;
        Ok(Some(trace))
    }
}

/// What a concurrent statement takes where it may run as one.
fn mode(seen: &str, concurrent: bool) -> String {
    let weaker = concurrent && ["ShareLock", "AccessExclusiveLock"].contains(&seen);
    if weaker { "ShareUpdateExclusiveLock".to_owned() } else { seen.to_owned() }
}

async fn locks(session: &Session) -> Result<BTreeSet<Lock>, Fault> {
    let rows = session.rows("SELECT", LOCKS, &[]).await?;
    Ok(rows.iter().map(|row| Lock { table: row.get(0), mode: row.get(1) }).collect())
}

async fn files(session: &Session) -> Result<BTreeMap<String, i64>, Fault> {
    let rows = session.rows("SELECT", FILES, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn history(session: &Session) -> Result<Vec<Applied>, Fault> {
    let known = "SELECT to_regclass($1) IS NOT NULL";
    // The table is made by the first migration.
    if !session.one::<bool>("SELECT", known, &[&HISTORY_TABLE]).await? {
        return Ok(vec![]);
    }
    let select = "SELECT version, checksum FROM deadelus_migrations ORDER BY version";
    let rows = session.rows("SELECT", select, &[]).await?;
    Ok(rows.iter().map(|row| Applied { version: row.get(0), checksum: row.get(1) }).collect())
}

async fn record(session: &Session, transition: &Transition) -> Result<(), Fault> {
    if !transition.record.is_empty() {
        session.run("CREATE TABLE", CREATE_HISTORY).await?;
    }
    let insert = "INSERT INTO deadelus_migrations (version, name, checksum) VALUES ($1, $2, $3)";
    for line in &transition.record {
        session.rows("INSERT", insert, &[&line.version, &line.name, &line.checksum]).await?;
    }
    let delete = "DELETE FROM deadelus_migrations WHERE version = $1";
    for version in &transition.forget {
        session.rows("DELETE", delete, &[version]).await?;
    }
    Ok(())
}

/// One JSON object per line, of a table that nobody writes to any more.
async fn export(session: &Session, lost: &Lost) -> Result<Vec<u8>, Fault> {
    let name = &lost.sql_name;
    session.run("LOCK", &format!("LOCK TABLE {name} IN SHARE MODE")).await?;
    let columns =
        if lost.columns.is_empty() { "*".to_owned() } else { sql::quote_all(&lost.columns) };
    let select = format!("SELECT row_to_json(x)::text FROM (SELECT {columns} FROM {name}) x");
    let mut lines = vec![];
    for row in session.rows("SELECT", &select, &[]).await? {
        lines.extend(row.get::<_, String>(0).into_bytes());
        lines.push(b'\n');
    }
    Ok(lines)
}
