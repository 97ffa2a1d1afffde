//! Findings in the form that code hosts and editors read: SARIF 2.1.0. A place is a JSON pointer.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Finding, Severity};

pub(super) fn report(findings: &[Finding]) -> Value {
    let rules: BTreeSet<&str> = findings.iter().map(|finding| finding.rule).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "deadelus api.lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
            } },
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let level = match finding.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    json!({
        "ruleId": finding.rule,
        "level": level,
        "message": { "text": finding.text },
        "locations": [{ "logicalLocations": [{ "fullyQualifiedName": finding.pointer }] }],
    })
}
