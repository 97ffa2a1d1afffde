//! `api.validate`: whether a document follows its standard and agrees with itself.

mod consistency;
mod standard;

use std::time::Duration;

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
    Source, blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{document::Document, target::Targets};

/// The largest documents take a few seconds.
const VALIDATE_TIMEOUT: Duration = Duration::from_secs(60);

/// More problems than this tell a reader nothing new, and a broken document has thousands.
const PROBLEMS_MAX: usize = 1_000;

/// Problems in the outputs; all of them are in the artefact.
const PROBLEMS_SHOWN_MAX: usize = 50;

/// The capability.
pub(crate) struct Validate(pub(crate) Targets);

/// What to look at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The document.
    document: Source,
}

/// What was found; the artefact `problems.json` has all of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// `3.0` or `3.1`.
    version: String,
    /// How many operations there are.
    operations: usize,
    /// The document as JSON, its keys in order: what later tasks work with.
    document: Artefact,
    /// How many problems there are, at most 1,000.
    problems: usize,
    /// The first 50.
    first: Vec<Problem>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Which check it belongs to.
    pub(crate) check: Kind,
    /// JSON pointer.
    pub(crate) pointer: String,
    /// In a sentence.
    pub(crate) text: String,
}

/// What a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The standard's own schema refuses it.
    FollowsTheStandard,
    /// A reference leads to nothing.
    ReferencesResolve,
    /// Operations and paths contradict each other.
    AgreesWithItself,
}

impl Kind {
    const ALL: [(Self, &'static str); 3] = [
        (Self::FollowsTheStandard, "follows_the_standard"),
        (Self::ReferencesResolve, "references_resolve"),
        (Self::AgreesWithItself, "agrees_with_itself"),
    ];
}

/// Everything that is wrong with a document, in order, each with its place.
pub(crate) fn problems(document: &Document) -> Vec<Problem> {
    let mut problems = standard::problems(document, PROBLEMS_MAX);
    problems.extend(consistency::problems(document));
    problems.sort();
    problems.dedup();
    problems.truncate(PROBLEMS_MAX);
    problems
}

impl ReadCapability for Validate {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "validate",
            role: "API Admin",
            summary: "Checks an OpenAPI document against its standard and against itself.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("follows_the_standard", "the standard's own schema admits it"),
                ("references_resolve", "every reference leads to something"),
                ("agrees_with_itself", "paths, parameters and operation ids fit together"),
            ],
            undo: None,
            timeout: VALIDATE_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let document = Document::load(&inputs.document, cx, &target.folder).await?;
        let (document, problems) = blocking(move || {
            let problems = problems(&document);
            (document, problems)
        })
        .await;
        let json = serde_json::json!({ "problems": problems }).to_string();
        let evidence = cx.keep("problems.json", "application/json", json.into()).await?;
        let json = document.root().to_string();
        let kept = cx.keep("openapi.json", "application/openapi+json", json.into()).await?;
        let checks = Kind::ALL.map(|(kind, id)| {
            let of: Vec<_> = problems.iter().filter(|problem| problem.check == kind).collect();
            let note = of.first().map(|p| format!("{}: {}", p.pointer, p.text));
            Check::equal(id, of.len(), 0).note(note.unwrap_or_default()).evidence(evidence.clone())
        });
        let outputs = Outputs {
            version: document.version().in_words().to_owned(),
            operations: document.operations().count(),
            document: kept.clone(),
            problems: problems.len(),
            first: problems.into_iter().take(PROBLEMS_SHOWN_MAX).collect(),
        };
        Ok(Measured::new(outputs, checks.into()).artefacts(vec![evidence, kept]))
    }
}

#[cfg(test)]
mod tests;
