//! One request on its way through the shop: which revision serves it, and where its time goes.
//!
//! The parts never overlap, so that `total - db - pool - external - lock` is the time that was
//! spent on none of them.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::revision::Revision;
use crate::store::{Answer, Effort, STATEMENT_TEXTS_MAX, Statement};

/// A request in flight. Clones share one account.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) revision: Revision,
    account: Arc<Mutex<Account>>,
}

/// Where the time of one request went, or of all requests together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Statements, without those that only take a lock.
    pub(crate) db: Duration,
    /// Waiting for a connection.
    pub(crate) pool: Duration,
    /// Waiting for the tax service.
    pub(crate) external: Duration,
    /// Statements that only take a lock.
    pub(crate) lock: Duration,
    /// Each statement of [`Statement::ALL`], in that order.
    pub(crate) statements: [Tally; STATEMENT_TEXTS_MAX],
}

/// What one statement text cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) rows: u64,
    pub(crate) total: Duration,
    pub(crate) effort: Option<Effort>,
}

impl Visit {
    pub(crate) fn new(revision: Revision) -> Self {
        Self { revision, account: Arc::default() }
    }

    pub(crate) fn waited_for_pool(&self, wait: Duration) {
        self.account().pool += wait;
    }

    pub(crate) fn waited_for_tax_service(&self, wait: Duration) {
        self.account().external += wait;
    }

    /// A failed statement has a duration and a call, and no rows.
    pub(crate) fn ran(&self, statement: Statement, took: Duration, answer: Option<&Answer>) {
        let mut account = self.account();
        if statement.takes_lock() {
            account.lock += took;
        } else {
            account.db += took;
        }
        account.statements[statement as usize].add(Tally {
            calls: 1,
            rows: answer.map_or(0, |answer| answer.count),
            total: took,
            effort: answer.and_then(|answer| answer.effort),
        });
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    pub(crate) fn add(&mut self, other: &Self) {
        self.db += other.db;
        self.pool += other.pool;
        self.external += other.external;
        self.lock += other.lock;
        for (sum, tally) in self.statements.iter_mut().zip(other.statements) {
            sum.add(tally);
        }
    }

    /// The value of the `Server-Timing` header, in milliseconds.
    pub(crate) fn server_timing(&self, total: Duration) -> String {
        let parts = [
            ("db", self.db),
            ("pool", self.pool),
            ("external", self.external),
            ("lock", self.lock),
            ("total", total),
        ];
        parts.into_iter().fold(String::new(), |mut header, (name, spent)| {
            let comma = if header.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            write!(header, "{comma}{name};dur={:.3}", milliseconds(spent)).ok();
            header
        })
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.rows += other.rows;
        self.total += other.total;
        if let Some(effort) = other.effort {
            let sum = self.effort.get_or_insert_default();
            sum.scan_steps += effort.scan_steps;
            sum.vm_steps += effort.vm_steps;
        }
    }
}

/// To the microsecond: what is finer is the clock's noise.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
