//! Made-up measurements for tests of what judges them.

use crate::{
    run::{Counters, EndpointFigures, Latency, Measurement, Run, Statement},
    target::Role,
};

/// A run of 800 reads and, if they take time at all, 200 writes.
pub(crate) fn run(read_p95_ms: f64, write_p95_ms: f64, counters: Counters) -> Run {
    let endpoint = |name: &str, role, requests, p95_ms: f64| EndpointFigures {
        name: name.to_owned(),
        role,
        requests,
        errors: 0,
        dropped: 0,
        p50_ms: p95_ms / 2.0,
        p95_ms,
        p99_ms: p95_ms * 1.5,
        mean_ms: p95_ms / 2.0,
    };
    let mut endpoints = vec![endpoint("checkout", Role::Read, 800, read_p95_ms)];
    if write_p95_ms > 0.0 {
        endpoints.push(endpoint("place", Role::Write, 200, write_p95_ms));
    }
    Run {
        endpoints,
        achieved_rate_per_s: 50.0,
        intended_rate_per_s: 50.0,
        saturated: false,
        counters,
        write_counters: None,
    }
}

/// Three runs of this latency; the parts that are given, the rest unaccounted for.
pub(crate) fn measurement(parts: Latency) -> Measurement {
    let counters = Counters {
        db_ms: parts.db_ms,
        pool_wait_ms: parts.pool_wait_ms,
        lock_wait_ms: parts.lock_wait_ms,
        external_ms: parts.external_ms,
        handler_ms: Some(parts.mean_ms - 1.0),
        ..Counters::default()
    };
    Measurement {
        revision: Some("v1".to_owned()),
        runs: vec![run(parts.p95_ms, 0.0, counters); 3],
        statements: vec![],
        latency: parts,
        pool_size: Some(4),
    }
}

/// Milliseconds of the mean, by part; p95 is twice the mean.
pub(crate) fn latency(mean_ms: f64, db: f64, pool: f64, lock: f64, external: f64) -> Latency {
    Latency {
        mean_ms,
        p50_ms: mean_ms,
        p95_ms: mean_ms * 2.0,
        p99_ms: mean_ms * 3.0,
        db_ms: Some(db),
        pool_wait_ms: Some(pool),
        lock_wait_ms: Some(lock),
        external_ms: Some(external),
        cpu_ms: None,
        generator_lag_ms: 0.0,
        rest_ms: mean_ms - db - pool - lock - external,
    }
}

/// A statement as `measure` reports it.
pub(crate) fn statement(text: &str, calls: f64, rows: f64, ms: f64) -> Statement {
    Statement {
        text: text.to_owned(),
        calls_per_request: calls,
        rows_per_call: rows,
        ms_per_call: ms,
        blocks_per_call: None,
        scan_steps_per_call: None,
        share_of_db: 0.0,
    }
}
