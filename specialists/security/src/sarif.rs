//! What was judged, as a SARIF report, and the fingerprints back out of one.

use std::collections::BTreeSet;

use deadelus_runtime::sarif::{self, Place};
use serde_json::{Value, json};

use crate::finding::{Finding, Judged, Level};

/// The key under which our fingerprints stand.
const FINGERPRINT: &str = "deadelus/v1";

/// The report of one scan by `security.<verb>`.
pub(crate) fn report(verb: &str, judged: &Judged) -> Value {
    let new = judged.new.iter().map(|finding| result(finding, "new"));
    let known = judged.known.iter().map(|finding| result(finding, "unchanged"));
    let waived = judged.waived.iter().map(|(finding, waiver)| {
        let mut result = result(finding, "unchanged");
        let text = format!("{} ({}, until {})", waiver.reason, waiver.by, waiver.until);
        result["suppressions"] = json!([{ "kind": "external", "justification": text }]);
        result
    });
    let results: Vec<Value> = new.chain(known).chain(waived).collect();
    sarif::report(&format!("security.{verb}"), &results)
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
    let Finding { rule, level, place, line, column, message, fingerprint } = finding;
    let level = match level {
        Level::Note => sarif::Level::Note,
        Level::Warning => sarif::Level::Warning,
        Level::Error => sarif::Level::Error,
    };
    let place = Place::Physical { uri: place, line: *line, column: *column };
    let mut result = sarif::result(rule, level, message, place);
    result["baselineState"] = json!(state);
    result["partialFingerprints"] = json!({ FINGERPRINT: fingerprint });
    result
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
