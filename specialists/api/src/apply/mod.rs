//! `api.apply`: an overlay or a patch makes a new document of an old one.
//!
//! Nothing is written to the target's folder: the new document is an artefact, to be compared,
//! validated and published by other tasks.

mod overlay;

use std::time::Duration;

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured,
    ReadCapability, Source, Text, blocking, canonical,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{document::Document, target::Targets, validate};

/// The largest documents take a few seconds.
const APPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// The capability.
pub(crate) struct Apply(pub(crate) Targets);

/// What to change, and how: one of `overlay` and `patch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The old document.
    document: Source,
    /// An `OpenAPI` Overlay 1.0.
    #[serde(default)]
    overlay: Option<Source>,
    /// A JSON Patch, RFC 6902.
    #[serde(default)]
    patch: Option<Source>,
}

/// The new document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// As JSON, its keys in order.
    document: Artefact,
    /// SHA-256 of the old document as JSON.
    fingerprint_before: String,
    /// SHA-256 of the new one.
    fingerprint: String,
    /// Steps of the overlay or the patch.
    actions: usize,
}

impl ReadCapability for Apply {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "apply",
            role: "Feature Implementation",
            summary: "Makes a new OpenAPI document of an old one and an overlay or a JSON Patch.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("idle_actions", "every action of the overlay found what it is about"),
                ("new_problems", "the new document has no problem that the old one had not"),
            ],
            undo: None,
            timeout: APPLY_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let folder = &self.0.of(cx)?.folder;
        let old = Document::load(&inputs.document, cx, folder).await?;
        let (change, overlays) = match (&inputs.overlay, &inputs.patch) {
            (Some(overlay), None) => (overlay.text(cx, folder).await?.tree()?, true),
            (None, Some(patch)) => (patch.text(cx, folder).await?.tree()?, false),
            (Some(_), Some(_)) | (None, None) => {
                let text = "give either an overlay or a patch";
                return Err(Failure::new(ErrorClass::InvalidInput, text));
            }
        };
        let work = move || {
            let applied = if overlays {
                overlay::apply(old.root(), &change)?
            } else {
                patched(old.root(), change)?
            };
            judge(&old, applied)
        };
        let judged = blocking(work).await?;
        let (before, text) = (judged.before.into_bytes(), judged.text);
        let before = cx.keep("before.json", "application/openapi+json", before.into()).await?;
        let kept = cx.keep("openapi.json", "application/openapi+json", text.into()).await?;
        let outputs = Outputs {
            document: kept.clone(),
            fingerprint_before: before.sha256.to_string(),
            fingerprint: kept.sha256.to_string(),
            actions: judged.actions,
        };
        Ok(Measured::new(outputs, judged.checks).artefacts(vec![before, kept]))
    }
}

/// A changed tree.
#[derive(Debug, PartialEq)]
struct Applied {
    root: Value,
    actions: usize,
    /// Targets that found nothing.
    idle: Vec<String>,
}

/// Both documents as text, with what was measured.
struct Judged {
    before: String,
    text: String,
    actions: usize,
    checks: Vec<Check>,
}

/// The decision: whether the new document stands.
fn judge(old: &Document, applied: Applied) -> Result<Judged, Failure> {
    let text = canonical::text(&applied.root);
    let new = Document::parse(&Text::new("the new document", &text[..])?)?;
    let known = validate::problems(old);
    let fresh: Vec<_> =
        validate::problems(&new).into_iter().filter(|problem| !known.contains(problem)).collect();
    let worst = fresh.first().map(|problem| format!("{}: {}", problem.pointer, problem.text));
    let checks = vec![
        Check::equal("idle_actions", applied.idle.len(), 0).note(applied.idle.join(", ")),
        Check::equal("new_problems", fresh.len(), 0).note(worst.unwrap_or_default()),
    ];
    Ok(Judged { before: old.root().to_string(), text, actions: applied.actions, checks })
}

/// Applies a JSON Patch: all of it or nothing.
fn patched(root: &Value, patch: Value) -> Result<Applied, Failure> {
    let patch: json_patch::Patch = serde_json::from_value(patch)
        .map_err(|e| Failure::new(ErrorClass::InvalidInput, format!("patch: {e}")))?;
    let mut root = root.clone();
    json_patch::patch(&mut root, &patch).map_err(|e| {
        let drift = matches!(e.kind, json_patch::PatchErrorKind::TestFailed);
        let class = if drift { ErrorClass::PreconditionFailed } else { ErrorClass::InvalidInput };
        Failure::new(class, format!("patch{}: {e}", e.path))
            .help("the document is not the one that the patch was made for")
    })?;
    Ok(Applied { root, actions: patch.0.len(), idle: vec![] })
}

#[cfg(test)]
mod tests;
