//! Findings in the form that code hosts and editors read: SARIF 2.1.0.
//!
//! Only what is written: it never judges which findings count.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Of the artefact that a report is kept as.
pub const MEDIA_TYPE: &str = "application/sarif+json";

/// How bad a finding is, in the standard's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Should be changed.
    Warning,
    /// Has to be changed.
    Error,
}

/// Where something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// In a file, or in the answer of a request.
    Physical {
        /// Relative, or as it was asked for.
        uri: &'a str,
        /// From 1; 0 where there are no lines.
        line: usize,
        /// From 1, in bytes; 0 where it is not known.
        column: usize,
    },
    /// At a JSON pointer.
    Logical(&'a str),
}

/// One finding as a result of a report. The caller may add keys that only it knows: fingerprints,
/// suppressions.
pub fn result(rule: &str, level: Level, message: &str, place: Place<'_>) -> Value {
    let level = match level {
        Level::Note => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    json!({
        "ruleId": rule,
        "level": level,
        "message": { "text": message },
        "locations": [location(place)],
    })
}

/// The report of one run of a capability, `db.lint`, with the rules that found something.
pub fn report(capability: &str, results: &[Value]) -> Value {
    let rules: BTreeSet<&str> = results.iter().filter_map(|r| r["ruleId"].as_str()).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": format!("deadelus {capability}"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| json!({ "id": rule })).collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    })
}

fn location(place: Place<'_>) -> Value {
    match place {
        Place::Logical(pointer) => json!({
            "logicalLocations": [{ "fullyQualifiedName": pointer }],
        }),
        Place::Physical { uri, line, column } => {
            let mut physical = json!({ "artifactLocation": { "uri": uri } });
            if line > 0 {
                physical["region"] = json!({ "startLine": line });
            }
            if line > 0 && column > 0 {
                physical["region"]["startColumn"] = json!(column);
            }
            json!({ "physicalLocation": physical })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_named_once_and_each_result_has_one_place() {
        let file = |line, column| Place::Physical { uri: "a.sql", line, column };
        let results = [
            result("b", Level::Error, "wrong", file(3, 5)),
            result("a", Level::Note, "known", file(3, 0)),
            result("b", Level::Warning, "odd", file(0, 0)),
            result("c", Level::Warning, "odd", Place::Logical("/paths")),
        ];
        let report = report("db.lint", &results);
        let run = &report["runs"][0];
        assert_eq!(run["tool"]["driver"]["name"], "deadelus db.lint");
        assert_eq!(
            run["tool"]["driver"]["rules"],
            json!([{ "id": "a" }, { "id": "b" }, { "id": "c" }]),
        );
        let places = [
            json!({ "startLine": 3, "startColumn": 5 }),
            json!({ "startLine": 3 }),
            Value::Null,
            Value::Null,
        ];
        for (result, region) in run["results"].as_array().unwrap().iter().zip(places) {
            assert_eq!(result["locations"][0]["physicalLocation"]["region"], region);
        }
        assert_eq!(
            run["results"][3]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
            "/paths",
        );
        assert_eq!(run["results"][1]["level"], "note");
    }
}
