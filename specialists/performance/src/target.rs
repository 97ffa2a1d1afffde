//! What an operator configures for a system that may be loaded, and the checked form of it.
//!
//! The address comes from here and from nowhere else: no task can send load to another one.

use std::{fmt, time::Duration};

use bytes::Bytes;
use hyper::{
    Method, Uri,
    http::uri::{Authority, PathAndQuery},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::path::{PathError, PathTemplate};

/// Beyond this the generator itself is what is measured on a machine of a few cores.
pub(crate) const RATE_MAX_PER_S: f64 = 20_000.0;
/// A run that is longer belongs to a soak test; the statements' statistics would be evicted.
pub(crate) const DURATION_MAX_S: f64 = 600.0;
/// More runs than this no longer narrow the interval on a machine that others use too.
pub(crate) const RUNS_MAX: u32 = 20;
/// Sockets of one process: below the usual limit of 1024 open files, with room for the rest.
const IN_FLIGHT_MAX: u32 = 900;
/// A client has long given up by then.
const TIMEOUT_MAX_MS: u64 = 120_000;
/// Endpoints are listed in every run, and every run travels inline.
const ENDPOINTS_MAX: usize = 50;

/// A system that may be measured. Unknown keys are errors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerformanceTarget {
    /// `http://host:port`, optionally with a path that stands before every endpoint's.
    pub base_url: String,
    /// What is asked of it, picked by weight.
    pub scenario: Vec<Endpoint>,
    /// Requests per second over all endpoints.
    pub rate_per_s: f64,
    /// Seconds of one run, without the warm-up.
    #[serde(default = "default_duration_s")]
    pub duration_s: f64,
    /// Seconds of load before each run that are not counted.
    #[serde(default = "default_warmup_s")]
    pub warmup_s: f64,
    /// Runs of one measurement; a comparison needs three.
    #[serde(default = "default_runs")]
    pub runs: u32,
    /// Requests under way at once. What is due beyond it is not sent and counts as dropped.
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: u32,
    /// After this many milliseconds from its intended send time a request counts as timed out.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// Where the service tells what it has done since it started (see `usage::service`).
    #[serde(default)]
    pub counters_url: Option<String>,
    /// The PostgreSQL behind it, with `pg_stat_statements`; the role needs `pg_read_all_stats`.
    #[serde(default)]
    pub database: Option<DatabaseUrl>,
    /// What `check_budget` and `diagnose` hold it to when a task says nothing else.
    #[serde(default)]
    pub budget: Option<Budget>,
}

/// One kind of request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// As reports call it: `checkout`.
    pub name: String,
    /// `GET`, `POST`.
    pub method: String,
    /// `/checkout/{1..5000}`: each range stands for a number picked anew for each request.
    pub path: String,
    /// Sent as `application/json`.
    #[serde(default)]
    pub body: Option<serde_json::Value>,
    /// How often it is picked, relative to the others.
    #[serde(default = "default_weight")]
    pub weight: u32,
    /// Whether it is on the path that a change must not make slower.
    pub role: Role,
}

/// What a request does to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It looks.
    Read,
    /// It changes something: here an index costs instead of helping.
    Write,
}

/// Limits that a measurement is held to. Each is an upper bound; what is absent is not checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Milliseconds, of the slowest endpoint that reads; of all endpoints where none reads.
    pub p95_ms: Option<f64>,
    /// Likewise.
    pub p99_ms: Option<f64>,
    /// Milliseconds, of the slowest endpoint that writes.
    pub write_p95_ms: Option<f64>,
    /// Failed and dropped requests, 0 to 1.
    pub error_rate: Option<f64>,
    /// Milliseconds in the database, per request.
    pub db_ms: Option<f64>,
    /// Statements per request.
    pub statements: Option<f64>,
    /// Blocks per request.
    pub blocks: Option<f64>,
}

/// A PostgreSQL URL. Its password is never shown.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(tokio_postgres::Config);

impl TryFrom<String> for DatabaseUrl {
    type Error = tokio_postgres::Error;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        url.parse().map(Self)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{:?}/{}", self.0.get_hosts(), self.0.get_dbname().unwrap_or_default())
    }
}

/// As it is shown: the printed configuration holds no password.
impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

/// Why a target cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an address that load can be sent to.
    #[error("{key} {url:?}: an http://host:port address is needed; TLS is not spoken")]
    Address {
        /// The key of the configuration.
        key: &'static str,
        /// What it says.
        url: String,
    },
    /// There is nothing to ask for, or too much.
    #[error("scenario: 1 to {ENDPOINTS_MAX} endpoints with different names are needed")]
    Scenario,
    /// All weights are zero.
    #[error("scenario: no endpoint has a weight above 0")]
    Weights,
    /// No such method.
    #[error("endpoint {endpoint}: {method:?} is no HTTP method")]
    Method {
        /// Whose.
        endpoint: String,
        /// What it says.
        method: String,
    },
    /// The path cannot be requested.
    #[error("endpoint {endpoint}")]
    Path {
        /// Whose.
        endpoint: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// A number is outside its range.
    #[error("{key} = {value} is outside {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// What it says.
        value: String,
        /// What is allowed.
        range: String,
    },
}

/// A target that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) base_url: String,
    pub(crate) authority: Authority,
    pub(crate) endpoints: Vec<Step>,
    pub(crate) defaults: Load,
    pub(crate) max_in_flight: usize,
    pub(crate) timeout: Duration,
    pub(crate) counters: Option<Uri>,
    pub(crate) database: Option<tokio_postgres::Config>,
    pub(crate) budget: Option<Budget>,
}

/// An endpoint that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) path: PathTemplate,
    pub(crate) body: Bytes,
    pub(crate) weight: u32,
    pub(crate) role: Role,
}

/// How much load, for how long, how often.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    pub(crate) rate_per_s: f64,
    pub(crate) duration_s: f64,
    pub(crate) warmup_s: f64,
    pub(crate) runs: u32,
}

impl Load {
    /// Checks the ranges, wherever the numbers came from.
    pub(crate) fn checked(self) -> Result<Self, TargetError> {
        positive("rate_per_s", self.rate_per_s, RATE_MAX_PER_S)?;
        positive("duration_s", self.duration_s, DURATION_MAX_S)?;
        if self.warmup_s != 0.0 {
            positive("warmup_s", self.warmup_s, DURATION_MAX_S)?;
        }
        in_range("runs", u64::from(self.runs), 1, u64::from(RUNS_MAX))?;
        Ok(self)
    }

    /// Seconds until the last request of the last run is due.
    pub(crate) fn total_s(&self) -> f64 {
        f64::from(self.runs) * (self.warmup_s + self.duration_s)
    }
}

impl PerformanceTarget {
    /// Parses addresses, paths and ranges, so that a task never fails on them.
    pub(crate) fn check(self) -> Result<Site, TargetError> {
        let base = address("base_url", &self.base_url)?;
        let prefix = base.path().trim_end_matches('/').to_owned();
        let names: std::collections::BTreeSet<_> = self.scenario.iter().map(|e| &e.name).collect();
        if !(1..=ENDPOINTS_MAX).contains(&names.len()) || names.len() != self.scenario.len() {
            return Err(TargetError::Scenario);
        }
        if self.scenario.iter().all(|e| e.weight == 0) {
            return Err(TargetError::Weights);
        }
        in_range("max_in_flight", self.max_in_flight.into(), 1, IN_FLIGHT_MAX.into())?;
        in_range("timeout_ms", self.timeout_ms, 1, TIMEOUT_MAX_MS)?;
        let counters = self.counters_url.map(|url| address("counters_url", &url)).transpose()?;
        let defaults = Load {
            rate_per_s: self.rate_per_s,
            duration_s: self.duration_s,
            warmup_s: self.warmup_s,
            runs: self.runs,
        };
        Ok(Site {
            authority: authority("base_url", &self.base_url, &base)?,
            endpoints: self
                .scenario
                .into_iter()
                .map(|e| e.check(&prefix))
                .collect::<Result<_, _>>()?,
            defaults: defaults.checked()?,
            max_in_flight: self.max_in_flight as usize,
            timeout: Duration::from_millis(self.timeout_ms),
            counters,
            database: self.database.map(|url| url.0),
            budget: self.budget,
            base_url: self.base_url,
        })
    }
}

impl Endpoint {
    fn check(self, prefix: &str) -> Result<Step, TargetError> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| {
            TargetError::Method { endpoint: self.name.clone(), method: self.method.clone() }
        })?;
        let path = PathTemplate::parse(prefix, &self.path)
            .map_err(|source| TargetError::Path { endpoint: self.name.clone(), source })?;
        let body = self.body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        Ok(Step { name: self.name, method, path, body, weight: self.weight, role: self.role })
    }
}

fn address(key: &'static str, url: &str) -> Result<Uri, TargetError> {
    let refused = || TargetError::Address { key, url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| refused())?;
    let plain = uri.scheme_str() == Some("http") && uri.query().is_none();
    let named = uri.authority().is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'));
    if plain && named { Ok(uri) } else { Err(refused()) }
}

fn authority(key: &'static str, url: &str, uri: &Uri) -> Result<Authority, TargetError> {
    uri.authority().cloned().ok_or_else(|| TargetError::Address { key, url: url.to_owned() })
}

fn positive(key: &'static str, value: f64, max: f64) -> Result<(), TargetError> {
    if value > 0.0 && value <= max {
        return Ok(());
    }
    Err(TargetError::Range { key, value: value.to_string(), range: format!("0 < {key} <= {max}") })
}

fn in_range(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), TargetError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(TargetError::Range { key, value: value.to_string(), range: format!("{min}..={max}") })
}

/// The address of one request; it can only differ from the target's in path and query.
pub(crate) fn at(authority: &Authority, path: PathAndQuery) -> Uri {
    let mut parts = hyper::http::uri::Parts::default();
    parts.scheme = Some(hyper::http::uri::Scheme::HTTP);
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(path);
    // All three parts are there, which is the only thing that can be wrong.
    Uri::from_parts(parts).unwrap_or_default()
}

fn default_duration_s() -> f64 {
    10.0
}

fn default_warmup_s() -> f64 {
    2.0
}

fn default_runs() -> u32 {
    3
}

fn default_max_in_flight() -> u32 {
    256
}

fn default_timeout_ms() -> u64 {
    10_000
}

fn default_weight() -> u32 {
    1
}
