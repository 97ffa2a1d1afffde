//! `api.publish`: lets a channel of a target point to another document.

mod registry;
pub(crate) mod repoint;

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Source, Undo, UndoClass, UndoPromise, blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::registry::{NOTHING, Registry, check_channel, digest, fingerprint};
use crate::{document::Document, target::Targets};

/// Two small files on a disk.
pub(crate) const PUBLISH_TIMEOUT: Duration = Duration::from_secs(60);

/// The capability.
pub(crate) struct Publish(pub(crate) Targets);

/// What to publish.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The document; published as JSON, its keys in order.
    document: Source,
    /// Who it is for: `public`.
    #[serde(default = "default_channel")]
    channel: String,
}

pub(crate) fn default_channel() -> String {
    "public".to_owned()
}

/// What is published.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    channel: String,
    /// SHA-256 of the document, and the name of its file.
    document: String,
    /// SHA-256 of what was published before; null when nothing was.
    previous: Option<String>,
    /// SHA-256 of the channel's pointer before; `nothing` when there was none.
    fingerprint_before: String,
    /// SHA-256 of the channel's pointer now.
    fingerprint: String,
}

/// What was there before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    /// What the channel pointed to.
    previous: Option<String>,
}

impl ChangeCapability for Publish {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "publish",
            role: "API Admin",
            summary: "Publishes an OpenAPI document on a channel of the target.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("channel_points_to", "the channel points to the document"),
                ("document_whole", "the published file is the document, byte for byte"),
            ],
            undo: Some(UndoPromise { verb: "repoint", class: UndoClass::Exact }),
            timeout: PUBLISH_TIMEOUT,
            locks: &["api:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        check_channel(&inputs.channel)?;
        let publication = self.publication(cx, inputs).await?;
        blocking(move || publication.prepare()).await
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let (publication, before) = (self.publication(cx, inputs).await?, before.clone());
        blocking(move || publication.perform(&before)).await
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let (publication, before) = (self.publication(cx, inputs).await?, before.clone());
        blocking(move || publication.reconcile(&before)).await
    }
}

impl Publish {
    async fn publication(&self, cx: &Context, inputs: &Inputs) -> Result<Publication, Failure> {
        let folder = &self.0.of(cx)?.folder;
        let text = text(cx, folder, inputs).await?;
        let (registry, channel) = (Registry::of(folder), inputs.channel.clone());
        Ok(Publication { registry, channel, sha256: digest(text.as_bytes()), text })
    }
}

/// A document on its way to a channel.
struct Publication {
    registry: Registry,
    channel: String,
    sha256: String,
    text: String,
}

impl Publication {
    fn prepare(&self) -> Result<Prepared<Before>, Failure> {
        let previous = self.registry.pointer(&self.channel)?;
        // What this task brings, its undo takes away again.
        let fresh = !self.registry.holds(&self.sha256)?;
        let back = repoint::Inputs {
            channel: self.channel.clone(),
            document: previous.clone(),
            replaces: Some(self.sha256.clone()),
            remove: fresh.then(|| self.sha256.clone()),
        };
        let undo = Undo::exact("api.repoint", &back);
        Ok(Prepared { before: Before { previous }, undo: Some(undo) })
    }

    /// First the document, then the pointer: what is named is always there.
    fn perform(&self, before: &Before) -> Result<Measured<Outputs>, Failure> {
        let now = self.registry.pointer(&self.channel)?;
        if now.as_ref() != Some(&self.sha256) {
            unchanged(now.as_deref(), before)?;
        }
        self.registry.keep(&self.sha256, self.text.as_bytes())?;
        if now.as_ref() != Some(&self.sha256) {
            self.registry.point(&self.channel, Some(&self.sha256))?;
        }
        self.measured(before)
    }

    fn reconcile(&self, before: &Before) -> Result<Found<Outputs>, Failure> {
        let now = self.registry.pointer(&self.channel)?;
        let whole = self.registry.holds(&self.sha256)?;
        if now.as_ref() == Some(&self.sha256) && whole {
            return self.measured(before).map(Found::Done);
        }
        Ok(if now == before.previous && !whole { Found::NotBegun } else { Found::Partly })
    }

    fn measured(&self, before: &Before) -> Result<Measured<Outputs>, Failure> {
        let now = self.registry.pointer(&self.channel)?;
        let checks = vec![
            Check::equal(
                "channel_points_to",
                now.as_deref().unwrap_or(NOTHING),
                self.sha256.as_str(),
            ),
            Check::equal("document_whole", self.registry.holds(&self.sha256)?, true),
        ];
        let outputs = Outputs {
            channel: self.channel.clone(),
            document: self.sha256.clone(),
            previous: before.previous.clone(),
            fingerprint_before: fingerprint(before.previous.as_deref()),
            fingerprint: fingerprint(now.as_deref()),
        };
        Ok(Measured::new(outputs, checks))
    }
}

/// The document as it will stand in its file.
async fn text(cx: &Context, folder: &std::path::Path, inputs: &Inputs) -> Result<String, Failure> {
    let document: Document = Document::load(&inputs.document, cx, folder).await?;
    Ok(document.root().to_string())
}

/// Refuses to point away from what somebody else published in the meantime.
fn unchanged(now: Option<&str>, before: &Before) -> Result<(), Failure> {
    if now == before.previous.as_deref() {
        return Ok(());
    }
    let (was, is) = (before.previous.as_deref().unwrap_or(NOTHING), now.unwrap_or(NOTHING));
    let text = format!("the channel pointed to {was}, and now to {is}");
    Err(Failure::new(ErrorClass::PreconditionFailed, text)
        .help("somebody else publishes here; plan again once they are done"))
}

#[cfg(test)]
mod tests;
