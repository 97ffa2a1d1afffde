//! The service's own counters: `GET counters_url`, sums since its start, as JSON.
//!
//! Only `requests` must be there; each other key makes one more thing measurable. Keys that are
//! not known here belong to somebody else and are left alone.

use std::time::Duration;

use bytes::Bytes;
use deadelus_runtime::{ErrorClass, Failure};
use http_body_util::{BodyExt, Limited};
use hyper::{Method, Uri};
use serde::Deserialize;

use super::{StatementUse, Usage, WentBack};
use crate::load::{HttpClient, tally::ErrorKind};

/// A page of counters is a few kilobytes; what is longer is another page.
const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;
/// The page reads a few numbers from memory. A service that needs longer is not measurable.
const WITHIN: Duration = Duration::from_secs(10);

/// The page at one moment.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct ServiceReading {
    #[serde(default)]
    pub(crate) revision: Option<String>,
    /// Finished requests, without those for this page.
    pub(crate) requests: u64,
    #[serde(default)]
    pub(crate) statements: Vec<StatementReading>,
    #[serde(default)]
    pub(crate) pool: Option<PoolReading>,
    #[serde(default)]
    pub(crate) external_ms: Option<f64>,
    #[serde(default)]
    pub(crate) lock_wait_ms: Option<f64>,
    /// Without `lock_wait_ms`.
    #[serde(default)]
    pub(crate) db_ms: Option<f64>,
    #[serde(default)]
    pub(crate) handler_ms: Option<f64>,
    /// Processor time of the service: what tells work from waiting in its own code.
    #[serde(default)]
    pub(crate) cpu_ms: Option<f64>,
}

/// One statement text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct StatementReading {
    pub(crate) text: String,
    pub(crate) calls: u64,
    pub(crate) rows: u64,
    pub(crate) total_ms: f64,
    #[serde(default)]
    pub(crate) blocks: Option<u64>,
    #[serde(default)]
    pub(crate) scan_steps: Option<u64>,
    #[serde(default)]
    pub(crate) vm_steps: Option<u64>,
}

/// The service's database connections.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct PoolReading {
    pub(crate) size: u64,
    pub(crate) wait_ms: f64,
}

/// Reads the page.
pub(crate) async fn read(client: &HttpClient, uri: &Uri) -> Result<ServiceReading, Failure> {
    let answer = tokio::time::timeout(WITHIN, body(client, uri)).await;
    let (status, body) = answer
        .unwrap_or(Err(ErrorKind::Timeout))
        .map_err(|kind| unavailable(uri, kind.as_str()))?;
    if status != 200 {
        return Err(unavailable(uri, &format!("status {status}")));
    }
    serde_json::from_slice(&body).map_err(|e| {
        let text = format!("the counters of {uri} are not the JSON that was expected: {e}");
        Failure::new(ErrorClass::PreconditionFailed, text)
            .help("correct counters_url, or leave it out")
    })
}

/// What was done between two pages.
pub(crate) fn between(before: &ServiceReading, after: &ServiceReading) -> Result<Usage, WentBack> {
    let (pool_before, pool_after) = (before.pool.map(|p| p.wait_ms), after.pool.map(|p| p.wait_ms));
    Ok(Usage {
        requests: Some(after.requests.checked_sub(before.requests).ok_or(WentBack("requests"))?),
        db_ms: grown("db_ms", before.db_ms, after.db_ms)?,
        pool_wait_ms: grown("pool.wait_ms", pool_before, pool_after)?,
        external_ms: grown("external_ms", before.external_ms, after.external_ms)?,
        lock_wait_ms: grown("lock_wait_ms", before.lock_wait_ms, after.lock_wait_ms)?,
        handler_ms: grown("handler_ms", before.handler_ms, after.handler_ms)?,
        cpu_ms: grown("cpu_ms", before.cpu_ms, after.cpu_ms)?,
        statements: statements(&before.statements, &after.statements)?,
    })
}

fn statements(
    before: &[StatementReading],
    after: &[StatementReading],
) -> Result<Vec<StatementUse>, WentBack> {
    let mut used = Vec::with_capacity(after.len());
    for statement in after {
        let earlier = before.iter().find(|earlier| earlier.text == statement.text);
        let difference = statement.since(earlier).ok_or(WentBack("statements"))?;
        if difference.calls > 0 {
            used.push(difference);
        }
    }
    Ok(used)
}

impl StatementReading {
    fn since(&self, earlier: Option<&Self>) -> Option<StatementUse> {
        let count = |of: fn(&Self) -> u64| of(self).checked_sub(earlier.map_or(0, of));
        let measured = |of: fn(&Self) -> Option<u64>| {
            let earlier = earlier.and_then(of).unwrap_or(0);
            of(self).map_or(Some(None), |now| now.checked_sub(earlier).map(Some))
        };
        Some(StatementUse {
            text: self.text.clone(),
            calls: count(|s| s.calls)?,
            rows: count(|s| s.rows)?,
            total_ms: (self.total_ms - earlier.map_or(0.0, |s| s.total_ms)).max(0.0),
            blocks: measured(|s| s.blocks)?,
            scan_steps: measured(|s| s.scan_steps)?,
            vm_steps: measured(|s| s.vm_steps)?,
        })
    }
}

fn grown(
    name: &'static str,
    before: Option<f64>,
    after: Option<f64>,
) -> Result<Option<f64>, WentBack> {
    match (before, after) {
        (Some(before), Some(after)) if after < before => Err(WentBack(name)),
        (Some(before), Some(after)) => Ok(Some(after - before)),
        (None, _) | (_, None) => Ok(None),
    }
}

async fn body(client: &HttpClient, uri: &Uri) -> Result<(u16, Bytes), ErrorKind> {
    let (status, body) = client.ask(Method::GET, uri.clone(), Bytes::new()).await?;
    let body = Limited::new(body, BODY_MAX_BYTES).collect().await;
    Ok((status, body.map_err(|_| ErrorKind::Transport)?.to_bytes()))
}

fn unavailable(uri: &Uri, problem: &str) -> Failure {
    Failure::new(ErrorClass::Unavailable, format!("the counters of {uri}: {problem}"))
        .help("see whether the service is up, and whether counters_url is right")
}
