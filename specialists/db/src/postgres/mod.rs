//! PostgreSQL: a server that many use at once.
//!
//! Whoever looks does so in a transaction that cannot write. Whoever changes holds an advisory lock
//! for as long as it works, waits for the locks of others only briefly, and can be stopped: the
//! server is told, not just left.

mod catalogue;
mod explain;
mod index;
mod rate;
mod shadow;
mod transit;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use deadelus_runtime::Context;
use tokio_postgres::{CancelToken, Client, Config, NoTls, Row, types::ToSql};
use tracing::{Instrument, Span, info_span};

use crate::{
    fault::{Fault, Reason},
    target::Patience,
};

/// A server that does not answer by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts at a lock that somebody else holds, each of the target's lock timeout.
const LOCK_ATTEMPTS_MAX: u32 = 10;

/// Between two attempts, at most: long enough to let a queue of waiting clients drain.
const LOCK_PAUSE_MAX_MS: u64 = 500;

/// The advisory lock of everybody who changes a schema through Deadelus: `dead` in ASCII.
const SCHEMA_LOCK: i64 = 0x6465_6164;

/// A database on a server, for the length of one task.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    config: Box<Config>,
    patience: Patience,
    cx: Context,
}

impl Postgres {
    pub(crate) fn new(mut config: Box<Config>, patience: Patience, cx: &Context) -> Self {
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("deadelus");
        }
        Self { config, patience, cx: cx.clone() }
    }

    /// A session that looks: one snapshot, and no way to write.
    pub(crate) async fn look(&self) -> Result<Session, Fault> {
        let session = self.connect().await?;
        let limit = self.patience.read.as_millis();
        let lock = self.patience.lock.as_millis();
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
             SET LOCAL statement_timeout = {limit}; SET LOCAL lock_timeout = {lock}"
        );
        session.run("BEGIN", &begin).await?;
        Ok(session)
    }

    /// A session that changes, alone among those that change through Deadelus. The lock is the
    /// session's: it goes when the session goes, however that comes about.
    pub(crate) async fn change(&self) -> Result<Session, Fault> {
        let session = self.connect().await?;
        let left = self.cx.deadline().saturating_duration_since(Instant::now());
        let settings = format!(
            "SET statement_timeout = {}; SET lock_timeout = {}",
            left.as_millis().max(1),
            self.patience.lock.as_millis()
        );
        session.run("SET", &settings).await?;
        // Polled, because a session that waits inside of a statement holds a snapshot, and a
        // concurrent build waits for every snapshot to go: the two would wait for each other.
        for attempt in 1..=LOCK_ATTEMPTS_MAX {
            let lock = "SELECT pg_try_advisory_lock($1)";
            if session.one::<bool>("SELECT", lock, &[&SCHEMA_LOCK]).await? {
                return Ok(session);
            }
            self.pause(attempt).await;
        }
        Err(Fault::Refused {
            reason: Reason::Locked,
            code: "advisory lock".to_owned(),
            message: "another change of this database is under way".to_owned(),
        })
    }

    /// Runs a statement that changes; a cancelled task cancels it on the server.
    async fn stoppable(
        &self,
        session: &Session,
        operation: &'static str,
        statement: &str,
    ) -> Result<(), Fault> {
        let work = session.run(operation, statement);
        tokio::pin!(work);
        tokio::select! {
            ended = &mut work => ended,
            () = self.cx.until_cancelled() => {
                // Best effort: if the server does not hear it, the statement ends by itself.
                let _unheard = session.cancel.cancel_query(NoTls).await;
                work.await
            }
        }
    }

    /// Jitter, so that two who wait do not wait in step.
    async fn pause(&self, attempt: u32) {
        let longest = LOCK_PAUSE_MAX_MS.min(25 << attempt.min(8));
        tokio::time::sleep(Duration::from_millis(fastrand::u64(longest / 2..=longest))).await;
    }

    async fn connect(&self) -> Result<Session, Fault> {
        let connecting = self.config.connect(NoTls).instrument(span("CONNECT"));
        let (client, connection) =
            connecting.await.map_err(|e| Fault::Unreachable(reason_of(&e)))?;
        // Ends with the client; its errors come back through the statements that were under way.
        tokio::spawn(connection);
        let cancel = client.cancel_token();
        Ok(Session { client, cancel, busy: AtomicBool::new(false) })
    }
}

fn reason_of(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

/// A connection. Dropping it in the middle of a statement tells the server to stop.
pub(crate) struct Session {
    client: Client,
    cancel: CancelToken,
    busy: AtomicBool,
}

impl Session {
    /// Statements without parameters and without rows.
    pub(crate) async fn run(&self, operation: &'static str, sql: &str) -> Result<(), Fault> {
        self.traced(operation, self.client.batch_execute(sql)).await
    }

    /// One statement, and what it answers.
    pub(crate) async fn rows(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Fault> {
        self.traced(operation, self.client.query(sql, parameters)).await
    }

    /// One value of one row.
    pub(crate) async fn one<T>(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<T, Fault>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let row = self.traced(operation, self.client.query_one(sql, parameters)).await?;
        row.try_get(0).map_err(Fault::from)
    }

    pub(crate) async fn traced<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        self.busy.store(true, Ordering::Relaxed);
        let result = work.instrument(span(operation)).await;
        self.busy.store(false, Ordering::Relaxed);
        result.map_err(Fault::from)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !*self.busy.get_mut() {
            return;
        }
        let cancel = self.cancel.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _unheard = cancel.cancel_query(NoTls).await;
            });
        }
    }
}

/// A span around a statement; it names the operation, never the text or its values.
fn span(operation: &'static str) -> Span {
    info_span!(
        "db.query",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.operation.name = operation
    )
}
