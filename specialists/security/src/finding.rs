//! What a scan found, and what is to be thought of it: new, known, or waived.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::waivers::{Day, Waiver};

/// Of a fingerprint, in hexadecimal digits: 64 bits tell the findings of any repository apart.
pub(crate) const FINGERPRINT_DIGITS: usize = 16;

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Makes an attack easier.
    Warning,
    /// Is one, or waits for one.
    #[default]
    Error,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// The file in its root, or the path of a request.
    pub place: String,
    /// From 1; 0 where there are no lines.
    pub line: usize,
    /// From 1, in bytes; 0 where there are no lines.
    pub column: usize,
    /// What it is, in a sentence, without the secret.
    pub message: String,
    /// What a waiver names. It stays the same when lines move.
    pub fingerprint: String,
}

impl Finding {
    /// Of a rule, a place and what is special about this one there.
    pub(crate) fn fingerprint(rule: &str, place: &str, subject: &str) -> String {
        let digest = deadelus_runtime::sha256([rule, place, subject].join("\0").as_bytes());
        digest.as_str()[..FINGERPRINT_DIGITS].to_owned()
    }

    /// `src/a.rs:3:5: github-pat`
    pub(crate) fn in_short(&self) -> String {
        let Self { rule, place, line, column, .. } = self;
        if *line == 0 {
            format!("{place}: {rule}")
        } else {
            format!("{place}:{line}:{column}: {rule}")
        }
    }
}

/// Findings by what is to be thought of them.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Nobody has accepted these.
    pub(crate) new: Vec<Finding>,
    /// An earlier scan already had them.
    pub(crate) known: Vec<Finding>,
    /// Accepted for a time, with the reason.
    pub(crate) waived: Vec<(Finding, Waiver)>,
}

/// Sorts findings. A waiver counts through its last day; after that the finding is new again.
pub(crate) fn judge(
    findings: Vec<Finding>,
    baseline: &BTreeSet<String>,
    waivers: &[Waiver],
    today: Day,
) -> Judged {
    let mut judged = Judged::default();
    for finding in findings {
        let waiver = waivers
            .iter()
            .find(|waiver| waiver.fingerprint == finding.fingerprint && waiver.until >= today);
        match waiver {
            Some(waiver) => judged.waived.push((finding, waiver.clone())),
            None if baseline.contains(&finding.fingerprint) => judged.known.push(finding),
            None => judged.new.push(finding),
        }
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiver_ends_and_a_baseline_does_not() {
        let finding = |fingerprint: &str| Finding {
            rule: "r".to_owned(),
            level: Level::Error,
            place: "a".to_owned(),
            line: 1,
            column: 1,
            message: String::new(),
            fingerprint: fingerprint.to_owned(),
        };
        let waiver = Waiver {
            fingerprint: "w".to_owned(),
            reason: "a test".to_owned(),
            by: "ana".to_owned(),
            until: "2026-01-31".parse().unwrap(),
        };
        let baseline = ["k".to_owned()].into();
        let judge = |day: &str| {
            let found = ["n", "k", "w"].map(finding).to_vec();
            judge(found, &baseline, std::slice::from_ref(&waiver), day.parse().unwrap())
        };
        let on_the_day = judge("2026-01-31");
        let after = judge("2026-02-01");
        let counts = |judged: &Judged| (judged.new.len(), judged.known.len(), judged.waived.len());
        assert_eq!(counts(&on_the_day), (1, 1, 1));
        assert_eq!(counts(&after), (2, 1, 0));
    }

    #[test]
    fn parts_of_a_fingerprint_do_not_run_together() {
        let one = Finding::fingerprint("a", "b", "c");
        assert_ne!(one, Finding::fingerprint("ab", "", "c"));
        assert_eq!(one.len(), FINGERPRINT_DIGITS);
    }
}
