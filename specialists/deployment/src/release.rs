//! `deployment.release`: let a service serve another revision of itself.
//!
//! The service is well before anything is touched; otherwise there would be nothing to go back to.
//! If the new revision does not prove itself, what was is brought back here and now, and the failure
//! carries the answers that prove it. The two ways of releasing stand beside each other: by the file
//! a service follows, and by a fleet of processes behind a proxy.

mod by_file;
mod by_fleet;

use deadelus_runtime::{
    About, ChangeCapability, Context, Effect, ErrorClass, Failure, Found, Idempotency, Measured,
    Prepared, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    rollback,
    rollout::{Gates, Strategy, problem},
    target::{CAPABILITY_TIMEOUT, Targets, Way},
};

/// The capability.
pub(crate) struct Release(pub(crate) Targets);

/// What is to be released, and how.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// One of the revisions declared for the target: `v2`.
    pub(crate) revision: String,
    /// How a fleet moves; a service that follows a file does so at once.
    #[serde(default)]
    pub(crate) strategy: Strategy,
    /// What each step of a fleet has to show.
    #[serde(default)]
    pub(crate) gates: Gates,
    /// The version of the live schema, from `db.inspect`; needed where a revision declares its
    /// range.
    #[serde(default)]
    pub(crate) schema_version: Option<i64>,
}

/// What was released.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Served now.
    pub(crate) revision: String,
    /// Served before; the same when there was nothing to do, none for the first release of a fleet.
    pub(crate) previous: Option<String>,
    /// SHA-256 of the revision file, or of the proxy's table, before.
    pub(crate) fingerprint_before: String,
    /// SHA-256 of it now.
    pub(crate) fingerprint: String,
}

/// What was there before.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Before {
    File(by_file::Before),
    Fleet(by_fleet::Before),
}

impl ChangeCapability for Release {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "release",
            role: "Deployment",
            summary: "Lets a service serve another declared revision of itself.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("served_revision", "the service itself says that it serves the revision"),
                ("healthy_probes_in_a_row", "it is well, several times in a row"),
                ("failed_probes", "of a file: no probe failed while it switched"),
                ("failed_requests", "of a fleet: no customer was refused while it switched"),
                ("error_percent", "of a fleet: how many answers of the revision were failures"),
            ],
            undo: Some(UndoPromise { verb: "rollback", class: UndoClass::Exact }),
            timeout: CAPABILITY_TIMEOUT,
            locks: &["deployment:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let target = self.0.of(cx)?;
        target.declared(&inputs.revision)?;
        if let Some(problem) = problem(&inputs.strategy, &inputs.gates) {
            return Err(Failure::new(ErrorClass::InvalidInput, problem));
        }
        target.carries(&inputs.revision, inputs.schema_version)?;
        let mut back = rollback::Inputs {
            replaces: Some(inputs.revision.clone()),
            schema_version: inputs.schema_version,
            ..rollback::Inputs::default()
        };
        let before = match &target.way {
            Way::File(service) => {
                if inputs.strategy != Strategy::BlueGreen {
                    let text = "strategy: a service that follows a file switches at once";
                    return Err(Failure::new(ErrorClass::Unsupported, text));
                }
                let before = by_file::look(target, service).await?;
                back.revision = Some(before.previous.clone());
                back.text = Some(before.text.clone());
                Before::File(before)
            }
            Way::Fleet(fleet) => {
                let before = by_fleet::look(target, fleet).await?;
                back.revision.clone_from(&before.previous);
                back.routes = Some(before.routes.clone());
                Before::Fleet(before)
            }
        };
        if let Some(previous) = &back.revision {
            // Else there would be no way back.
            target.carries(previous, inputs.schema_version)?;
        }
        Ok(Prepared { before, undo: Some(rollback::undo(&back)) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        match (&self.0.of(cx)?.way, before) {
            (Way::File(service), Before::File(before)) => {
                by_file::perform(cx, service, inputs, before).await
            }
            (Way::Fleet(fleet), Before::Fleet(before)) => {
                by_fleet::perform(cx, fleet, inputs, before).await
            }
            (Way::File(_), Before::Fleet(_)) | (Way::Fleet(_), Before::File(_)) => {
                Err(reconfigured())
            }
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

/// What was begun one way cannot go on another.
pub(crate) fn reconfigured() -> Failure {
    let text = "the target was configured otherwise when this began";
    Failure::new(ErrorClass::PreconditionFailed, text)
        .help("bring the earlier configuration back until this has ended")
}

#[cfg(test)]
pub(crate) mod fleet;
#[cfg(test)]
mod haproxy;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod tests;
