//! Findings in the form that code hosts and editors read, SARIF 2.1.0, and back.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::finding::{Finding, Judged, Level};

/// The key under which our fingerprints stand.
const FINGERPRINT: &str = "deadelus/v1";

/// The report of one scan by `security.<verb>`.
pub(crate) fn report(verb: &str, judged: &Judged) -> Value {
    let all = judged.new.iter().chain(&judged.known).chain(judged.waived.iter().map(|(f, _)| f));
    let rules: BTreeSet<&str> = all.map(|finding| finding.rule.as_str()).collect();
    let new = judged.new.iter().map(|finding| result(finding, "new"));
    let known = judged.known.iter().map(|finding| result(finding, "unchanged"));
    let waived = judged.waived.iter().map(|(finding, waiver)| {
        let mut result = result(finding, "unchanged");
        let text = format!("{} ({}, until {})", waiver.reason, waiver.by, waiver.until);
        result["suppressions"] = json!([{ "kind": "external", "justification": text }]);
        result
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": format!("deadelus security.{verb}"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
            } },
            "results": new.chain(known).chain(waived).collect::<Vec<_>>(),
        }],
    })
}

/// The fingerprints of an earlier report; none when it is no such report.
pub(crate) fn fingerprints(report: &[u8]) -> Option<BTreeSet<String>> {
    let report: Value = serde_json::from_slice(report).ok()?;
    let runs = report["runs"].as_array()?;
    let mut found = BTreeSet::new();
    for run in runs {
        for result in run["results"].as_array()? {
            found.insert(result["partialFingerprints"][FINGERPRINT].as_str()?.to_owned());
        }
    }
    Some(found)
}

fn result(finding: &Finding, state: &str) -> Value {
    let level = match finding.level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let mut place = json!({ "artifactLocation": { "uri": finding.place } });
    if finding.line > 0 {
        place["region"] = json!({ "startLine": finding.line, "startColumn": finding.column });
    }
    json!({
        "ruleId": finding.rule,
        "level": level,
        "message": { "text": finding.message },
        "baselineState": state,
        "locations": [{ "physicalLocation": place }],
        "partialFingerprints": { FINGERPRINT: finding.fingerprint },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reported_is_known_the_next_time() {
        let finding = Finding {
            rule: "r".to_owned(),
            level: Level::Note,
            place: "a".to_owned(),
            line: 0,
            column: 0,
            message: String::new(),
            fingerprint: "f".to_owned(),
        };
        let judged = Judged { new: vec![finding], ..Judged::default() };
        let report = self::report("scan", &judged).to_string();
        assert_eq!(fingerprints(report.as_bytes()), Some(["f".to_owned()].into()));
        for other in ["", "{}", r#"{"runs":[{"results":[{}]}]}"#] {
            assert_eq!(fingerprints(other.as_bytes()), None, "{other}");
        }
    }
}
