//! `api.repoint`: lets a channel point to a document that was published before, or to nothing.
//!
//! It takes `api.publish` back. Right whether or not the publication it takes back ever happened;
//! but what a third party published in the meantime is theirs, and stays.

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass, UndoPromise, blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    PUBLISH_TIMEOUT, default_channel,
    registry::{NOTHING, Registry, check_channel, check_sha256, fingerprint},
};
use crate::target::Targets;

/// The capability.
pub(crate) struct Repoint(pub(crate) Targets);

/// Where to point.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// Who it is for: `public`.
    #[serde(default = "default_channel")]
    pub(crate) channel: String,
    /// SHA-256 of a published document; nothing is published any more where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<String>,
    /// SHA-256 of what is taken back. Where it is given and the channel points to a third one,
    /// nothing is touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    /// SHA-256 of a document whose file is removed, if no channel points to it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remove: Option<String>,
}

/// Where it points.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    channel: String,
    /// SHA-256 of the document; null when nothing is published.
    document: Option<String>,
    /// SHA-256 of the channel's pointer; `nothing` when there is none.
    fingerprint: String,
}

/// What was there before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    /// What the channel pointed to.
    previous: Option<String>,
}

impl ChangeCapability for Repoint {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "repoint",
            role: "API Admin",
            summary: "Points a channel back to what was published before, or to nothing.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("channel_points_to", "the channel points to the document, or to nothing"),
                ("fingerprint", "its pointer is the one to bring back, byte for byte"),
                ("removed", "what was to be removed is gone, unless a channel points to it"),
            ],
            undo: Some(UndoPromise { verb: "repoint", class: UndoClass::Exact }),
            timeout: PUBLISH_TIMEOUT,
            locks: &["api:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        check_channel(&inputs.channel)?;
        for sha256 in [&inputs.document, &inputs.replaces, &inputs.remove].into_iter().flatten() {
            check_sha256(sha256)?;
        }
        let (registry, inputs) = (Registry::of(&self.0.of(cx)?.folder), inputs.clone());
        blocking(move || prepare(&registry, &inputs)).await
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let (registry, inputs) = (Registry::of(&self.0.of(cx)?.folder), inputs.clone());
        blocking(move || perform(&registry, &inputs)).await
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let (registry, inputs) = (Registry::of(&self.0.of(cx)?.folder), inputs.clone());
        let before = before.clone();
        blocking(move || reconcile(&registry, &inputs, &before)).await
    }
}

fn prepare(registry: &Registry, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
    let previous = registry.pointer(&inputs.channel)?;
    ours(previous.as_deref(), inputs)?;
    published(registry, inputs)?;
    // A document whose file goes cannot be pointed to again.
    let undo = if inputs.remove.is_some() {
        None
    } else {
        let back = Inputs {
            channel: inputs.channel.clone(),
            document: previous.clone(),
            replaces: inputs.document.clone(),
            remove: None,
        };
        Some(Undo::exact("api.repoint", &back))
    };
    Ok(Prepared { before: Before { previous }, undo })
}

/// First the pointer, then the file: what is named is always there.
fn perform(registry: &Registry, inputs: &Inputs) -> Result<Measured<Outputs>, Failure> {
    let now = registry.pointer(&inputs.channel)?;
    ours(now.as_deref(), inputs)?;
    published(registry, inputs)?;
    if now != inputs.document {
        registry.point(&inputs.channel, inputs.document.as_deref())?;
    }
    if let Some(sha256) = &inputs.remove {
        registry.forget(sha256)?;
    }
    measured(registry, inputs)
}

fn reconcile(
    registry: &Registry,
    inputs: &Inputs,
    before: &Before,
) -> Result<Found<Outputs>, Failure> {
    let now = registry.pointer(&inputs.channel)?;
    if now == inputs.document && removed(registry, inputs)? {
        return measured(registry, inputs).map(Found::Done);
    }
    let begun = now != before.previous || now == inputs.document;
    Ok(if begun { Found::Partly } else { Found::NotBegun })
}

/// Refuses to point away from what a third party published.
fn ours(now: Option<&str>, inputs: &Inputs) -> Result<(), Failure> {
    let Some(replaces) = &inputs.replaces else { return Ok(()) };
    if now == Some(replaces.as_str()) || now == inputs.document.as_deref() {
        return Ok(());
    }
    let now = now.unwrap_or(NOTHING);
    let text = format!("{replaces} is to be taken back, but the channel points to {now}");
    Err(Failure::new(ErrorClass::PreconditionFailed, text)
        .help("somebody else published meanwhile; to go back anyway, repoint without replaces"))
}

/// Refuses to point to what is not there, or not whole.
fn published(registry: &Registry, inputs: &Inputs) -> Result<(), Failure> {
    match &inputs.document {
        Some(sha256) if !registry.holds(sha256)? => {
            let text = format!("document {sha256} is not published here, or not whole");
            Err(Failure::new(ErrorClass::PreconditionFailed, text)
                .help("publish it again with api.publish"))
        }
        Some(_) | None => Ok(()),
    }
}

fn removed(registry: &Registry, inputs: &Inputs) -> Result<bool, Failure> {
    let Some(sha256) = &inputs.remove else { return Ok(true) };
    Ok(!registry.holds(sha256)? || registry.refers_to(sha256)?)
}

fn measured(registry: &Registry, inputs: &Inputs) -> Result<Measured<Outputs>, Failure> {
    let now = registry.pointer(&inputs.channel)?;
    let print = fingerprint(now.as_deref());
    let wanted = inputs.document.as_deref();
    let checks = vec![
        Check::equal(
            "channel_points_to",
            now.as_deref().unwrap_or(NOTHING),
            wanted.unwrap_or(NOTHING),
        ),
        Check::equal("fingerprint", print.clone(), fingerprint(wanted)),
        Check::equal("removed", removed(registry, inputs)?, true),
    ];
    let outputs = Outputs { channel: inputs.channel.clone(), document: now, fingerprint: print };
    Ok(Measured::new(outputs, checks))
}
