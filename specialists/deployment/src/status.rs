//! `deployment.status`: what a service serves, and whether that is what it was told to.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    fleet::Fleet,
    health::Probe,
    processes::State,
    revision_file::{fingerprint, revision},
    routing::{ServerReport, table},
    target::{ByFile, Targets, Way},
};

/// One small file, and one probe of at most five seconds.
const STATUS_TIMEOUT: Duration = Duration::from_secs(15);

/// The capability.
pub(crate) struct Status(pub(crate) Targets);

/// Nothing to say: the target is the question.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {}

/// How the service is.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Served now; null when that could not be seen.
    pub(crate) revision: Option<String>,
    /// What the revision file or the proxy's table asks for; null when that is not exactly one.
    pub(crate) wanted: Option<String>,
    /// SHA-256 of the revision file or of the proxy's table; null when there is none.
    pub(crate) fingerprint: Option<String>,
    /// Milliseconds to the answer.
    pub(crate) latency_ms: u64,
    /// What may be released.
    pub(crate) revisions: Vec<String>,
    /// Of a fleet: everybody in the proxy's table.
    pub(crate) servers: Vec<ServerStatus>,
}

/// One server of a fleet.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServerStatus {
    /// Its revision and its number: `v2-0`.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: String,
    /// Its share of the requests.
    pub(crate) weight: u16,
    /// Requests it has in hand.
    pub(crate) in_flight: u64,
    /// Requests it was given since it came into the table.
    pub(crate) requests: u64,
    /// Of these: no answer, or a status of 500 and above.
    pub(crate) errors: u64,
    /// `running`, or what became of its process.
    pub(crate) process: String,
}

impl ReadCapability for Status {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "status",
            role: "Deployment",
            summary: "Asks a service what it serves and compares that with what it should.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("healthy", "the service itself says that it is well"),
                ("served_revision", "it serves what its revision file or its proxy asks for"),
                ("servers_away", "of a fleet: servers that get requests and do not run"),
            ],
            undo: None,
            timeout: STATUS_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, _: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let revisions = target.revisions.keys().cloned().collect();
        match &target.way {
            Way::File(service) => by_file(service, revisions).await,
            Way::Fleet(fleet) => by_fleet(fleet, revisions).await,
        }
    }
}

async fn by_file(service: &ByFile, revisions: Vec<String>) -> Result<Measured<Outputs>, Failure> {
    let probe = service.prober.probe().await;
    let text = service.file.read().await?;
    let wanted = text.as_deref().and_then(revision);
    let checks = checks(&probe, wanted.as_deref());
    let outputs = Outputs {
        revision: probe.answer.revision().map(str::to_owned),
        wanted,
        fingerprint: text.as_deref().map(fingerprint),
        latency_ms: probe.latency_ms,
        revisions,
        servers: vec![],
    };
    Ok(Measured::new(outputs, checks))
}

async fn by_fleet(fleet: &Fleet, revisions: Vec<String>) -> Result<Measured<Outputs>, Failure> {
    let report = fleet.proxy.report().await?;
    let held = fleet.supervisor.look()?;
    let routes = report.routes();
    let served = table::serving(&routes);
    let wanted = served.first().filter(|_| served.len() == 1).map(|r| (*r).to_owned());
    let probe = fleet.through_proxy.probe().await;
    let server = |s: &ServerReport| ServerStatus {
        name: s.name.clone(),
        address: s.address.to_string(),
        weight: s.weight,
        in_flight: s.in_flight,
        requests: s.requests,
        errors: s.errors,
        process: in_words(held.get(&s.name).map(|held| &held.state)),
    };
    let servers: Vec<ServerStatus> = report.servers.iter().map(server).collect();
    let away = servers.iter().filter(|s| s.weight > 0 && s.process != RUNNING);
    let away: Vec<&str> = away.map(|s| s.name.as_str()).collect();
    let mut checks = checks(&probe, wanted.as_deref());
    checks.push(Check::equal("servers_away", away.len(), 0).note(away.join(", ")));
    let outputs = Outputs {
        revision: probe.answer.revision().map(str::to_owned),
        wanted,
        fingerprint: Some(table::fingerprint(&routes)),
        latency_ms: probe.latency_ms,
        revisions,
        servers,
    };
    Ok(Measured::new(outputs, checks))
}

/// How a process is called that is as it should be.
const RUNNING: &str = "running";

fn in_words(state: Option<&State>) -> String {
    match state {
        Some(State::Running) => RUNNING.to_owned(),
        Some(State::Ended(how)) => format!("ended: {how}"),
        Some(State::Unheld) => "lost its holder".to_owned(),
        None => "unknown here".to_owned(),
    }
}

fn checks(probe: &Probe, wanted: Option<&str>) -> Vec<Check> {
    let trouble = probe.answer.trouble();
    let served = match (probe.answer.revision(), wanted) {
        (Some(served), Some(wanted)) => Check::equal("served_revision", served, wanted),
        (None, wanted) => Check::not_measured(
            "served_revision",
            wanted.unwrap_or("unknown"),
            trouble.unwrap_or_default(),
        ),
        (Some(_), None) => Check::not_measured(
            "served_revision",
            "unknown",
            "neither the revision file nor the proxy asks for exactly one",
        ),
    };
    vec![Check::equal("healthy", trouble.is_none(), true).note(trouble.unwrap_or_default()), served]
}

#[cfg(test)]
mod tests;
