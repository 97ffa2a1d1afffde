//! SQLite: a file, one writer, every change in one transaction.
//!
//! A connection lives for one piece of work, on a thread that may block. Work is stopped by
//! interrupting the connection, and only reported once its transaction has ended.

mod catalogue;
mod explain;
mod index;
mod rate;
mod shadow;
mod transit;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use deadelus_runtime::Context;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tracing::{Span, info_span};

use self::shadow::Shadow;
use crate::{
    fault::{Fault, Reason},
    target::Patience,
};

/// A database file, for the length of one task.
#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    path: PathBuf,
    patience: Patience,
    cx: Context,
}

impl Sqlite {
    pub(crate) fn new(path: PathBuf, patience: Patience, cx: &Context) -> Self {
        Self { path, patience, cx: cx.clone() }
    }

    /// Looks, for as long as a look may take. The connection cannot write.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let limit = self.patience.read;
        self.run(operation, flags, limit, work).await
    }

    /// Changes, until the task's deadline. `work` sees a connection in an open transaction, which
    /// is committed when it answers well and rolled back when it does not. Foreign keys are not
    /// enforced statement by statement, so that a table can be rebuilt, but as a whole at the end.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let limit = self.cx.deadline().saturating_duration_since(std::time::Instant::now());
        self.run(operation, OpenFlags::SQLITE_OPEN_READ_WRITE, limit, move |connection| {
            connection.execute_batch("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE")?;
            // A panic or an early return drops the connection, which rolls back.
            let done = work(connection)?;
            connection.execute_batch("COMMIT")?;
            Ok(done)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        flags: OpenFlags,
        limit: Duration,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let stop = Stop::default();
        let (path, lock, span) = (self.path.clone(), self.patience.lock, span(operation));
        let armed = stop.for_thread();
        let mut job = tokio::task::spawn_blocking(move || {
            let _entered = span.enter();
            let connection = open(&path, flags, lock)?;
            armed.arm(&connection)?;
            let result = work(&connection);
            armed.disarm();
            result
        });
        let ended = tokio::select! {
            ended = &mut job => ended,
            () = tokio::time::sleep(limit) => { stop.now(); job.await }
            () = self.cx.until_cancelled() => { stop.now(); job.await }
        };
        ended.unwrap_or_else(|panic| Err(Fault::Lost(panic.to_string())))
    }
}

fn open(path: &PathBuf, flags: OpenFlags, lock: Duration) -> Result<Connection, Fault> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(lock)?;
    // Reads the header: a path that is no database is told before anything begins.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

/// A span around work in the database; it names the operation, never its text.
pub(crate) fn span(operation: &'static str) -> Span {
    info_span!(
        "db.query",
        otel.kind = "client",
        db.system.name = "sqlite",
        db.operation.name = operation
    )
}

/// Interrupts a connection of another thread, also when the future that waits for it is dropped.
#[derive(Default)]
struct Stop(Arc<Mutex<StopState>>);

#[derive(Default)]
struct StopState {
    /// While there is something to interrupt.
    handle: Option<InterruptHandle>,
    /// It was asked for before there was.
    asked: bool,
}

/// The end of a [`Stop`] that the working thread holds.
struct Armed(Arc<Mutex<StopState>>);

impl Stop {
    fn now(&self) {
        if let Ok(mut state) = self.0.lock() {
            state.asked = true;
            if let Some(handle) = &state.handle {
                handle.interrupt();
            }
        }
    }

    fn for_thread(&self) -> Armed {
        Armed(Arc::clone(&self.0))
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.now();
    }
}

impl Armed {
    fn arm(&self, connection: &Connection) -> Result<(), Fault> {
        let Ok(mut state) = self.0.lock() else { return Ok(()) };
        if state.asked {
            let message = "stopped before it began".to_owned();
            return Err(Fault::Refused { reason: Reason::Stopped, code: "stop".into(), message });
        }
        state.handle = Some(connection.get_interrupt_handle());
        Ok(())
    }

    fn disarm(&self) {
        if let Ok(mut state) = self.0.lock() {
            state.handle = None;
        }
    }
}
