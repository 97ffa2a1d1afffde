//! `deployment.status`: what a service serves, and whether that is what its file asks for.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    health::Probe,
    revision_file::{fingerprint, revision},
    target::Targets,
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
    /// What the revision file asks for; null when it asks for nothing that can be read.
    pub(crate) wanted: Option<String>,
    /// SHA-256 of the revision file; null when there is none.
    pub(crate) fingerprint: Option<String>,
    /// Milliseconds to the answer.
    pub(crate) latency_ms: u64,
    /// What may be released.
    pub(crate) revisions: Vec<String>,
}

impl ReadCapability for Status {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "status",
            role: "Deployment",
            summary: "Asks a service what it serves and compares that with its revision file.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("healthy", "the service itself says that it is well"),
                ("served_revision", "it serves what its revision file asks for"),
            ],
            undo: None,
            timeout: STATUS_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, _: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let probe = target.prober.probe().await;
        let text = target.file.read().await?;
        let wanted = text.as_deref().and_then(revision);
        let checks = checks(&probe, wanted.as_deref());
        let outputs = Outputs {
            revision: probe.answer.revision().map(str::to_owned),
            wanted,
            fingerprint: text.as_deref().map(fingerprint),
            latency_ms: probe.latency_ms,
            revisions: target.revisions.keys().cloned().collect(),
        };
        Ok(Measured::new(outputs, checks))
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
            "the revision file asks for nothing that can be read",
        ),
    };
    vec![Check::equal("healthy", trouble.is_none(), true).note(trouble.unwrap_or_default()), served]
}

#[cfg(test)]
mod tests;
