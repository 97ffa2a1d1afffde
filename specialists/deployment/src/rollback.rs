//! `deployment.rollback`: back to a revision, byte for byte where the bytes are known.
//!
//! It starts from any state of the service, also a broken one, and waits for it to recover. Right
//! whether or not the release it takes back ever happened; but what a third party released in the
//! meantime is theirs, and stays.

use deadelus_runtime::{
    About, Aftermath, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found,
    Idempotency, Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    revision_file::{self, REVISION_FILE_MAX_BYTES, document, fingerprint},
    switch::{self, End, Patience},
    target::{CAPABILITY_TIMEOUT, Target, Targets},
    timeline::Timeline,
};

/// The capability.
pub(crate) struct Rollback(pub(crate) Targets);

/// What to go back to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// One of the revisions declared for the target: `v1`.
    pub(crate) revision: String,
    /// The exact text of the revision file to bring back; a plain one where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// The revision that is taken back. Where it is given and the file asks for a third one,
    /// nothing is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
}

impl Inputs {
    fn text(&self) -> String {
        self.text.clone().unwrap_or_else(|| document(&self.revision))
    }
}

/// What was gone back to.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Served now.
    pub(crate) revision: String,
    /// SHA-256 of the revision file now.
    pub(crate) fingerprint: String,
    /// Probes that found the service not well before it was.
    pub(crate) failed_probes: usize,
}

/// The file's text before; none when there was no file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    text: Option<String>,
}

/// The way back that these inputs describe.
pub(crate) fn undo(inputs: Inputs) -> Result<Undo, Failure> {
    let defect = |e: String| Failure::new(ErrorClass::Unsupported, format!("undo record: {e}"));
    Ok(Undo {
        capability: "deployment.rollback".parse().map_err(|e| defect(format!("{e}")))?,
        inputs: serde_json::to_value(inputs).map_err(|e| defect(e.to_string()))?,
        class: UndoClass::Exact,
        residue: vec![],
    })
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
            ],
            undo: Some(UndoPromise { verb: "rollback", class: UndoClass::Exact }),
            timeout: CAPABILITY_TIMEOUT,
            locks: &["deployment:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let target = self.0.of(cx)?;
        target.declared(&inputs.revision)?;
        well_formed(inputs)?;
        let text = target.file.read().await?;
        ours(text.as_deref(), inputs)?;
        // Back from here leads only to what this specialist could have released itself.
        let current = text.as_deref().and_then(revision_file::revision);
        let undo = current
            .filter(|revision| target.declared(revision).is_ok())
            .map(|revision| {
                let replaces = Some(inputs.revision.clone());
                undo(Inputs { revision, text: text.clone(), replaces })
            })
            .transpose()?;
        Ok(Prepared { before: Before { text }, undo })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let now = target.file.read().await?;
        ours(now.as_deref(), inputs)?;
        if now != Some(inputs.text()) {
            target.file.replace(&inputs.text()).await?;
        }
        let (end, timeline) =
            switch::settle(cx, target, &inputs.revision, Patience::UntilTimeout).await;
        match end {
            End::Unsettled(reason) if timeline.ends_unanswered() => {
                Err(unanswered(cx, target, &reason, &timeline).await)
            }
            End::Settled | End::Unsettled(_) | End::Cancelled => {
                measured(cx, target, inputs, &timeline).await
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
        if now != Some(inputs.text()) {
            return Ok(if now == before.text { Found::NotBegun } else { Found::Partly });
        }
        match switch::settle(cx, target, &inputs.revision, Patience::None).await {
            (End::Settled, timeline) => {
                measured(cx, target, inputs, &timeline).await.map(Found::Done)
            }
            (End::Unsettled(_) | End::Cancelled, _) => Ok(Found::Partly),
        }
    }
}

/// Refuses a text that asks for something else than the revision, or that is too long to be one.
fn well_formed(inputs: &Inputs) -> Result<(), Failure> {
    let text = inputs.text();
    if text.len() as u64 > REVISION_FILE_MAX_BYTES {
        let text = format!("text: {} bytes, at most {REVISION_FILE_MAX_BYTES}", text.len());
        return Err(Failure::new(ErrorClass::InvalidInput, text));
    }
    if revision_file::revision(&text).as_ref() == Some(&inputs.revision) {
        return Ok(());
    }
    let text = format!("text does not ask for {}", inputs.revision);
    Err(Failure::new(ErrorClass::InvalidInput, text).help(format!(
        "leave it out, or give the whole file: {}",
        document(&inputs.revision).trim_end()
    )))
}

/// Refuses to write over a third party's release.
fn ours(now: Option<&str>, inputs: &Inputs) -> Result<(), Failure> {
    let (Some(replaces), Some(now)) = (&inputs.replaces, now) else { return Ok(()) };
    if now == inputs.text() {
        return Ok(());
    }
    match revision_file::revision(now) {
        Some(found) if found != *replaces && found != inputs.revision => {
            let text = format!("{replaces} is to be taken back, but the file asks for {found}");
            Err(Failure::new(ErrorClass::PreconditionFailed, text).help(
                "somebody else released meanwhile; to go back anyway, roll back without replaces",
            ))
        }
        Some(_) | None => Ok(()),
    }
}

async fn measured(
    cx: &Context,
    target: &Target,
    inputs: &Inputs,
    timeline: &Timeline,
) -> Result<Measured<Outputs>, Failure> {
    let kept = switch::keep(cx, std::slice::from_ref(timeline)).await.map_err(partial)?;
    let now = target.file.read().await.map_err(partial)?;
    let (now, wanted) = (fingerprint(&now.unwrap_or_default()), fingerprint(&inputs.text()));
    let outputs = Outputs {
        revision: inputs.revision.clone(),
        fingerprint: now.clone(),
        failed_probes: timeline.failed(),
    };
    let mut checks = timeline.checks(target.healthy_probes);
    checks.push(Check::equal("file_fingerprint", now, wanted));
    Ok(Measured::new(outputs, checks).artefacts(vec![kept]))
}

/// The file is right and nobody answers: worth another attempt, which finds the file as it is.
async fn unanswered(cx: &Context, target: &Target, reason: &str, timeline: &Timeline) -> Failure {
    let text = format!("the revision file is back, but {}: {reason}", target.prober.url());
    let mut failure = partial(Failure::new(ErrorClass::Unavailable, text))
        .help("start the service; it follows the file once it runs")
        .checks(timeline.checks(target.healthy_probes));
    failure.artefacts.extend(switch::keep(cx, std::slice::from_ref(timeline)).await.ok());
    failure
}

fn partial(mut failure: Failure) -> Failure {
    failure.aftermath = Aftermath::Partial;
    failure
}

#[cfg(test)]
mod tests;
