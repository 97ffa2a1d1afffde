//! `api.diff`: inputs, the gate, the changelog.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability, Source, blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Change, Policy, diff,
    gate::{self, Verdict, Waiver},
    lifecycle::{BETA_DAYS, STABLE_DAYS},
};
use crate::{document::Document, target::Targets};

/// Two large documents take a second; a busy machine takes longer.
const DIFF_TIMEOUT: Duration = Duration::from_secs(60);

/// Changes in the outputs; all of them are in the artefacts.
const CHANGES_SHOWN_MAX: usize = 50;

/// The capability.
pub(crate) struct Diff(pub(crate) Targets);

/// What to compare.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// What callers know.
    base: Source,
    /// What they will get.
    revision: Source,
    /// Breaking changes that the plan answers for.
    #[serde(default)]
    waivers: Vec<Waiver>,
    /// Days that something stable stays after it was deprecated.
    #[serde(default = "stable_days")]
    stable_days: u16,
    /// Days that something beta stays after it was deprecated.
    #[serde(default = "beta_days")]
    beta_days: u16,
}

fn stable_days() -> u16 {
    STABLE_DAYS
}

fn beta_days() -> u16 {
    BETA_DAYS
}

/// What was found; the artefacts `diff.json` and `changelog.md` have all of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Every change.
    changes: usize,
    /// Those that could not be proved compatible.
    breaking: usize,
    /// Of the breaking ones, those that a waiver answers for.
    waived: usize,
    /// Waivers, by their place from 0, that are out of time or that nothing needs.
    idle_waivers: Vec<usize>,
    /// The first 50, the worst of them first.
    first: Vec<Change>,
}

impl ReadCapability for Diff {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "diff",
            role: "API Admin",
            summary: "Tells what changed between two OpenAPI documents and whether callers break.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("no_breaking_change", "nothing breaking that no waiver answers for")],
            undo: None,
            timeout: DIFF_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        gate::check(&inputs.waivers)?;
        let base = Document::load(&inputs.base, cx, &target.folder).await?;
        let revision = Document::load(&inputs.revision, cx, &target.folder).await?;
        let policy = Policy {
            today: today(),
            stable_days: inputs.stable_days.into(),
            beta_days: inputs.beta_days.into(),
        };
        let changes = blocking(move || diff(&base, &revision, policy)).await;
        let verdict = gate::judge(&changes, &inputs.waivers, policy.today);
        let json = serde_json::json!({ "changes": changes }).to_string();
        let json = cx.keep("diff.json", "application/json", json.into()).await?;
        let text = changelog(&changes, &verdict);
        let text = cx.keep("changelog.md", "text/markdown", text.into()).await?;
        let check = Check::equal("no_breaking_change", verdict.open.len(), 0)
            .note(worst(&verdict))
            .evidence(json.clone());
        let outputs = Outputs {
            changes: changes.len(),
            breaking: verdict.open.len() + verdict.waived.len(),
            waived: verdict.waived.len(),
            idle_waivers: verdict.idle.clone(),
            first: changes.iter().take(CHANGES_SHOWN_MAX).cloned().collect(),
        };
        Ok(Measured::new(outputs, vec![check]).artefacts(vec![json, text]))
    }
}

/// Days since 1970-01-01, in UTC.
fn today() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs() / 86_400).unwrap_or(i64::MAX)
}

/// The first of what nobody answers for, in a line.
fn worst(verdict: &Verdict<'_>) -> String {
    let line = |change: &&Change| {
        format!("{} {} {}: {}", change.operation, change.at, change.id, change.text)
    };
    verdict.open.first().map(line).unwrap_or_default()
}

/// For people: what breaks first, then the rest, by operation.
fn changelog(changes: &[Change], verdict: &Verdict<'_>) -> String {
    let mut text = String::from("# What changes for callers\n");
    let mut section = |title: &str, list: &mut dyn Iterator<Item = &Change>| {
        let mut list = list.peekable();
        if list.peek().is_some() {
            text += &format!("\n## {title}\n\n");
        }
        for change in list {
            let at = format!("{} {}", change.operation, change.at);
            text += &format!("* `{}` {} (`{}`)\n", at.trim(), change.text, change.id);
        }
    };
    section("Breaking", &mut verdict.open.iter().copied());
    section("Breaking, and waived", &mut verdict.waived.iter().copied());
    section("Compatible", &mut changes.iter().filter(|change| !change.breaking));
    if changes.is_empty() {
        text += "\nNothing.\n";
    }
    text
}
