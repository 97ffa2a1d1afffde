//! What was found, as a SARIF report.

use deadelus_runtime::sarif::{self, Place};
use serde_json::Value;

use super::{Finding, Level};

pub(super) fn report(findings: &[Finding]) -> Value {
    let results: Vec<Value> = findings.iter().map(result).collect();
    sarif::report("db.lint", &results)
}

fn result(finding: &Finding) -> Value {
    let level = match finding.level {
        Level::Warning => sarif::Level::Warning,
        Level::Error => sarif::Level::Error,
    };
    let message = format!("{} {}", finding.message, finding.help);
    let place = Place::Physical { uri: &finding.file, line: finding.line, column: 0 };
    sarif::result(&finding.rule, level, message.trim(), place)
}
