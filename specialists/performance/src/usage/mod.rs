//! What the service and its database did between two readings of their counters.
//!
//! Everything is a difference of sums that only grow. Nothing is ever reset: others read the
//! same statistics. Pure; the readings are taken in `service` and `postgres`.

pub(crate) mod postgres;
pub(crate) mod service;

use std::collections::BTreeMap;

use self::{postgres::PgStatement, service::ServiceReading};
use crate::{
    run::{Counters, as_f64},
    sql,
};

/// All counters at one moment, as far as the target has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    pub(crate) service: Option<ServiceReading>,
    pub(crate) postgres: Option<Vec<PgStatement>>,
}

/// What was done between two readings: sums, not yet per request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Usage {
    /// As the service counts them.
    pub(crate) requests: Option<u64>,
    pub(crate) db_ms: Option<f64>,
    pub(crate) pool_wait_ms: Option<f64>,
    pub(crate) external_ms: Option<f64>,
    pub(crate) lock_wait_ms: Option<f64>,
    pub(crate) handler_ms: Option<f64>,
    pub(crate) cpu_ms: Option<f64>,
    pub(crate) statements: Vec<StatementUse>,
}

/// What one statement text cost.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct StatementUse {
    pub(crate) text: String,
    pub(crate) calls: u64,
    pub(crate) rows: u64,
    pub(crate) total_ms: f64,
    pub(crate) blocks: Option<u64>,
    pub(crate) scan_steps: Option<u64>,
    pub(crate) vm_steps: Option<u64>,
}

/// A sum got smaller: the service was restarted or replaced during the run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the service's {0} went backwards: it was restarted or replaced during the run")]
pub(crate) struct WentBack(pub(crate) &'static str);

impl Usage {
    /// `sampled_lock_ms` is what sessions of the database were seen waiting for locks meanwhile.
    ///
    /// # Errors
    /// When a sum of the service went backwards.
    pub(crate) fn between(
        before: &Reading,
        after: &Reading,
        sampled_lock_ms: Option<f64>,
    ) -> Result<Self, WentBack> {
        let mut usage = match (&before.service, &after.service) {
            (Some(before), Some(after)) => service::between(before, after)?,
            (None, _) | (_, None) => Self::default(),
        };
        if let (Some(before), Some(after)) = (&before.postgres, &after.postgres) {
            usage.adopt(postgres::between(before, after));
        }
        if let Some(sampled) = sampled_lock_ms {
            usage.set_lock_wait(sampled);
        }
        Ok(usage)
    }

    /// Adds another run's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests = sum(self.requests, other.requests);
        self.db_ms = sum(self.db_ms, other.db_ms);
        self.pool_wait_ms = sum(self.pool_wait_ms, other.pool_wait_ms);
        self.external_ms = sum(self.external_ms, other.external_ms);
        self.lock_wait_ms = sum(self.lock_wait_ms, other.lock_wait_ms);
        self.handler_ms = sum(self.handler_ms, other.handler_ms);
        self.cpu_ms = sum(self.cpu_ms, other.cpu_ms);
        for statement in &other.statements {
            match self.statements.iter_mut().find(|known| known.text == statement.text) {
                Some(known) => known.add(statement),
                None => self.statements.push(statement.clone()),
            }
        }
    }

    /// Per request.
    pub(crate) fn counters(&self, requests: u64) -> Counters {
        let per = |total: Option<f64>| total.map(|total| total / as_f64(requests.max(1)));
        let work = Work::of(self.statements.iter().filter(|s| !sql::is_control(&s.text)));
        Counters {
            db_ms: per(self.db_ms),
            pool_wait_ms: per(self.pool_wait_ms),
            external_ms: per(self.external_ms),
            lock_wait_ms: per(self.lock_wait_ms),
            handler_ms: per(self.handler_ms),
            cpu_ms: per(self.cpu_ms),
            statements: per(work.calls),
            blocks: per(work.blocks),
            scan_steps: per(work.scan_steps),
            vm_steps: per(work.vm_steps),
        }
    }

    /// Of the statements that write, per request that writes. What a request spends outside of
    /// its statements cannot be told apart by role, so it is not measured.
    pub(crate) fn write_counters(&self, write_requests: u64) -> Option<Counters> {
        let writing = || self.statements.iter().filter(|s| sql::writes(&s.text));
        if write_requests == 0 || writing().next().is_none() {
            return None;
        }
        let per = |total: Option<f64>| total.map(|total| total / as_f64(write_requests));
        let work = Work::of(writing());
        Some(Counters {
            db_ms: per(Some(writing().map(|s| s.total_ms).sum())),
            statements: per(work.calls),
            blocks: per(work.blocks),
            scan_steps: per(work.scan_steps),
            vm_steps: per(work.vm_steps),
            ..Counters::default()
        })
    }

    /// The service's own statements keep their times, which hold the way to the database and
    /// back, and get the blocks that only the database knows. Without any, the database's count.
    fn adopt(&mut self, in_database: Vec<StatementUse>) {
        if self.statements.is_empty() {
            let total_ms = in_database.iter().map(|s| s.total_ms).sum();
            self.db_ms = self.db_ms.or(Some(total_ms));
            self.statements = in_database;
            return;
        }
        let mut blocks = BTreeMap::<String, u64>::new();
        for statement in in_database {
            if let Some(n) = statement.blocks {
                *blocks.entry(sql::canonical(&statement.text)).or_default() += n;
            }
        }
        for statement in &mut self.statements {
            let seen = blocks.get(&sql::canonical(&statement.text)).copied();
            statement.blocks = statement.blocks.or(seen);
        }
    }

    /// What was seen waiting in the database and the service took for the work of a statement
    /// moves from the one to the other.
    fn set_lock_wait(&mut self, sampled_ms: f64) {
        let known = self.lock_wait_ms.unwrap_or(0.0);
        let unseen = (sampled_ms - known).max(0.0);
        self.lock_wait_ms = Some(known + unseen);
        self.db_ms = self.db_ms.map(|db| (db - unseen).max(0.0));
    }
}

impl StatementUse {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.rows += other.rows;
        self.total_ms += other.total_ms;
        self.blocks = sum(self.blocks, other.blocks);
        self.scan_steps = sum(self.scan_steps, other.scan_steps);
        self.vm_steps = sum(self.vm_steps, other.vm_steps);
    }
}

/// Sums over statements; none when no statement measured it.
#[derive(Debug, Default)]
struct Work {
    calls: Option<f64>,
    blocks: Option<f64>,
    scan_steps: Option<f64>,
    vm_steps: Option<f64>,
}

impl Work {
    fn of<'a>(statements: impl Iterator<Item = &'a StatementUse>) -> Self {
        statements.fold(Self::default(), |work, s| Self {
            calls: sum(work.calls, Some(as_f64(s.calls))),
            blocks: sum(work.blocks, s.blocks.map(as_f64)),
            scan_steps: sum(work.scan_steps, s.scan_steps.map(as_f64)),
            vm_steps: sum(work.vm_steps, s.vm_steps.map(as_f64)),
        })
    }
}

/// What was measured on one side only counts; what was measured on neither is not zero.
fn sum<T: std::ops::Add<Output = T>>(left: Option<T>, right: Option<T>) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left + right),
        (one, None) | (None, one) => one,
    }
}

#[cfg(test)]
mod tests;
