//! `api.lint`: whether a document is one that people can work with, by the names of Spectral's
//! rules for `OpenAPI`.

mod document;
mod everywhere;
mod operations;
mod rules;
mod sarif;

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
    Source, blocking, sarif::MEDIA_TYPE,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::rules::{RULES, Rule};
use crate::{document::Document, target::Targets};

/// The largest documents take a few seconds.
const LINT_TIMEOUT: Duration = Duration::from_secs(60);

/// Findings of one rule: more of the same tell a reader nothing new.
const FINDINGS_PER_RULE_MAX: usize = 200;

/// Findings in the outputs; all of them are in the artefact.
const FINDINGS_SHOWN_MAX: usize = 50;

/// The capability.
pub(crate) struct Lint(pub(crate) Targets);

/// What to look at, and by which rules.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The document.
    document: Source,
    /// Rules besides the recommended ones: `info-license`.
    #[serde(default)]
    enable: Vec<String>,
    /// Recommended rules that do not count: `operation-description`.
    #[serde(default)]
    disable: Vec<String>,
    /// Findings from this level on make the check fail.
    #[serde(default)]
    fail_on: Severity,
}

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// A matter of style, or of convenience.
    Warning,
    /// Tools and callers will stumble over it.
    #[default]
    Error,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// As Spectral's documentation has it.
    rule: &'static str,
    severity: Severity,
    /// JSON pointer.
    pointer: String,
    /// In a sentence.
    text: String,
}

/// What was found; also as the artefact `lint.sarif`, which has all of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    findings: usize,
    /// The first 50, the worst of them first.
    first: Vec<Finding>,
}

impl ReadCapability for Lint {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "lint",
            role: "API Admin",
            summary: "Finds what makes an OpenAPI document hard to work with, by Spectral's rules.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("no_finding", "nothing at or above the given level")],
            undo: None,
            timeout: LINT_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let rules = chosen(&inputs.enable, &inputs.disable)?;
        let document = Document::load(&inputs.document, cx, &target.folder).await?;
        let findings = blocking(move || lint(&document, &rules)).await;
        let report = sarif::report(&findings).to_string();
        let kept = cx.keep("lint.sarif", MEDIA_TYPE, report.into()).await?;
        let bad: Vec<_> = findings.iter().filter(|f| f.severity >= inputs.fail_on).collect();
        let worst = bad.first().map(|f| format!("{} {}: {}", f.rule, f.pointer, f.text));
        let check = Check::equal("no_finding", bad.len(), 0)
            .note(worst.unwrap_or_default())
            .evidence(kept.clone());
        let outputs = Outputs {
            findings: findings.len(),
            first: findings.into_iter().take(FINDINGS_SHOWN_MAX).collect(),
        };
        Ok(Measured::new(outputs, vec![check]).artefacts(vec![kept]))
    }
}

/// The recommended rules, with more or without some.
fn chosen(enable: &[String], disable: &[String]) -> Result<Vec<&'static Rule>, Failure> {
    let known = |name: &&String| RULES.iter().any(|rule| rule.name == name.as_str());
    if let Some(unknown) = enable.iter().chain(disable).find(|name| !known(name)) {
        let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
        return Err(Failure::new(
            ErrorClass::InvalidInput,
            format!("there is no rule {unknown:?}"),
        )
        .help(format!("there are: {}", names.join(", "))));
    }
    let named = |list: &[String], rule: &Rule| list.iter().any(|name| name == rule.name);
    let wanted = |rule: &&Rule| (rule.recommended || named(enable, rule)) && !named(disable, rule);
    Ok(RULES.iter().filter(wanted).collect())
}

/// Everything that some rules find, the worst first.
fn lint(document: &Document, rules: &[&Rule]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = vec![];
    for rule in rules {
        let found = (rule.look)(document).into_iter().take(FINDINGS_PER_RULE_MAX);
        findings.extend(found.map(|(pointer, text)| Finding {
            rule: rule.name,
            severity: rule.severity,
            pointer,
            text,
        }));
    }
    findings
        .sort_by(|x, y| (y.severity, &x.pointer, x.rule).cmp(&(x.severity, &y.pointer, y.rule)));
    findings
}

#[cfg(test)]
mod tests;
