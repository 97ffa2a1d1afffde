//! Whose the time is: every millisecond of the mean latency goes to exactly one cause.

use super::{Cause, Finding, FullScan, Plan, report};
use crate::{
    run::{Measurement, Statement, as_f64},
    sql,
};

/// A scan of fewer rows is not slower than an index on them.
const TABLE_ROWS_MIN: f64 = 1_000.0;
/// Rows read for each row wanted; below it an index would not skip enough to pay.
const SCANNED_PER_ROW_MIN: f64 = 10.0;
/// So often in one request, or once per row of another statement, is a loop.
const LOOP_CALLS_MIN: f64 = 3.0;
/// A statement of a loop gives one row; some give two by chance.
const LOOP_ROWS_MAX: f64 = 1.05;
/// How well calls must fit another statement's rows to be caused by them.
const LOOP_FIT: f64 = 0.1;
/// Causes below this share are not worth a reader's time; a handful of them is below a per cent.
const SHARE_MIN: f64 = 0.001;

/// What is known of the statements' part in the time, in milliseconds per request.
#[derive(Debug)]
pub(super) struct InDatabase<'a> {
    /// Statements that scan, with the scan.
    pub(super) scans: Vec<(&'a Statement, &'a FullScan)>,
    pub(super) scans_ms: f64,
    /// Statements of loops.
    pub(super) loops: Vec<&'a Statement>,
    pub(super) loops_ms: f64,
    /// Statements that do what they must.
    pub(super) work_ms: f64,
}

/// The parts of the mean latency. Waiting for a connection belongs to whatever kept the
/// connections busy, as far as that is known and can be cured; see [`Parts::of`].
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) database: InDatabase<'a>,
    /// Waiting for a connection behind scans, loops and locks.
    pub(super) behind: Behind,
    pub(super) lock_ms: f64,
    pub(super) pool_ms: f64,
    pub(super) external_ms: f64,
    pub(super) cpu_ms: f64,
    pub(super) rest_ms: f64,
}

/// Milliseconds of waiting for a connection, by what it was busy with.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Behind {
    pub(super) scans: f64,
    pub(super) loops: f64,
    pub(super) locks: f64,
}

/// All causes with a share, the greatest first.
pub(super) fn causes(measurement: &Measurement, plans: &[Plan]) -> Vec<Finding> {
    let parts = Parts::of(measurement, plans);
    let whole_ms = measurement.latency.of_service_ms();
    let each = [
        (Cause::MissingIndex, parts.database.scans_ms + parts.behind.scans),
        (Cause::NPlusOne, parts.database.loops_ms + parts.behind.loops),
        (Cause::LockWait, parts.lock_ms + parts.behind.locks),
        (Cause::PoolExhausted, parts.pool_ms),
        (Cause::SlowExternal, parts.external_ms),
        (Cause::Cpu, parts.database.work_ms + parts.cpu_ms),
        (Cause::NotDb, parts.rest_ms),
    ];
    let mut findings: Vec<Finding> = each
        .into_iter()
        .map(|(cause, ms)| (cause, ms / whole_ms))
        .filter(|(_, share)| *share >= SHARE_MIN)
        .map(|(cause, share)| report::finding(cause, share, &parts, measurement))
        .collect();
    findings.sort_by(|a, b| b.share.total_cmp(&a.share));
    findings
}

impl<'a> Parts<'a> {
    /// Connections that are busy with slow statements make requests wait for a connection, and a
    /// larger pool would only move that queue into the database. So the wait goes to scans, loops
    /// and locks in proportion to the connection time they hold; the part that nothing known
    /// holds (a call to another service, perhaps) is the pool's.
    fn of(measurement: &'a Measurement, plans: &'a [Plan]) -> Self {
        let latency = &measurement.latency;
        let database = InDatabase::of(measurement, plans);
        let lock_ms = latency.lock_wait_ms.unwrap_or(0.0);
        let wait_ms = latency.pool_wait_ms.unwrap_or(0.0);
        let held = held_connections_per_ms(measurement);
        let known = (database.scans_ms + database.loops_ms + lock_ms) * held;
        let behind = wait_ms * held / known.max(1.0);
        let behind = Behind {
            scans: database.scans_ms * behind,
            loops: database.loops_ms * behind,
            locks: lock_ms * behind,
        };
        let cpu_ms = latency.cpu_ms.unwrap_or(0.0).clamp(0.0, latency.rest_ms.max(0.0));
        Self {
            pool_ms: wait_ms - behind.scans - behind.loops - behind.locks,
            external_ms: latency.external_ms.unwrap_or(0.0),
            rest_ms: latency.rest_ms.max(0.0) - cpu_ms,
            database,
            behind,
            lock_ms,
            cpu_ms,
        }
    }
}

impl<'a> InDatabase<'a> {
    /// Texts were timed with the locks they waited for; what is left of them is the work.
    fn of(measurement: &'a Measurement, plans: &'a [Plan]) -> Self {
        let db_ms = measurement.latency.db_ms.unwrap_or(0.0);
        let statements = &measurement.statements;
        let scans: Vec<_> =
            statements.iter().filter_map(|s| Some((s, worthwhile_scan(s, plans)?))).collect();
        let scanning = |s: &Statement| scans.iter().any(|(scan, _)| scan.text == s.text);
        let loops: Vec<_> =
            statements.iter().filter(|s| !scanning(s) && is_loop(s, statements)).collect();
        let scans_ms: f64 = scans.iter().map(|(s, _)| s.ms_per_request()).sum();
        let loops_ms: f64 = loops.iter().map(|s| s.ms_per_request()).sum();
        let fits = if scans_ms + loops_ms > db_ms { db_ms / (scans_ms + loops_ms) } else { 1.0 };
        let (scans_ms, loops_ms) = (scans_ms * fits, loops_ms * fits);
        Self { scans, scans_ms, loops, loops_ms, work_ms: db_ms - scans_ms - loops_ms }
    }
}

/// A scan that an index would spare: searched by something, a large table, few rows wanted.
fn worthwhile_scan<'a>(statement: &Statement, plans: &'a [Plan]) -> Option<&'a FullScan> {
    let text = sql::canonical(&statement.text);
    let plan = plans.iter().find(|plan| sql::canonical(&plan.statement) == text)?;
    let wanted = statement.rows_per_call.max(1.0);
    let rows =
        |scan: &FullScan| scan.rows_estimate.or(statement.scan_steps_per_call).unwrap_or(0.0);
    plan.full_scans
        .iter()
        .filter(|scan| !scan.columns.is_empty())
        .filter(|scan| rows(scan) >= TABLE_ROWS_MIN && rows(scan) >= wanted * SCANNED_PER_ROW_MIN)
        .max_by(|a, b| rows(a).total_cmp(&rows(b)))
}

/// Often in each request; or as often as another statement gives rows, which is seen however
/// small the part of such requests in the mix.
fn is_loop(inner: &Statement, statements: &[Statement]) -> bool {
    if sql::writes(&inner.text) || sql::is_control(&inner.text) {
        return false;
    }
    let rows_of = |outer: &Statement| outer.calls_per_request * outer.rows_per_call;
    let fits = |outer: &Statement| {
        outer.text != inner.text
            && outer.rows_per_call >= 2.0
            && !sql::writes(&outer.text)
            && (rows_of(outer) / inner.calls_per_request - 1.0).abs() <= LOOP_FIT
    };
    let often = inner.calls_per_request >= LOOP_CALLS_MIN;
    inner.rows_per_call <= LOOP_ROWS_MAX && (often || statements.iter().any(fits))
}

/// The part of the pool that one millisecond per request holds: requests per millisecond over
/// connections. Zero when the size of the pool is not known.
fn held_connections_per_ms(measurement: &Measurement) -> f64 {
    let runs = measurement.runs.len().max(1);
    let rates = measurement.runs.iter().map(|run| run.achieved_rate_per_s);
    let per_ms = rates.sum::<f64>() / as_f64(runs as u64) / 1_000.0;
    measurement.pool_size.map_or(0.0, |size| per_ms / as_f64(size.max(1)))
}
