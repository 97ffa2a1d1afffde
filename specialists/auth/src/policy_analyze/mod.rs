//! `auth.policy_analyze`: what new policies decide otherwise than old ones.
//!
//! Each kind of request, a principal's type, an action and a resource's type, is answered for
//! itself. Where the new permits are among the old ones and the old bans among the new ones, or where
//! everything was allowed, nothing can be newly allowed: that is a proof, as Cedar decides. Everywhere else worlds that fit the schema
//! are made and asked, which finds what is wider but proves nothing; the answer says so.

mod compare;
mod constants;
mod shape;
mod world;

use std::{path::PathBuf, time::Duration};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Inline,
    InvalidTarget, Measured, ReadCapability, Source, Text, blocking, invalid,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::compare::{Compared, Counterexample, Relation};
use crate::{
    cedar::{Bundle, Sources},
    served::{Kind, digest},
    target::{self, AuthTarget, Targets},
};

use self::compare::BOUND;

/// Fifty kinds of request take a second.
const ANALYZE_TIMEOUT: Duration = Duration::from_secs(120);

/// Wider kinds of request told in the outputs; all of them are in the artefact.
const WIDER_TOLD_MAX: usize = 20;

/// `auth.policy_analyze`
#[derive(Debug)]
pub struct PolicyAnalyze(pub(crate) Targets);

/// What to compare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// What decides now: Cedar's text, or its JSON. When it is not given, what is published; when
    /// nothing is, nothing is allowed now.
    #[serde(default)]
    old: Option<Source>,
    /// What is to decide.
    new: Source,
    /// What both are about.
    schema: Source,
    /// Entities that are asked about beside those that are made: a list as Cedar has it.
    #[serde(default)]
    entities: Option<Source>,
    /// Actions that may be allowed to more than before: `Action::"createOrder"`.
    #[serde(default)]
    widening: Vec<String>,
    /// Whether a kind of request that is settled neither by proof nor by an example is a failure.
    #[serde(default)]
    require_proof: bool,
}

/// What is decided otherwise; the artefact `analysis.json` has every kind of request.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Outputs {
    /// SHA-256 of the old policies; `nothing` when nothing is published.
    old_sha256: String,
    /// SHA-256 of the new policies.
    new_sha256: String,
    /// Kinds of request of the schema.
    kinds: usize,
    /// Those that are settled: it is proved that nothing is newly allowed, or shown what is.
    proved: usize,
    /// How far the others were looked at.
    bound: &'static str,
    /// Those that allow more, at most 20; first those that the plan does not list.
    wider: Vec<Wider>,
    /// All of it, for `auth.policy_publish`.
    analysis: Artefact,
}

/// A kind of request that allows more than before.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Wider {
    /// `User, Action::"readOrder", Order`
    kind: String,
    /// Whether the plan lists its action.
    listed: bool,
    /// A request that the old policies deny and the new ones allow.
    counterexample: Counterexample,
}

/// What an analysis says to whoever publishes by it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Analysis {
    pub(crate) old_sha256: String,
    pub(crate) new_sha256: String,
    /// Kinds of request that allow more, though the plan does not list their action.
    pub(crate) unlisted: usize,
}

impl ReadCapability for PolicyAnalyze {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "policy_analyze",
            role: crate::ROLE,
            summary: "Compares new policies with old ones: what is newly allowed, with an example.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("unlisted_widening", "nothing is newly allowed by an action that is not listed"),
                ("counterexamples", "each example, read back, is denied before and allowed now"),
                (
                    "proved",
                    "every kind of request is settled by proof or example, where that is required",
                ),
            ],
            undo: None,
            timeout: ANALYZE_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let folder = &self.0.of(cx)?.folder;
        let (old, old_sha256) = self.old(cx, &inputs).await?;
        let sources = |policies| Sources {
            policies,
            links: None,
            schema: Some(&inputs.schema),
            entities: inputs.entities.as_ref(),
            strict: true,
        };
        let old = sources(&old).load(cx, folder).await?;
        let new = sources(&inputs.new).load(cx, folder).await?;
        let new_sha256 = deadelus_runtime::sha256(new.source.text.as_bytes()).to_string();
        let schema = inputs.schema.text(cx, folder).await?;
        let compared = blocking(move || compare(&old, &new, &schema)).await?;
        let unlisted = compared.iter().filter(|kind| kind.wider_than(&inputs.widening)).count();
        let analysis = Analysis { old_sha256, new_sha256, unlisted };
        let json = json(&analysis, &compared);
        let kept = cx.keep("analysis.json", "application/json", json.into()).await?;
        Ok(measured(&inputs, analysis, &compared, kept.clone()).artefacts(vec![kept]))
    }
}

impl PolicyAnalyze {
    /// For one system, `shop`, that has this folder and publishes nothing.
    ///
    /// # Errors
    /// [`InvalidTarget`] for a folder that is not absolute.
    #[expect(clippy::expect_used, reason = "the name is a literal")]
    pub fn in_folder(folder: PathBuf) -> Result<Self, InvalidTarget> {
        let target = AuthTarget { folder, policies: None, keys: None, probe: None };
        let name = "shop".parse().expect("a target's name");
        target::checked([(name, target)].into()).map(Self)
    }

    /// The old policies and their digest.
    async fn old(&self, cx: &Context, inputs: &Inputs) -> Result<(Source, String), Failure> {
        let target = self.0.of(cx)?;
        if let Some(source) = &inputs.old {
            let text = source.text(cx, &target.folder).await?;
            let sha256 = deadelus_runtime::sha256(text.text.as_bytes()).to_string();
            return Ok((source.clone(), sha256));
        }
        let served = target.served(Kind::Policies)?;
        let now = served.now().await?;
        let sha256 = digest(&now);
        let text = String::from_utf8(now.unwrap_or_default()).map_err(|e| {
            let text = format!("{}: {e}", served.path.display());
            Failure::new(ErrorClass::PreconditionFailed, text)
        })?;
        Ok((Source::Inline(Inline { inline: text.into() }), sha256))
    }
}

fn compare(old: &Bundle, new: &Bundle, schema: &Text) -> Result<Vec<Compared>, Failure> {
    let shapes = shape::Shapes::of(schema).map_err(invalid)?;
    compare::all(old, new, &shapes)
}

fn json(analysis: &Analysis, compared: &[Compared]) -> String {
    let mut json = serde_json::json!(analysis);
    json["bound"] = BOUND.into();
    json["kinds"] = serde_json::json!(compared);
    json.to_string()
}

fn measured(
    inputs: &Inputs,
    analysis: Analysis,
    compared: &[Compared],
    kept: Artefact,
) -> Measured<Outputs> {
    let mut wider: Vec<Wider> = compared.iter().filter_map(|kind| wider(kind, inputs)).collect();
    wider.sort_by_key(|kind| kind.listed);
    let proved = compared.iter().filter(|kind| kind.proved).count();
    let held = compared.iter().filter(|kind| kind.holds == Some(true)).count();
    let first = wider.first().filter(|kind| !kind.listed);
    let first = first.map(|kind| format!("{}: {}", kind.kind, kind.counterexample.request));
    let needed = if inputs.require_proof { compared.len() } else { 0 };
    let bound = if proved < compared.len() { BOUND } else { "" };
    let checks = vec![
        Check::equal("unlisted_widening", analysis.unlisted, 0)
            .note(first.unwrap_or_default())
            .evidence(kept.clone()),
        Check::equal("counterexamples", held, wider.len()),
        Check::at_least("proved", proved, needed).note(bound),
    ];
    wider.truncate(WIDER_TOLD_MAX);
    let outputs = Outputs {
        old_sha256: analysis.old_sha256,
        new_sha256: analysis.new_sha256,
        kinds: compared.len(),
        proved,
        bound: BOUND,
        wider,
        analysis: kept,
    };
    Measured::new(outputs, checks)
}

fn wider(kind: &Compared, inputs: &Inputs) -> Option<Wider> {
    if kind.relation != Relation::Wider {
        return None;
    }
    let counterexample = kind.counterexample.clone()?;
    let listed = !kind.wider_than(&inputs.widening);
    Some(Wider { kind: kind.kind.clone(), listed, counterexample })
}

#[cfg(test)]
mod tests;
