//! `deployment.render`: manifests of a service, from its descriptor and nothing else.
//!
//! The same descriptor gives the same bytes, always; secrets are references. YAML is written by a
//! library from typed values, so that no value can break out of its place.

mod compose;
mod haproxy;
mod kubernetes;

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    descriptor::Descriptor,
    manifest::{Kind, Manifest},
    revision_file::fingerprint,
};

/// A few kilobytes are written, and kept.
const RENDER_TIMEOUT: Duration = Duration::from_secs(30);

/// The capability.
pub(crate) struct Render;

/// What to render.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The service.
    pub(crate) service: Descriptor,
    /// For what; everything where nothing is named.
    #[serde(default)]
    pub(crate) kinds: BTreeSet<Kind>,
}

/// What was rendered; each file is an artefact too.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// As `deployment.validate` takes them.
    pub(crate) files: Vec<Manifest>,
}

impl ReadCapability for Render {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "render",
            role: "Cloud Primitives",
            summary: "Writes the manifests of a service for Compose, Kubernetes and HAProxy.",
            effect: Effect::Pure,
            idempotency: Idempotency::Natural,
            checks: &[
                ("same_bytes_again", "rendering again gives the same bytes"),
                ("files", "there is a file for everything that was asked for"),
            ],
            undo: None,
            timeout: RENDER_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        if let Some(problem) = inputs.service.problem() {
            let text = format!("service: {problem}");
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        let kinds = if inputs.kinds.is_empty() { Kind::all() } else { inputs.kinds.clone() };
        let files = render(&inputs.service, &kinds)?;
        let again = render(&inputs.service, &kinds)?;
        let mut artefacts = vec![];
        for file in &files {
            let bytes = Bytes::from(file.text.clone());
            artefacts.push(cx.keep(&file.name, file.kind.media_type(), bytes).await?);
        }
        let checks = vec![
            Check::equal("same_bytes_again", digest(&files), digest(&again)),
            Check::equal("files", files.len(), kinds.len()),
        ];
        Ok(Measured::new(Outputs { files }, checks).artefacts(artefacts))
    }
}

fn render(service: &Descriptor, kinds: &BTreeSet<Kind>) -> Result<Vec<Manifest>, Failure> {
    let manifest = |kind: &Kind| {
        let text = match kind {
            Kind::Compose => yaml(vec![compose::document(service)])?,
            Kind::Kubernetes => yaml(kubernetes::documents(service))?,
            Kind::Haproxy => haproxy::text(service),
        };
        let sha256 = Some(fingerprint(&text));
        Ok(Manifest { name: kind.file_name().to_owned(), kind: *kind, text, sha256 })
    };
    kinds.iter().map(manifest).collect()
}

fn digest(files: &[Manifest]) -> String {
    fingerprint(&files.iter().map(|file| file.text.as_str()).collect::<String>())
}

/// Documents one after the other; keys in their one order, whatever order the build keeps.
fn yaml(mut documents: Vec<Value>) -> Result<String, Failure> {
    documents.iter_mut().for_each(Value::sort_all_objects);
    let written = documents.iter().map(serde_yaml_ng::to_string).collect::<Result<Vec<_>, _>>();
    let written = written
        .map_err(|e| Failure::new(ErrorClass::Unsupported, format!("it has no YAML: {e}")))?;
    Ok(written.join("---\n"))
}

#[cfg(test)]
mod tests;
