//! `deployment.rollback`: back to a revision, byte for byte where the bytes are known.
//!
//! It starts from any state of the service, also a broken one, and waits for it to recover. Right
//! whether or not the release it takes back ever happened; but what a third party released in the
//! meantime is theirs, and stays.

mod by_file;
mod by_fleet;

use deadelus_proxy::Routes;
use deadelus_runtime::{
    About, ChangeCapability, Context, Effect, Failure, Found, Idempotency, Measured, Prepared,
    Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    release::reconfigured,
    target::{CAPABILITY_TIMEOUT, Targets, Way},
};

/// The capability.
pub(crate) struct Rollback(pub(crate) Targets);

/// What to go back to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// One of the revisions declared for the target: `v1`. None only together with an empty table:
    /// the way back from the first release of a fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    /// The exact text of the revision file to bring back; a plain one where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// The exact table of a fleet's proxy to bring back; where it is not given, the revision gets
    /// everything and all others stay, with nothing to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub(crate) routes: Option<Routes>,
    /// The revision that is taken back. Where it is given and a third one is served, nothing is
    /// touched. Of a fleet, its processes are stopped unless the table names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    /// The version of the live schema, from `db.inspect`; needed where the revision declares its
    /// range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema_version: Option<i64>,
}

/// What was gone back to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Served now; none where nothing is.
    pub(crate) revision: Option<String>,
    /// SHA-256 of the revision file, or of the proxy's table, now.
    pub(crate) fingerprint: String,
    /// Probes that found the service not well before it was.
    pub(crate) failed_probes: usize,
}

/// What was there before the way back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Before {
    File(by_file::Before),
    Fleet(by_fleet::Before),
}

/// The way back that these inputs describe.
pub(crate) fn undo(inputs: &Inputs) -> Undo {
    Undo::exact("deployment.rollback", inputs)
}

impl ChangeCapability for Rollback {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "rollback",
            role: "Deployment",
            summary: "Brings a service back to a declared revision, from whatever state it is in.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("served_revision", "the service itself says that it serves the revision"),
                ("healthy_probes_in_a_row", "it is well, several times in a row"),
                ("file_fingerprint", "the revision file holds exactly the text to bring back"),
                ("table_fingerprint", "of a fleet: everybody gets exactly what they got before"),
            ],
            undo: Some(UndoPromise { verb: "rollback", class: UndoClass::Exact }),
            timeout: CAPABILITY_TIMEOUT,
            locks: &["deployment:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let target = self.0.of(cx)?;
        if let Some(revision) = &inputs.revision {
            target.carries(revision, inputs.schema_version)?;
        }
        match &target.way {
            Way::File(service) => {
                let Prepared { before, undo } = by_file::prepare(target, service, inputs).await?;
                Ok(Prepared { before: Before::File(before), undo })
            }
            Way::Fleet(fleet) => {
                let Prepared { before, undo } = by_fleet::prepare(target, fleet, inputs).await?;
                Ok(Prepared { before: Before::Fleet(before), undo })
            }
        }
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        match &self.0.of(cx)?.way {
            Way::File(service) => by_file::perform(cx, service, inputs).await,
            Way::Fleet(fleet) => by_fleet::perform(cx, fleet, inputs).await,
        }
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        match (&self.0.of(cx)?.way, before) {
            (Way::File(service), Before::File(before)) => {
                by_file::reconcile(cx, service, inputs, before).await
            }
            (Way::Fleet(fleet), Before::Fleet(before)) => {
                by_fleet::reconcile(cx, fleet, inputs, before).await
            }
            (Way::File(_), Before::Fleet(_)) | (Way::Fleet(_), Before::File(_)) => {
                Err(reconfigured())
            }
        }
    }
}

#[cfg(test)]
mod tests;
