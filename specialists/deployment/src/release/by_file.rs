//! A release by configuration: the text of the file is replaced, and the service is believed.

use deadelus_runtime::{Aftermath, Check, Context, ErrorClass, Failure, Found, Measured};
use serde::{Deserialize, Serialize};

use super::{Inputs, Outputs};
use crate::{
    health::Answer,
    revision_file::{self, document, fingerprint},
    switch::{self, End, Patience},
    target::{ByFile, Target},
    timeline::Timeline,
};

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

/// The service as it is, if a release can start from there.
pub(super) async fn look(target: &Target, service: &ByFile) -> Result<Before, Failure> {
    let probe = service.prober.probe().await;
    let url = service.prober.url();
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
    let text = service.file.read().await?.ok_or_else(|| service.file.missing(&previous))?;
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

pub(super) async fn perform(
    cx: &Context,
    service: &ByFile,
    inputs: &Inputs,
    before: &Before,
) -> Result<Measured<Outputs>, Failure> {
    let text = before.text_for(&inputs.revision);
    let now = service.file.read().await?;
    if now.as_ref() != Some(&text) {
        unchanged(now.as_deref(), before)?;
        service.file.replace(&text).await?;
    }
    match settle(cx, service, &inputs.revision, Patience::None).await {
        (End::Settled, timeline) => measured(cx, service, inputs, before, &timeline).await,
        (End::Unsettled(reason), timeline) => {
            let failure =
                Failure::new(ErrorClass::CheckFailed, reason).checks(checks(service, &timeline));
            Err(take_back(cx, service, before, timeline, failure).await)
        }
        (End::Cancelled, timeline) => {
            let failure = Failure::new(ErrorClass::Denied, "cancelled before it was done");
            Err(take_back(cx, service, before, timeline, failure).await)
        }
    }
}

pub(super) async fn reconcile(
    cx: &Context,
    service: &ByFile,
    inputs: &Inputs,
    before: &Before,
) -> Result<Found<Outputs>, Failure> {
    let now = service.file.read().await?;
    if now != Some(before.text_for(&inputs.revision)) {
        return Ok(if now.as_ref() == Some(&before.text) {
            Found::NotBegun
        } else {
            Found::Partly
        });
    }
    match settle(cx, service, &inputs.revision, Patience::None).await {
        (End::Settled, timeline) => {
            measured(cx, service, inputs, before, &timeline).await.map(Found::Done)
        }
        (End::Unsettled(_) | End::Cancelled, _) => Ok(Found::Partly),
    }
}

async fn settle(cx: &Context, service: &ByFile, to: &str, patience: Patience) -> (End, Timeline) {
    switch::settle(cx, &service.prober, &service.watch, to, patience).await
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
    service: &ByFile,
    inputs: &Inputs,
    before: &Before,
    timeline: &Timeline,
) -> Result<Measured<Outputs>, Failure> {
    let outputs = Outputs {
        revision: inputs.revision.clone(),
        previous: Some(before.previous.clone()),
        fingerprint_before: fingerprint(&before.text),
        fingerprint: fingerprint(&before.text_for(&inputs.revision)),
    };
    // The effect is there: losing its evidence must not look as if nothing had been touched.
    let kept = switch::keep(cx, std::slice::from_ref(timeline)).await.map_err(|mut failure| {
        failure.aftermath = Aftermath::Partial;
        failure
    })?;
    Ok(Measured::new(outputs, checks(service, timeline)).artefacts(vec![kept]))
}

fn checks(service: &ByFile, timeline: &Timeline) -> Vec<Check> {
    let mut checks = timeline.checks(service.watch.healthy_probes);
    checks.push(
        Check::equal("failed_probes", timeline.failed(), 0)
            .note(format!("of {}", timeline.probes.len())),
    );
    checks
}

/// Puts the old text back, waits until the service follows it, and says so in the failure.
async fn take_back(
    cx: &Context,
    service: &ByFile,
    before: &Before,
    forward: Timeline,
    mut failure: Failure,
) -> Failure {
    let mut timelines = vec![forward];
    let back = service.file.replace(&before.text).await;
    failure.aftermath = match back {
        Err(error) => {
            failure.message = format!("{}; and taking it back: {error}", failure.message);
            Aftermath::Partial
        }
        Ok(()) => {
            let (end, timeline) =
                settle(cx, service, &before.previous, Patience::UntilTimeout).await;
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
