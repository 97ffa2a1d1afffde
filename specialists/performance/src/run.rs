//! What a measurement is, as it travels from `measure` to the capabilities that judge it.
//! Milliseconds are wall-clock time; what is "per request" is divided by the requests of the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::Role;

/// The outputs of `performance.measure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// What the service says it is; null when it does not say.
    pub revision: Option<String>,
    /// Each run on its own: noise is what differs between them.
    pub runs: Vec<Run>,
    /// The twenty that took most of the database's time, over all runs; without those that begin
    /// and end transactions.
    pub statements: Vec<Statement>,
    /// Where the time of a request went, over all runs.
    pub latency: Latency,
    /// Database connections of the service; null when it does not say.
    pub pool_size: Option<u64>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// In the order of the scenario.
    pub endpoints: Vec<EndpointFigures>,
    /// Answers per second.
    pub achieved_rate_per_s: f64,
    /// What was to be sent per second.
    pub intended_rate_per_s: f64,
    /// The requests left on time, and the service did not keep up with them.
    pub saturated: bool,
    /// Per request of any kind.
    pub counters: Counters,
    /// Per request with the role `write`, of statements that write; null when there are none.
    pub write_counters: Option<Counters>,
}

/// One endpoint in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointFigures {
    /// As the scenario calls it.
    pub name: String,
    /// As the scenario says.
    pub role: Role,
    /// Sent, whatever became of them.
    pub requests: u64,
    /// Sent, and not answered below 400.
    pub errors: u64,
    /// Due, and not sent because too many were under way.
    pub dropped: u64,
    /// Median, from the intended send time.
    pub p50_ms: f64,
    /// Likewise.
    pub p95_ms: f64,
    /// Likewise.
    pub p99_ms: f64,
    /// Likewise.
    pub mean_ms: f64,
}

/// What a request cost. Null is what could not be measured, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// In statements, without waiting for locks.
    pub db_ms: Option<f64>,
    /// For a database connection.
    pub pool_wait_ms: Option<f64>,
    /// For other services.
    pub external_ms: Option<f64>,
    /// For locks.
    pub lock_wait_ms: Option<f64>,
    /// In the service, from the request to the answer.
    pub handler_ms: Option<f64>,
    /// On the service's processor.
    pub cpu_ms: Option<f64>,
    /// Without those that begin and end transactions.
    pub statements: Option<f64>,
    /// Of the database, found in memory or read.
    pub blocks: Option<f64>,
    /// Rows stepped over by scans without an index (SQLite).
    pub scan_steps: Option<f64>,
    /// Virtual machine operations (SQLite).
    pub vm_steps: Option<f64>,
}

/// One statement text. Calls are per request of the whole mix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// As the service prepares it.
    pub text: String,
    /// How often a request runs it.
    pub calls_per_request: f64,
    /// Returned or written.
    pub rows_per_call: f64,
    /// As the service sees it where it counts itself, else as the database does.
    pub ms_per_call: f64,
    /// Null where the database does not tell.
    pub blocks_per_call: Option<f64>,
    /// Null where the database does not tell.
    pub scan_steps_per_call: Option<f64>,
    /// Of the time of all statements, 0 to 1.
    pub share_of_db: f64,
}

impl Statement {
    /// Milliseconds per request.
    pub(crate) fn ms_per_request(&self) -> f64 {
        self.calls_per_request * self.ms_per_call
    }
}

/// Where the time of a request went: the parts and the generator's lag add up to the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Over all endpoints, from the intended send time.
    pub mean_ms: f64,
    /// Of the slowest endpoint that reads, over all runs; of all endpoints where none reads.
    pub p50_ms: f64,
    /// Likewise.
    pub p95_ms: f64,
    /// Likewise.
    pub p99_ms: f64,
    /// In statements, without waiting for locks; null when nothing counts it.
    pub db_ms: Option<f64>,
    /// For a database connection.
    pub pool_wait_ms: Option<f64>,
    /// For locks.
    pub lock_wait_ms: Option<f64>,
    /// For other services.
    pub external_ms: Option<f64>,
    /// On the service's processor, part of the rest.
    pub cpu_ms: Option<f64>,
    /// How late the generator itself was on average: nothing that it waits for is the service's,
    /// so this is its own machine's part.
    pub generator_lag_ms: f64,
    /// What is left of the mean; `cpu_ms` is a part of it.
    pub rest_ms: f64,
}

impl Latency {
    /// What the service and the way to it took, on average.
    pub(crate) fn of_service_ms(&self) -> f64 {
        self.mean_ms - self.generator_lag_ms
    }
}

impl Run {
    /// What limits on latency are about: the endpoints that read; all of them where none does.
    pub(crate) fn judged(&self) -> impl Iterator<Item = &EndpointFigures> {
        let any_reads = self.requests(Role::Read) > 0;
        self.endpoints
            .iter()
            .filter(move |e| e.requests > 0 && (!any_reads || e.role == Role::Read))
    }

    /// Sent requests with this role.
    pub(crate) fn requests(&self, role: Role) -> u64 {
        self.of(role).map(|e| e.requests).sum()
    }

    /// The p95 of the endpoints with this role, weighted by their requests; none when there are
    /// no requests. Weighting endpoint by endpoint keeps a slow one visible that is rarely asked.
    pub(crate) fn p95_ms(&self, role: Role) -> Option<f64> {
        let requests = self.requests(role);
        let weighted = |e: &EndpointFigures| e.p95_ms * as_f64(e.requests);
        (requests > 0).then(|| self.of(role).map(weighted).sum::<f64>() / as_f64(requests))
    }

    /// Failed and dropped requests, of all that were due.
    pub(crate) fn error_rate(&self) -> f64 {
        let lost: u64 = self.endpoints.iter().map(|e| e.errors + e.dropped).sum();
        let due: u64 = self.endpoints.iter().map(|e| e.requests + e.dropped).sum();
        if due == 0 { 1.0 } else { as_f64(lost) / as_f64(due) }
    }

    /// The endpoints with this role.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &EndpointFigures> {
        self.endpoints.iter().filter(move |e| e.role == role)
    }
}

/// Counts of a run are far below 2^52, where this is exact.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^52")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Three decimals: microseconds, and shares to a tenth of a per cent. What is finer is noise.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
