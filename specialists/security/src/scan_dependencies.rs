//! `security.scan_dependencies`: locked packages with known advisories. No advisory data, or data
//! that is too old, is `unavailable`: never "nothing found".

use std::{path::Path, time::Duration};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured,
    ReadCapability, blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    advisories::{self, Advisory},
    finding::{Finding, Level},
    gate::{self, Findings, Scan},
    lockfile::{self, LOCKFILE, Package},
    target::{AdvisoryFolder, Targets},
    waivers::Day,
};

/// A thousand small files are read.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Of which build.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inputs {
    /// One of the target's roots; may be left out where there is only one.
    pub root: Option<String>,
    /// In the root; `Cargo.lock` when it is not given.
    pub lockfile: Option<String>,
    /// Findings from this level on count: `error` for vulnerabilities alone, as when it is not
    /// given; `warning` with what is unsound, `note` with what nobody maintains.
    pub fail_on: Level,
    /// `scan_dependencies.sarif` of an earlier scan: what it has is known and does not count.
    pub baseline: Option<Artefact>,
}

/// What was found; all of it as the artefact `scan_dependencies.sarif`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// What counts, and how much else there is.
    #[serde(flatten)]
    pub found: Findings,
    /// Packages from a registry, which advisories are about.
    pub packages: usize,
    /// Packages of the workspace or from elsewhere, which they are not about.
    pub not_covered: usize,
    /// Advisories that they were compared with.
    pub advisories: usize,
    /// The day of the newest one.
    pub newest_advisory: Day,
}

/// `security.scan_dependencies`
#[derive(Debug, Clone)]
pub struct ScanDependencies {
    targets: Targets,
}

impl ScanDependencies {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for ScanDependencies {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "scan_dependencies",
            role: crate::ROLE,
            summary: "Compares locked packages with known advisories.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("no_new_advisory", "nothing at or above the level, neither waived nor known"),
                ("something_compared", "there was at least one package from a registry"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.targets.of(cx)?;
        let AdvisoryFolder { folder, max_age_days } = target.advisories()?.clone();
        let root = target.root(inputs.root.as_deref())?.to_owned();
        let lockfile = inputs.lockfile.clone().unwrap_or_else(|| LOCKFILE.to_owned());
        let Compared { findings, packages, not_covered, advisories, newest } =
            blocking(move || compare(&root, &lockfile, &folder)).await?;
        let oldest = Day::today().after(-i64::from(max_age_days));
        if newest < oldest {
            let text = format!("the newest advisory is of {newest}, before {oldest}");
            return Err(Failure::new(ErrorClass::Unavailable, text)
                .help("update the folder of advisories, or allow a greater max_age_days"));
        }
        let scan = Scan {
            verb: "scan_dependencies",
            check: "no_new_advisory",
            findings,
            baseline: inputs.baseline.as_ref(),
            fail_on: inputs.fail_on,
        };
        let verdict = gate::conclude(cx, target, scan).await?;
        let outputs = Outputs {
            found: verdict.findings,
            packages,
            not_covered,
            advisories,
            newest_advisory: newest,
        };
        let checks = vec![verdict.check, Check::at_least("something_compared", packages, 1)];
        Ok(Measured::new(outputs, checks).artefacts(vec![verdict.report]))
    }
}

/// A lock file beside the advisories.
struct Compared {
    findings: Vec<Finding>,
    packages: usize,
    not_covered: usize,
    advisories: usize,
    newest: Day,
}

fn compare(root: &Path, lockfile: &str, folder: &Path) -> Result<Compared, Failure> {
    let packages = lockfile::read(root, lockfile)?;
    let advisories = advisories::load(folder)?;
    let (covered, others): (Vec<_>, Vec<_>) =
        packages.iter().partition(|package| package.is_from_registry());
    let mut findings = vec![];
    for package in &covered {
        let of_it = advisories.get(&package.name).into_iter().flatten();
        let hit = of_it.filter(|advisory| advisory.affects(&package.version));
        findings.extend(hit.map(|advisory| finding(advisory, package, lockfile)));
    }
    let all = || advisories.values().flatten();
    let newest = all().map(|advisory| advisory.date).max();
    Ok(Compared {
        findings,
        packages: covered.len(),
        not_covered: others.len(),
        advisories: all().count(),
        newest: newest.unwrap_or_else(Day::today),
    })
}

fn finding(advisory: &Advisory, package: &Package, lockfile: &str) -> Finding {
    let Package { name, version, .. } = package;
    let subject = format!("{name} {version}");
    Finding {
        rule: advisory.id.clone(),
        level: advisory.level,
        place: lockfile.to_owned(),
        line: 0,
        column: 0,
        message: format!("{subject}: {}; safe: {}", advisory.id, advisory.way_out()),
        fingerprint: Finding::fingerprint(&advisory.id, lockfile, &subject),
    }
}

#[cfg(test)]
mod tests;
