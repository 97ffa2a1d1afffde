//! The database's view: `pg_stat_statements` for what statements cost, `pg_stat_activity` for who
//! waits for a lock while a run goes on. It only reads, and never resets what others read too.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use deadelus_runtime::{ErrorClass, Failure};
use tokio_postgres::{Client, NoTls, error::SqlState};

use super::StatementUse;
use crate::run::as_f64;

/// Short enough to see a lock that is held for a tenth of a second, long enough to be cheap.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// In front of every statement of ours, so that they are not taken for the service's.
const MARK: &str = "/* deadelus-performance */";
/// A row each; twice the default of `pg_stat_statements.max`.
const STATEMENTS_MAX: i64 = 10_000;

/// One text in `pg_stat_statements`, all users together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PgStatement {
    pub(crate) text: String,
    pub(crate) calls: u64,
    pub(crate) rows: u64,
    pub(crate) total_ms: f64,
    pub(crate) blocks: u64,
}

/// A connection for reading statistics.
#[derive(Debug)]
pub(crate) struct Statistics(Client);

impl Statistics {
    /// Connects. The connection ends with the value.
    pub(crate) async fn connect(config: &tokio_postgres::Config) -> Result<Self, Failure> {
        let (client, connection) = config.connect(NoTls).await.map_err(|e| failure(&e))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "the connection for statistics broke");
            }
        });
        Ok(Self(client))
    }

    /// Everything that was counted in this database so far.
    pub(crate) async fn read(&self) -> Result<Vec<PgStatement>, Failure> {
        let sql = format!(
            "{MARK} SELECT query, sum(calls)::bigint, sum(rows)::bigint, \
             sum(total_exec_time)::float8, sum(shared_blks_hit + shared_blks_read)::bigint \
             FROM pg_stat_statements \
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             GROUP BY query ORDER BY 4 DESC LIMIT {STATEMENTS_MAX}"
        );
        let rows = self.0.query(&sql, &[]).await.map_err(|e| failure(&e))?;
        rows.iter().map(statement).collect::<Result<_, _>>().map_err(|e| failure(&e))
    }

    /// How many sessions of this database wait for a lock right now.
    async fn waiting_for_locks(&self) -> Result<u64, tokio_postgres::Error> {
        let sql = format!(
            "{MARK} SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND state = 'active' AND wait_event_type = 'Lock'"
        );
        let row = self.0.query_one(&sql, &[]).await?;
        row.try_get::<_, i64>(0).map(natural)
    }
}

/// Samples lock waits until it is dropped.
#[derive(Debug)]
pub(crate) struct LockSampler {
    task: tokio::task::JoinHandle<()>,
    waited_us: Arc<AtomicU64>,
}

impl LockSampler {
    pub(crate) fn start(statistics: Arc<Statistics>) -> Self {
        let waited_us = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(sample(statistics, Arc::clone(&waited_us)));
        Self { task, waited_us }
    }

    /// Milliseconds that sessions waited, all together; none when sampling broke off.
    pub(crate) fn finish(self) -> Option<f64> {
        let whole = !self.task.is_finished();
        whole.then(|| as_f64(self.waited_us.load(Ordering::Relaxed)) / 1_000.0)
    }
}

impl Drop for LockSampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was done between two readings. A text whose sums went backwards was evicted from the
/// statistics and came back: its difference is not known, and it is left out.
pub(crate) fn between(before: &[PgStatement], after: &[PgStatement]) -> Vec<StatementUse> {
    let known: BTreeMap<&str, &PgStatement> =
        before.iter().map(|statement| (statement.text.as_str(), statement)).collect();
    after
        .iter()
        .filter(|statement| !statement.text.starts_with(MARK))
        .filter_map(|statement| statement.since(known.get(statement.text.as_str()).copied()))
        .filter(|used| used.calls > 0)
        .collect()
}

impl PgStatement {
    fn since(&self, earlier: Option<&Self>) -> Option<StatementUse> {
        let count = |of: fn(&Self) -> u64| of(self).checked_sub(earlier.map_or(0, of));
        Some(StatementUse {
            text: self.text.clone(),
            calls: count(|s| s.calls)?,
            rows: count(|s| s.rows)?,
            total_ms: (self.total_ms - earlier.map_or(0.0, |s| s.total_ms)).max(0.0),
            blocks: Some(count(|s| s.blocks)?),
            scan_steps: None,
            vm_steps: None,
        })
    }
}

/// What waits at a sample is taken to have waited since the one before.
async fn sample(statistics: Arc<Statistics>, waited_us: Arc<AtomicU64>) {
    let mut last = Instant::now();
    while let Ok(waiting) = statistics.waiting_for_locks().await {
        let now = Instant::now();
        let since_us = u64::try_from(now.duration_since(last).as_micros()).unwrap_or(0);
        waited_us.fetch_add(waiting * since_us, Ordering::Relaxed);
        last = now;
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}

fn statement(row: &tokio_postgres::Row) -> Result<PgStatement, tokio_postgres::Error> {
    Ok(PgStatement {
        // Null for the texts of other users when the role may not see them.
        text: row.try_get::<_, Option<String>>(0)?.unwrap_or_default(),
        calls: natural(row.try_get(1)?),
        rows: natural(row.try_get(2)?),
        total_ms: row.try_get(3)?,
        blocks: natural(row.try_get(4)?),
    })
}

/// PostgreSQL's counts are signed and never below zero.
fn natural(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn failure(error: &tokio_postgres::Error) -> Failure {
    let reason = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    let text = format!("the statistics of PostgreSQL: {reason}");
    let missing = error.code() == Some(&SqlState::UNDEFINED_TABLE)
        || error.code() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    let help = if missing {
        "add pg_stat_statements to shared_preload_libraries and CREATE EXTENSION \
         pg_stat_statements; or leave `database` out of the target"
    } else {
        "see whether PostgreSQL is up, and whether `database` of the target is right"
    };
    Failure::new(ErrorClass::Unavailable, text).help(help)
}
