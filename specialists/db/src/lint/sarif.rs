//! Findings in the form that code hosts and editors read: SARIF 2.1.0.

use serde_json::{Value, json};

use super::{Finding, Level};

pub(super) fn report(findings: &[Finding]) -> Value {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "deadelus db.lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
            } },
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let level = match finding.level {
        Level::Warning => "warning",
        Level::Error => "error",
    };
    json!({
        "ruleId": finding.rule,
        "level": level,
        "message": { "text": format!("{} {}", finding.message, finding.help).trim() },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": finding.file },
            "region": { "startLine": finding.line },
        } }],
    })
}
