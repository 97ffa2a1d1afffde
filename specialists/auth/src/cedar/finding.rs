//! What Cedar's strict validator has against policies.

use std::fmt::Display;

use cedar_policy::{PolicyId, ValidationMode, ValidationWarning, Validator};
use deadelus_runtime::{Text, sarif};
use miette::Diagnostic;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Bundle;

/// One thing that is wrong with one policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// In the text of the policies, from 1; 0 where they are Cedar's JSON.
    pub(crate) line: usize,
    /// From 1; 0 where it is not known.
    pub(crate) column: usize,
    /// Its `@id`, or its number.
    pub(crate) policy: String,
    /// In Cedar's words.
    pub(crate) message: String,
}

/// All of it, by what it means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Findings {
    /// The schema contradicts them: they may fail when a request is decided.
    pub(crate) errors: Vec<Finding>,
    /// They can never apply to any request.
    pub(crate) impossible: Vec<Finding>,
    /// Worth a look: names that look like others, templates that nothing fills.
    pub(crate) warnings: Vec<Finding>,
}

/// Strict validation; without a schema only what needs none.
pub(crate) fn find(bundle: &Bundle) -> Findings {
    let mut findings = Findings { warnings: idle_templates(bundle), ..Findings::default() };
    if let Some(schema) = &bundle.schema {
        let validator = Validator::new(schema.clone());
        let result = validator.validate(&bundle.policies, ValidationMode::Strict);
        let of = |policy: &PolicyId, error: &dyn Said| error.finding(policy, &bundle.source);
        findings.errors = result.validation_errors().map(|e| of(e.policy_id(), e)).collect();
        for warning in result.validation_warnings() {
            let never = matches!(
                warning,
                ValidationWarning::ImpossiblePolicy(_)
                    | ValidationWarning::InvalidActionApplication(_)
            );
            let list = if never { &mut findings.impossible } else { &mut findings.warnings };
            list.push(of(warning.policy_id(), warning));
        }
    }
    for list in [&mut findings.errors, &mut findings.impossible, &mut findings.warnings] {
        list.sort();
    }
    findings
}

impl Findings {
    /// As results of a SARIF report.
    pub(crate) fn results(&self, file: &str) -> Vec<Value> {
        let of = |list: &[Finding], rule: &str, level: sarif::Level| -> Vec<Value> {
            let result = |f: &Finding| {
                let place = sarif::Place::Physical { uri: file, line: f.line, column: f.column };
                sarif::result(rule, level, &format!("{}: {}", f.policy, f.message), place)
            };
            list.iter().map(result).collect()
        };
        [
            of(&self.errors, "validation-error", sarif::Level::Error),
            of(&self.impossible, "impossible-policy", sarif::Level::Error),
            of(&self.warnings, "validation-warning", sarif::Level::Warning),
        ]
        .concat()
    }
}

/// Line and column, from 1, of the first place that an error names.
pub(super) fn position<E: Diagnostic + ?Sized>(error: &E, text: &str) -> Option<(usize, usize)> {
    let offset = error.labels()?.next()?.offset();
    let before = text.get(..offset)?;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Some((line, column))
}

/// An error or a warning of Cedar's.
trait Said {
    fn finding(&self, policy: &PolicyId, source: &Text) -> Finding;
}

impl<E: Diagnostic + Display> Said for E {
    fn finding(&self, policy: &PolicyId, source: &Text) -> Finding {
        let (line, column) = position(self, &source.text).unwrap_or_default();
        let help = self.help().map(|help| format!(" ({help})")).unwrap_or_default();
        Finding { line, column, policy: policy.to_string(), message: format!("{self}{help}") }
    }
}

fn idle_templates(bundle: &Bundle) -> Vec<Finding> {
    let used = |id: &PolicyId| bundle.policies.policies().any(|p| p.template_id() == Some(id));
    let idle = bundle.policies.templates().filter(|template| !used(template.id()));
    let finding = |policy: String| {
        let message = "a template that no link fills decides nothing".to_owned();
        Finding { line: 0, column: 0, policy, message }
    };
    idle.map(|template| finding(template.id().to_string())).collect()
}
