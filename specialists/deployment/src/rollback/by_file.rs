//! Back by the file: the exact text, and the service is waited for until it follows.

use deadelus_runtime::{Aftermath, Check, Context, ErrorClass, Failure, Found, Measured, Prepared};
use serde::{Deserialize, Serialize};

use super::{Inputs, Outputs, undo};
use crate::{
    revision_file::{self, REVISION_FILE_MAX_BYTES, document, fingerprint},
    switch::{self, End, Patience},
    target::{ByFile, Target},
    timeline::Timeline,
};

/// The file's text before; none when there was no file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    text: Option<String>,
}

pub(super) async fn prepare(
    target: &Target,
    service: &ByFile,
    inputs: &Inputs,
) -> Result<Prepared<Before>, Failure> {
    let revision = named(inputs)?;
    target.declared(revision)?;
    well_formed(inputs, revision)?;
    let text = service.file.read().await?;
    ours(text.as_deref(), inputs, revision)?;
    // Back from here leads only to what this specialist could have released itself.
    let current = text.as_deref().and_then(revision_file::revision);
    let current = current.filter(|current| target.declared(current).is_ok());
    let undo = current.map(|current| {
        undo(&Inputs {
            revision: Some(current),
            text: text.clone(),
            replaces: Some(revision.to_owned()),
            ..Inputs::default()
        })
    });
    Ok(Prepared { before: Before { text }, undo })
}

pub(super) async fn perform(
    cx: &Context,
    service: &ByFile,
    inputs: &Inputs,
) -> Result<Measured<Outputs>, Failure> {
    let revision = named(inputs)?;
    let now = service.file.read().await?;
    ours(now.as_deref(), inputs, revision)?;
    let text = text_of(inputs, revision);
    if now.as_ref() != Some(&text) {
        service.file.replace(&text).await?;
    }
    let (end, timeline) = settle(cx, service, revision, Patience::UntilTimeout).await;
    match end {
        End::Unsettled(reason) if timeline.ends_unanswered() => {
            Err(unanswered(cx, service, &reason, &timeline).await)
        }
        End::Settled | End::Unsettled(_) | End::Cancelled => {
            measured(cx, service, inputs, revision, &timeline).await
        }
    }
}

pub(super) async fn reconcile(
    cx: &Context,
    service: &ByFile,
    inputs: &Inputs,
    before: &Before,
) -> Result<Found<Outputs>, Failure> {
    let revision = named(inputs)?;
    let now = service.file.read().await?;
    if now != Some(text_of(inputs, revision)) {
        return Ok(if now == before.text { Found::NotBegun } else { Found::Partly });
    }
    match settle(cx, service, revision, Patience::None).await {
        (End::Settled, timeline) => {
            measured(cx, service, inputs, revision, &timeline).await.map(Found::Done)
        }
        (End::Unsettled(_) | End::Cancelled, _) => Ok(Found::Partly),
    }
}

async fn settle(cx: &Context, service: &ByFile, to: &str, patience: Patience) -> (End, Timeline) {
    switch::settle(cx, &service.prober, &service.watch, to, patience).await
}

fn named(inputs: &Inputs) -> Result<&str, Failure> {
    if inputs.routes.is_some() {
        let text = "routes: this service follows a file, no proxy stands before it";
        return Err(Failure::new(ErrorClass::InvalidInput, text));
    }
    inputs.revision.as_deref().ok_or_else(|| {
        Failure::new(ErrorClass::InvalidInput, "revision: name the one to go back to")
    })
}

fn text_of(inputs: &Inputs, revision: &str) -> String {
    inputs.text.clone().unwrap_or_else(|| document(revision))
}

/// Refuses a text that asks for something else than the revision, or that is too long to be one.
fn well_formed(inputs: &Inputs, revision: &str) -> Result<(), Failure> {
    let text = text_of(inputs, revision);
    if text.len() as u64 > REVISION_FILE_MAX_BYTES {
        let text = format!("text: {} bytes, at most {REVISION_FILE_MAX_BYTES}", text.len());
        return Err(Failure::new(ErrorClass::InvalidInput, text));
    }
    if revision_file::revision(&text).as_deref() == Some(revision) {
        return Ok(());
    }
    let text = format!("text does not ask for {revision}");
    Err(Failure::new(ErrorClass::InvalidInput, text)
        .help(format!("leave it out, or give the whole file: {}", document(revision).trim_end())))
}

/// Refuses to write over a third party's release.
fn ours(now: Option<&str>, inputs: &Inputs, revision: &str) -> Result<(), Failure> {
    let (Some(replaces), Some(now)) = (&inputs.replaces, now) else { return Ok(()) };
    if now == text_of(inputs, revision) {
        return Ok(());
    }
    match revision_file::revision(now) {
        Some(found) if found != *replaces && found != revision => {
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
    service: &ByFile,
    inputs: &Inputs,
    revision: &str,
    timeline: &Timeline,
) -> Result<Measured<Outputs>, Failure> {
    let kept = switch::keep(cx, std::slice::from_ref(timeline)).await.map_err(partial)?;
    let now = service.file.read().await.map_err(partial)?;
    let (now, wanted) =
        (fingerprint(&now.unwrap_or_default()), fingerprint(&text_of(inputs, revision)));
    let outputs = Outputs {
        revision: Some(revision.to_owned()),
        fingerprint: now.clone(),
        failed_probes: timeline.failed(),
    };
    let mut checks = timeline.checks(service.watch.healthy_probes);
    checks.push(Check::equal("file_fingerprint", now, wanted));
    Ok(Measured::new(outputs, checks).artefacts(vec![kept]))
}

/// The file is right and nobody answers: worth another attempt, which finds the file as it is.
async fn unanswered(cx: &Context, service: &ByFile, reason: &str, timeline: &Timeline) -> Failure {
    let text = format!("the revision file is back, but {}: {reason}", service.prober.url());
    let mut failure = partial(Failure::new(ErrorClass::Unavailable, text))
        .help("start the service; it follows the file once it runs")
        .checks(timeline.checks(service.watch.healthy_probes));
    failure.artefacts.extend(switch::keep(cx, std::slice::from_ref(timeline)).await.ok());
    failure
}

fn partial(mut failure: Failure) -> Failure {
    failure.aftermath = Aftermath::Partial;
    failure
}
