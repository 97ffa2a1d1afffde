//! `deployment.release`: let a service serve another revision of itself.
//!
//! The service is well and agrees with its file before anything is touched; otherwise there would
//! be nothing to go back to. If it does not settle on the new revision, the old text is put back
//! here and now, and the failure carries the answers that prove it.

use deadelus_runtime::{
    About, Aftermath, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found,
    Idempotency, Measured, Prepared, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    health::Answer,
    revision_file::{self, document, fingerprint},
    rollback,
    switch::{self, End, Patience},
    target::{CAPABILITY_TIMEOUT, Target, Targets},
    timeline::Timeline,
};

/// The capability.
pub(crate) struct Release(pub(crate) Targets);

/// What is to be released.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// One of the revisions declared for the target: `v2`.
    pub(crate) revision: String,
}

/// What was released.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Served now.
    pub(crate) revision: String,
    /// Served before; the same when there was nothing to do.
    pub(crate) previous: String,
    /// SHA-256 of the revision file before.
    pub(crate) fingerprint_before: String,
    /// SHA-256 of the revision file now.
    pub(crate) fingerprint: String,
}

/// What was there before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    /// Served, and named in the file.
    pub(crate) previous: String,
    /// The file's text.
    pub(crate) text: String,
}

impl Before {
    /// The text that asks for `revision`; the old one if that already does.
    fn text_for(&self, revision: &str) -> String {
        if self.previous == revision { self.text.clone() } else { document(revision) }
    }
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
                ("failed_probes", "no probe failed while it switched"),
            ],
            undo: Some(UndoPromise { verb: "rollback", class: UndoClass::Exact }),
            timeout: CAPABILITY_TIMEOUT,
            locks: &["deployment:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let target = self.0.of(cx)?;
        target.declared(&inputs.revision)?;
        let before = look(target).await?;
        let undo = rollback::undo(rollback::Inputs {
            revision: before.previous.clone(),
            text: Some(before.text.clone()),
            replaces: Some(inputs.revision.clone()),
        })?;
        Ok(Prepared { before, undo: Some(undo) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let text = before.text_for(&inputs.revision);
        let now = target.file.read().await?;
        if now.as_ref() != Some(&text) {
            unchanged(now.as_deref(), before)?;
            target.file.replace(&text).await?;
        }
        match switch::settle(cx, target, &inputs.revision, Patience::None).await {
            (End::Settled, timeline) => measured(cx, target, inputs, before, &timeline).await,
            (End::Unsettled(reason), timeline) => {
                let failure =
                    Failure::new(ErrorClass::CheckFailed, reason).checks(checks(target, &timeline));
                Err(take_back(cx, target, before, timeline, failure).await)
            }
            (End::Cancelled, timeline) => {
                let failure = Failure::new(ErrorClass::Denied, "cancelled before it was done");
                Err(take_back(cx, target, before, timeline, failure).await)
            }
        }
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let now = target.file.read().await?;
        if now != Some(before.text_for(&inputs.revision)) {
            return Ok(if now.as_ref() == Some(&before.text) {
                Found::NotBegun
            } else {
                Found::Partly
            });
        }
        match switch::settle(cx, target, &inputs.revision, Patience::None).await {
            (End::Settled, timeline) => {
                measured(cx, target, inputs, before, &timeline).await.map(Found::Done)
            }
            (End::Unsettled(_) | End::Cancelled, _) => Ok(Found::Partly),
        }
    }
}

/// The service as it is, if a release can start from there.
async fn look(target: &Target) -> Result<Before, Failure> {
    let probe = target.prober.probe().await;
    let url = target.prober.url();
    let previous = match probe.answer {
        Answer::Serving { revision } => revision,
        Answer::Failed { reason } if probe.status.is_none() => {
            return Err(Failure::new(ErrorClass::Unavailable, format!("{url}: {reason}")));
        }
        Answer::Refusing { reason, .. } | Answer::Failed { reason } => {
            let text = format!("{url}: {reason}");
            return Err(Failure::new(ErrorClass::PreconditionFailed, text)
                .help("a release starts from a healthy service; deployment.rollback repairs"));
        }
    };
    let text = target.file.read().await?.ok_or_else(|| target.file.missing(&previous))?;
    let wanted = revision_file::revision(&text);
    if wanted.as_ref() != Some(&previous) {
        let wanted = wanted.as_deref().unwrap_or("nothing that can be read");
        let text = format!("{url} serves {previous}, but its revision file asks for {wanted}");
        return Err(Failure::new(ErrorClass::PreconditionFailed, text)
            .help("check that revision_file is the file this service follows"));
    }
    target.declared(&previous).map_err(|failure| {
        let text = format!("served now, and so needed for the way back: {}", failure.message);
        Failure::new(ErrorClass::PreconditionFailed, text).help(failure.help)
    })?;
    Ok(Before { previous, text })
}

/// Refuses to write over what somebody else wrote in the meantime.
fn unchanged(now: Option<&str>, before: &Before) -> Result<(), Failure> {
    if now == Some(before.text.as_str()) {
        return Ok(());
    }
    let found = now.and_then(revision_file::revision);
    let found = found.as_deref().unwrap_or("no revision");
    let text = format!("the revision file asked for {}, and now for {found}", before.previous);
    Err(Failure::new(ErrorClass::PreconditionFailed, text)
        .help("somebody else releases this service; plan again once they are done"))
}

async fn measured(
    cx: &Context,
    target: &Target,
    inputs: &Inputs,
    before: &Before,
    timeline: &Timeline,
) -> Result<Measured<Outputs>, Failure> {
    let outputs = Outputs {
        revision: inputs.revision.clone(),
        previous: before.previous.clone(),
        fingerprint_before: fingerprint(&before.text),
        fingerprint: fingerprint(&before.text_for(&inputs.revision)),
    };
    // The effect is there: losing its evidence must not look as if nothing had been touched.
    let kept = switch::keep(cx, std::slice::from_ref(timeline)).await.map_err(|mut failure| {
        failure.aftermath = Aftermath::Partial;
        failure
    })?;
    Ok(Measured::new(outputs, checks(target, timeline)).artefacts(vec![kept]))
}

fn checks(target: &Target, timeline: &Timeline) -> Vec<Check> {
    let mut checks = timeline.checks(target.healthy_probes);
    checks.push(
        Check::equal("failed_probes", timeline.failed(), 0)
            .note(format!("of {}", timeline.probes.len())),
    );
    checks
}

/// Puts the old text back, waits until the service follows it, and says so in the failure.
async fn take_back(
    cx: &Context,
    target: &Target,
    before: &Before,
    forward: Timeline,
    mut failure: Failure,
) -> Failure {
    let mut timelines = vec![forward];
    let back = target.file.replace(&before.text).await;
    failure.aftermath = match back {
        Err(error) => {
            failure.message = format!("{}; and taking it back: {error}", failure.message);
            Aftermath::Partial
        }
        Ok(()) => {
            let (end, timeline) =
                switch::settle(cx, target, &before.previous, Patience::UntilTimeout).await;
            timelines.push(timeline);
            match end {
                End::Settled => Aftermath::TakenBack,
                End::Unsettled(_) | End::Cancelled => {
                    let text = "the file is as it was, but the service did not come back to";
                    failure.message = format!("{}; {text} {}", failure.message, before.previous);
                    Aftermath::Partial
                }
            }
        }
    };
    failure.artefacts.extend(switch::keep(cx, &timelines).await.ok());
    failure
}

#[cfg(test)]
mod shop;
#[cfg(test)]
mod tests;
