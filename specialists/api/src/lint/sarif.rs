//! What was found, as a SARIF report. A place is a JSON pointer.

use deadelus_runtime::sarif::{self, Place};
use serde_json::Value;

use super::{Finding, Severity};

pub(super) fn report(findings: &[Finding]) -> Value {
    let results: Vec<Value> = findings.iter().map(result).collect();
    sarif::report("api.lint", &results)
}

fn result(finding: &Finding) -> Value {
    let level = match finding.severity {
        Severity::Warning => sarif::Level::Warning,
        Severity::Error => sarif::Level::Error,
    };
    sarif::result(finding.rule, level, &finding.text, Place::Logical(&finding.pointer))
}
