//! A cause in words: the figures it stands on, and what can be done.

use super::{
    Cause, Finding,
    attribution::{InDatabase, Parts},
};
use crate::run::{Measurement, Run, Statement, rounded};

/// Characters of a statement that are enough to know it by.
const TEXT_SHOWN_CHARS: usize = 120;

pub(super) fn finding(
    cause: Cause,
    share: f64,
    parts: &Parts<'_>,
    measurement: &Measurement,
) -> Finding {
    Finding {
        cause,
        share: rounded(share),
        evidence: evidence(cause, parts, measurement),
        advice: advice(cause, parts),
        statement: statement(cause, &parts.database),
    }
}

/// Fast enough, so that there is nothing to look for.
pub(super) fn nothing(measurement: &Measurement) -> Finding {
    let worst = measurement.runs.iter().flat_map(Run::judged);
    let p95 = worst.map(|e| e.p95_ms).fold(0.0, f64::max);
    Finding {
        cause: Cause::None,
        share: 1.0,
        evidence: format!("the slowest endpoint has a p95 of {p95} ms in its worst run"),
        advice: "change nothing".to_owned(),
        statement: None,
    }
}

/// Slow, and nobody knows why.
pub(super) fn unattributed(measurement: &Measurement) -> Finding {
    Finding {
        cause: Cause::Unattributed,
        share: 1.0,
        evidence: format!(
            "a request takes {} ms, and neither the service nor the database says on what",
            measurement.latency.of_service_ms()
        ),
        advice: "configure counters_url or database for this target, and measure again".to_owned(),
        statement: None,
    }
}

fn statement(cause: Cause, database: &InDatabase<'_>) -> Option<Statement> {
    match cause {
        Cause::MissingIndex => heaviest(database.scans.iter().map(|(s, _)| *s)),
        Cause::NPlusOne => heaviest(database.loops.iter().copied()),
        Cause::LockWait
        | Cause::PoolExhausted
        | Cause::SlowExternal
        | Cause::Cpu
        | Cause::NotDb
        | Cause::None
        | Cause::Unattributed => None,
    }
}

fn evidence(cause: Cause, parts: &Parts<'_>, measurement: &Measurement) -> String {
    let latency = &measurement.latency;
    match cause {
        Cause::MissingIndex => scan_evidence(parts),
        Cause::NPlusOne => loop_evidence(parts),
        Cause::LockWait => format!(
            "{:.1} ms per request waiting for locks{}",
            parts.lock_ms,
            queued(parts.behind.locks)
        ),
        Cause::PoolExhausted => format!(
            "{:.1} ms per request waiting for one of {} connections, which statements and locks \
             that could be cured do not account for",
            parts.pool_ms,
            measurement.pool_size.map_or("the".to_owned(), |size| size.to_string()),
        ),
        Cause::SlowExternal => {
            format!("{:.1} ms per request waiting for other services", parts.external_ms)
        }
        Cause::Cpu => format!(
            "{:.1} ms per request in statements without a worthwhile scan or a loop, {:.1} ms on \
             the service's own processor",
            parts.database.work_ms, parts.cpu_ms
        ),
        Cause::NotDb => format!(
            "{:.1} of {:.1} ms per request pass outside of the database, its locks and \
             connections and other services{}",
            parts.rest_ms,
            latency.of_service_ms(),
            outside_of_the_handler(measurement)
        ),
        Cause::None | Cause::Unattributed => String::new(),
    }
}

fn scan_evidence(parts: &Parts<'_>) -> String {
    let Some(worst) = heaviest(parts.database.scans.iter().map(|(s, _)| *s)) else {
        return String::new();
    };
    let scan =
        parts.database.scans.iter().find(|(s, _)| s.text == worst.text).map(|(_, scan)| scan);
    let table = scan.map_or_else(String::new, |scan| {
        let rows = scan.rows_estimate.or(worst.scan_steps_per_call).unwrap_or_default();
        format!(
            "{} is read from end to end ({rows:.0} rows) by {}",
            scan.table,
            scan.columns.join(", ")
        )
    });
    format!(
        "{:.1} ms per request in statements that scan: {table} for {:.1} rows a call, {:.2} ms a \
         call: {}{}",
        parts.database.scans_ms,
        worst.rows_per_call,
        worst.ms_per_call,
        short(&worst.text),
        queued(parts.behind.scans)
    )
}

fn loop_evidence(parts: &Parts<'_>) -> String {
    let Some(worst) = heaviest(parts.database.loops.iter().copied()) else {
        return String::new();
    };
    format!(
        "{:.1} ms per request in statements that run once per row: {:.1} calls per request, {:.1} \
         rows a call: {}{}",
        parts.database.loops_ms,
        worst.calls_per_request,
        worst.rows_per_call,
        short(&worst.text),
        queued(parts.behind.loops)
    )
}

fn advice(cause: Cause, parts: &Parts<'_>) -> String {
    match cause {
        Cause::MissingIndex => {
            let scan = parts.database.scans.iter().max_by(|a, b| by_time(a.0, b.0));
            scan.map_or_else(String::new, |(_, scan)| {
                format!(
                    "let db.advise look for an index on {}({})",
                    scan.table,
                    scan.columns.join(", ")
                )
            })
        }
        Cause::NPlusOne => "read all rows at once: join, or WHERE … = ANY($1) instead of one \
                            statement per row; release the corrected code"
            .to_owned(),
        Cause::LockWait => "find who holds the lock (pg_blocking_pids) and shorten that \
                            transaction; an index does not help"
            .to_owned(),
        Cause::PoolExhausted => "give connections back before calling other services, or enlarge \
                                 the pool; an index does not help"
            .to_owned(),
        Cause::SlowExternal => "cache the answer, ask in parallel, or set a shorter timeout; an \
                                index does not help"
            .to_owned(),
        Cause::Cpu => "the work itself is the cost: do less of it, cache its result, or add \
                       processors"
            .to_owned(),
        Cause::NotDb => "look at the service and the network (packets, delayed \
                         acknowledgements, sleeps, rendering), not at the database"
            .to_owned(),
        Cause::None | Cause::Unattributed => String::new(),
    }
}

fn queued(behind_ms: f64) -> String {
    if behind_ms < 0.05 {
        return String::new();
    }
    format!("; behind them requests wait {behind_ms:.1} ms for a connection")
}

fn outside_of_the_handler(measurement: &Measurement) -> String {
    let handlers: Vec<f64> =
        measurement.runs.iter().filter_map(|run| run.counters.handler_ms).collect();
    if handlers.is_empty() {
        return String::new();
    }
    let handler_ms = crate::statistics::mean(&handlers);
    let outside = (measurement.latency.of_service_ms() - handler_ms).max(0.0);
    format!("; {outside:.1} ms of it before or after the service's own handler")
}

fn heaviest<'a>(statements: impl Iterator<Item = &'a Statement>) -> Option<Statement> {
    statements.max_by(|a, b| by_time(a, b)).cloned()
}

fn by_time(a: &Statement, b: &Statement) -> std::cmp::Ordering {
    a.ms_per_request().total_cmp(&b.ms_per_request())
}

fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TEXT_SHOWN_CHARS {
        return line;
    }
    line.chars().take(TEXT_SHOWN_CHARS).chain("…".chars()).collect()
}
