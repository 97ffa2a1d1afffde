//! `security.scan_code`: places in sources that wait for somebody who means harm.
//!
//! A few shapes that are wrong wherever they stand, language by language. It does not follow values
//! through a program, and claims no more than that it looked: files of a language without rules are
//! told, not passed over in silence.

mod rules;

use std::{collections::BTreeMap, path::Path, time::Duration};

use deadelus_runtime::{
    About, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability, blocking,
};
use schemars::JsonSchema;
use serde::Serialize;

use self::rules::{Rules, Weakness};
use crate::{
    files::{self, Skipped},
    finding::Finding,
    gate::{self, Findings, Inputs, Seen},
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
            checks: gate::WEAKNESS_CHECKS,
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
        let Look { seen, languages, not_covered } = look;
        let gate::Weaknesses { found, checks, unread, report } =
            gate::weaknesses(cx, target, "scan_code", &inputs, seen).await?;
        let outputs = Outputs { found, languages, not_covered, unread };
        Ok(Measured::new(outputs, checks).artefacts(vec![report]))
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Look {
    seen: Seen,
    languages: BTreeMap<String, usize>,
    not_covered: BTreeMap<String, usize>,
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
                look.seen.files += 1;
                let found = rules.weaknesses(language, &text).into_iter();
                look.seen.findings.extend(found.map(|weakness| finding(weakness, &path)));
            }
            Err(unread) => look.seen.unread.push(unread),
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
