//! `security.scan_secrets`: credentials in files. The secret itself never leaves this process: what
//! is told is the rule, the place, a digest, and the last four characters of a long one.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured,
    ReadCapability, blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    files::{self, Skipped},
    finding::{Finding, Level},
    gate::{self, Findings, Scan},
    secrets::{Scanner, Spotted},
    target::Targets,
};

/// A gigabyte takes seconds; a disk that is slow takes longer.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Paths of one request: a change touches hundreds of files.
const PATHS_MAX: usize = 10_000;
/// Artefacts of one request: a change-set has tens.
const ARTEFACTS_MAX: usize = 200;
/// Files named that were not read; a repository of pictures has many.
const SKIPPED_TOLD_MAX: usize = 100;
/// Of a digest, in hexadecimal digits: tells two secrets apart, and says little about a weak one.
const DIGEST_DIGITS: usize = 12;
/// The last four characters of a shorter secret would be a good part of it.
const TAIL_FROM_BYTES: usize = 16;

/// Where to look.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inputs {
    /// One of the target's roots; may be left out where there is only one.
    pub root: Option<String>,
    /// Files and folders in the root; all of it when there are none.
    pub paths: Vec<String>,
    /// Also what git ignores.
    pub ignored: bool,
    /// Texts of the plan to look at: alone, unless a root or paths are given too.
    pub artefacts: Vec<Artefact>,
    /// `scan_secrets.sarif` of an earlier scan: what it has is known and does not count.
    pub baseline: Option<Artefact>,
}

/// What was found; all of it as the artefact `scan_secrets.sarif`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// What counts, and how much else there is.
    #[serde(flatten)]
    pub found: Findings,
    /// Files and artefacts that were read.
    pub files: usize,
    /// How much that was.
    pub bytes: u64,
    /// What was not read and why, at most 100.
    pub skipped: Vec<Skipped>,
    /// How many were not read.
    pub skipped_count: usize,
}

/// `security.scan_secrets`
#[derive(Debug, Clone)]
pub struct ScanSecrets {
    targets: Targets,
    /// Compiled when it is first used: a process that never scans needs no megabytes for it.
    scanner: Arc<OnceLock<Scanner>>,
}

impl ScanSecrets {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets, scanner: Arc::default() }
    }
}

impl ReadCapability for ScanSecrets {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "scan_secrets",
            role: crate::ROLE,
            summary: "Finds credentials in files and change-sets, without telling them.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("no_new_secret", "no credential that is neither waived nor in the baseline"),
                ("something_read", "at least one file or artefact was looked at"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        bounded(&inputs)?;
        let target = self.targets.of(cx)?;
        let mut look = Look::default();
        for artefact in &inputs.artefacts {
            let bytes = cx.fetch(artefact).await?;
            look.text(self.scanner()?, &artefact.name, &bytes);
        }
        if inputs.artefacts.is_empty() || inputs.root.is_some() || !inputs.paths.is_empty() {
            let root = target.root(inputs.root.as_deref())?.to_owned();
            let (this, cx, inputs) = (self.clone(), cx.clone(), inputs.clone());
            look = blocking(move || this.look_at_files(&cx, &root, &inputs, look)).await?;
        }
        let Look { findings, files, bytes, mut skipped } = look;
        let scan = Scan {
            verb: "scan_secrets",
            check: "no_new_secret",
            findings,
            baseline: inputs.baseline.as_ref(),
            fail_on: Level::Error,
        };
        let verdict = gate::conclude(cx, target, scan).await?;
        let skipped_count = skipped.len();
        skipped.truncate(SKIPPED_TOLD_MAX);
        let outputs = Outputs { found: verdict.findings, files, bytes, skipped, skipped_count };
        let checks = vec![verdict.check, Check::at_least("something_read", files, 1)];
        Ok(Measured::new(outputs, checks).artefacts(vec![verdict.report]))
    }
}

impl ScanSecrets {
    fn scanner(&self) -> Result<&Scanner, Failure> {
        if let Some(scanner) = self.scanner.get() {
            return Ok(scanner);
        }
        let scanner = Scanner::new()
            .map_err(|e| Failure::new(ErrorClass::Unsupported, format!("the rules: {e}")))?;
        Ok(self.scanner.get_or_init(|| scanner))
    }

    fn look_at_files(
        &self,
        cx: &Context,
        root: &Path,
        inputs: &Inputs,
        mut look: Look,
    ) -> Result<Look, Failure> {
        let scanner = self.scanner()?;
        let listing = files::list(root, &inputs.paths, inputs.ignored)?;
        look.skipped.extend(listing.skipped);
        for path in listing.files {
            // Nobody waits for it any more.
            if cx.cancelled() || Instant::now() > cx.deadline() {
                let text = "the scan was stopped before its end";
                return Err(Failure::new(ErrorClass::Unavailable, text)
                    .help("scan fewer folders at once: name them in `paths`"));
            }
            if scanner.passes_over(&path) {
                let reason = "generated, or no text by its name".to_owned();
                look.skipped.push(Skipped { path, reason });
                continue;
            }
            match files::read(root, &path) {
                Ok(bytes) => look.text(scanner, &path, &bytes),
                Err(skipped) => look.skipped.push(skipped),
            }
        }
        Ok(look)
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Look {
    findings: Vec<Finding>,
    files: usize,
    bytes: u64,
    skipped: Vec<Skipped>,
}

impl Look {
    fn text(&mut self, scanner: &Scanner, place: &str, text: &[u8]) {
        self.files += 1;
        self.bytes += text.len() as u64;
        let mut lines = Lines::new(text);
        let spotted = scanner.scan(text);
        self.findings.extend(spotted.iter().map(|one| finding(one, place, text, &mut lines)));
    }
}

fn finding(spotted: &Spotted<'_>, place: &str, text: &[u8], lines: &mut Lines<'_>) -> Finding {
    let secret = text[spotted.at.clone()].trim_ascii();
    let digest = deadelus_runtime::sha256(secret).to_string();
    let (line, column) = lines.place(spotted.at.start);
    let tail = String::from_utf8_lossy(&secret[secret.len().saturating_sub(4)..]).into_owned();
    let tail =
        if secret.len() < TAIL_FROM_BYTES { String::new() } else { format!(", ends with {tail}") };
    Finding {
        rule: spotted.rule.to_owned(),
        level: Level::Error,
        place: place.to_owned(),
        line,
        column,
        message: format!("a credential: sha256 {}{tail}", &digest[..DIGEST_DIGITS]),
        fingerprint: Finding::fingerprint(spotted.rule, place, &digest),
    }
}

/// Counts lines, forward only.
struct Lines<'t> {
    text: &'t [u8],
    seen: usize,
    line: usize,
    begin: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self { text, seen: 0, line: 1, begin: 0 }
    }

    /// Line and column, from 1. Places must not go back.
    fn place(&mut self, at: usize) -> (usize, usize) {
        for (place, _) in self.text[self.seen..at].iter().enumerate().filter(|(_, b)| **b == b'\n')
        {
            self.line += 1;
            self.begin = self.seen + place + 1;
        }
        self.seen = at;
        (self.line, at - self.begin + 1)
    }
}

fn bounded(inputs: &Inputs) -> Result<(), Failure> {
    let too_many = |what: &str, count: usize, max: usize| {
        Failure::new(ErrorClass::InvalidInput, format!("{what}: {count}, at most {max}"))
    };
    if inputs.paths.len() > PATHS_MAX {
        return Err(too_many("paths", inputs.paths.len(), PATHS_MAX));
    }
    if inputs.artefacts.len() > ARTEFACTS_MAX {
        return Err(too_many("artefacts", inputs.artefacts.len(), ARTEFACTS_MAX));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
