//! What the shop has done since it started, as `GET /internal/counters` shows it.
//!
//! A request is added as a whole, before its answer leaves. So the quotients are exact at every
//! moment (statements per request, rows per call), and whoever has an answer finds it counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::store::{Gauges, Statement};
use crate::visit::{Account, Tally, milliseconds};

/// What a request is counted as when it is none of the shop's routes (404, 405).
const NO_ROUTE: &str = "none";

/// The routes that are counted: a fixed set, so that no client can make it grow.
pub(crate) const ROUTES: [&str; 8] = [
    "GET /products",
    "GET /orders/{id}",
    "GET /checkout/{id}",
    "POST /checkout",
    "POST /users",
    "POST /users/login",
    "GET /user",
    "PUT /user",
];

/// The sums, behind one lock that is held for nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Sums>);

#[derive(Debug, Clone, Default)]
struct Sums {
    requests: BTreeMap<&'static str, u64>,
    account: Account,
    handler: Duration,
}

impl Counters {
    /// Adds one finished request. `route` is its method and the pattern of its path.
    pub(crate) fn add(&self, route: &str, account: &Account, total: Duration) {
        let route = ROUTES.into_iter().find(|known| *known == route).unwrap_or(NO_ROUTE);
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *sums.requests.entry(route).or_default() += 1;
        sums.account.add(account);
        sums.handler += total;
    }

    pub(crate) fn report(&self, revision: String, pool: &Gauges) -> Report {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Report {
            revision,
            requests: sums.requests.values().sum(),
            requests_by_route: sums.requests,
            statements: Statement::ALL
                .into_iter()
                .zip(sums.account.statements)
                .filter(|(_, tally)| tally.calls > 0)
                .map(|(statement, tally)| StatementReport::new(statement, &tally))
                .collect(),
            pool: PoolReport {
                size: pool.size,
                busy: pool.busy,
                waiting: pool.waiting,
                wait_ms: milliseconds(sums.account.pool),
            },
            external_ms: milliseconds(sums.account.external),
            lock_wait_ms: milliseconds(sums.account.lock),
            db_ms: milliseconds(sums.account.db),
            handler_ms: milliseconds(sums.handler),
        }
    }
}

/// The body of `GET /internal/counters`. All sums are since the start.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    revision: String,
    /// Finished requests, without `/healthz` and `/internal`.
    requests: u64,
    requests_by_route: BTreeMap<&'static str, u64>,
    statements: Vec<StatementReport>,
    pool: PoolReport,
    external_ms: f64,
    lock_wait_ms: f64,
    /// Without `lock_wait_ms`.
    db_ms: f64,
    handler_ms: f64,
}

#[derive(Debug, Serialize)]
struct StatementReport {
    text: &'static str,
    calls: u64,
    rows: u64,
    total_ms: f64,
    /// Always null: blocks are known to the server alone (`pg_stat_statements`). The key is there
    /// so that a reader sees that they were not measured.
    blocks: Option<u64>,
    /// Null on PostgreSQL.
    scan_steps: Option<u64>,
    /// Null on PostgreSQL.
    vm_steps: Option<u64>,
}

#[derive(Debug, Serialize)]
struct PoolReport {
    size: usize,
    /// Connections in use now.
    busy: usize,
    /// Requests waiting for a connection now.
    waiting: usize,
    /// By finished requests.
    wait_ms: f64,
}

impl StatementReport {
    fn new(statement: Statement, tally: &Tally) -> Self {
        Self {
            text: statement.text(),
            calls: tally.calls,
            rows: tally.rows,
            total_ms: milliseconds(tally.total),
            blocks: None,
            scan_steps: tally.effort.map(|effort| effort.scan_steps),
            vm_steps: tally.effort.map(|effort| effort.vm_steps),
        }
    }
}
