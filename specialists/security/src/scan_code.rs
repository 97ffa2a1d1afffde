//! `security.scan_code`: places in sources that wait for somebody who means harm.
//!
//! A few shapes that are wrong wherever they stand, language by language. It does not follow values
//! through a program, and claims no more than that it looked: files of a language without rules are
//! told, not passed over in silence.

mod rules;

use std::{collections::BTreeMap, path::Path, time::Duration};

use deadelus_runtime::{
    About, Artefact, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
    blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::rules::{Rules, Weakness};
use crate::{
    files::{self, Skipped},
    finding::{Finding, Level},
    gate::{self, Findings, Scan},
    target::Targets,
};

/// Ten million lines, and room.
const TIMEOUT: Duration = Duration::from_secs(600);
/// A source is written by hand; a larger file is generated, or data.
const SOURCE_MAX_BYTES: usize = 4 << 20;

/// Endings of sources that there are no rules for.
const UNCOVERED: [&str; 20] = [
    "c", "cc", "cpp", "cs", "cxx", "dart", "erl", "ex", "exs", "groovy", "h", "hpp", "lua", "m",
    "pl", "pm", "scala", "swift", "vb", "zig",
];

/// Where to look.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inputs {
    /// One of the target's roots; may be left out where there is only one.
    pub root: Option<String>,
    /// Files and folders in the root; all of it when there are none.
    pub paths: Vec<String>,
    /// Findings from this level on count; `error` when it is not given.
    pub fail_on: Level,
    /// `scan_code.sarif` of an earlier scan: what it has is known and does not count.
    pub baseline: Option<Artefact>,
}

/// What was found; all of it as the artefact `scan_code.sarif`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// What counts, and how much else there is.
    #[serde(flatten)]
    pub found: Findings,
    /// Files that were looked at, by language.
    pub languages: BTreeMap<String, usize>,
    /// Sources that there are no rules for, by their names' ending: nothing is known of them.
    pub not_covered: BTreeMap<String, usize>,
    /// Sources of these languages that could not be read, at most 100.
    pub unread: Vec<Skipped>,
}

/// `security.scan_code`
#[derive(Debug, Clone)]
pub struct ScanCode {
    targets: Targets,
}

impl ScanCode {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for ScanCode {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "scan_code",
            role: crate::ROLE,
            summary: "Finds SQL and shell commands put together of strings, unverified TLS and \
                      tokens, weak hashes and debug modes in sources.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("no_new_weakness", "nothing at or above the level, neither waived nor known"),
                ("every_file_read", "each source of a language with rules could be read"),
                ("something_read", "there was at least one such source"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.targets.of(cx)?;
        let root = target.root(inputs.root.as_deref())?.to_owned();
        let paths = inputs.paths.clone();
        let rules =
            Rules::built_in().map_err(|e| Failure::new(ErrorClass::Unsupported, format!("{e}")))?;
        let look = blocking(move || look(&root, &paths, rules)).await?;
        let Look { findings, languages, not_covered, unread } = look;
        let scan = Scan {
            verb: "scan_code",
            check: "no_new_weakness",
            findings,
            baseline: inputs.baseline.as_ref(),
            fail_on: inputs.fail_on,
        };
        let verdict = gate::conclude(cx, target, scan).await?;
        let ([every_file, something], unread) = gate::read(languages.values().sum(), unread);
        let checks = vec![verdict.check, every_file, something];
        let outputs = Outputs { found: verdict.findings, languages, not_covered, unread };
        Ok(Measured::new(outputs, checks).artefacts(vec![verdict.report]))
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Look {
    findings: Vec<Finding>,
    languages: BTreeMap<String, usize>,
    not_covered: BTreeMap<String, usize>,
    unread: Vec<Skipped>,
}

fn look(root: &Path, paths: &[String], rules: &Rules) -> Result<Look, Failure> {
    let mut look = Look::default();
    for path in files::list(root, paths, false)?.files {
        let Some(language) = rules.language(&path) else {
            let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
            if UNCOVERED.contains(&ending) {
                *look.not_covered.entry(ending.to_owned()).or_default() += 1;
            }
            continue;
        };
        match source(root, &path) {
            Ok(text) => {
                *look.languages.entry(language.to_owned()).or_default() += 1;
                let found = rules.weaknesses(language, &text).into_iter();
                look.findings.extend(found.map(|weakness| finding(weakness, &path)));
            }
            Err(unread) => look.unread.push(unread),
        }
    }
    Ok(look)
}

fn source(root: &Path, path: &str) -> Result<String, Skipped> {
    let unread = |reason: String| Skipped { path: path.to_owned(), reason };
    let bytes = files::read(root, path)?;
    if bytes.len() > SOURCE_MAX_BYTES {
        return Err(unread(format!("{} bytes, at most {SOURCE_MAX_BYTES}", bytes.len())));
    }
    String::from_utf8(bytes).map_err(|e| unread(e.to_string()))
}

fn finding(weakness: Weakness<'_>, path: &str) -> Finding {
    let Weakness { rule, level, says, line, column, subject } = weakness;
    Finding {
        fingerprint: Finding::fingerprint(rule, path, &subject),
        rule: rule.to_owned(),
        level,
        place: path.to_owned(),
        line,
        column,
        message: says.to_owned(),
    }
}

#[cfg(test)]
mod tests;
