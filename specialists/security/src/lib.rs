//! The security specialist, the gate before a release.
//!
//! One file per capability. What only looks reads what the target's configuration names and nothing
//! else; a secret that was found never leaves the process. What could not be looked at is never
//! reported as clean.

mod advisories;
mod check_http;
mod files;
mod finding;
mod gate;
mod lockfile;
mod sarif;
mod sbom;
mod scan_code;
mod scan_config;
mod scan_dependencies;
mod scan_secrets;
mod secrets;
mod target;
#[cfg(test)]
mod testing;
mod unwaive;
mod waive;
mod waiver_file;
mod waivers;

use std::collections::BTreeMap;

use deadelus_runtime::{Specialist, TargetName};

pub use self::{
    check_http::CheckHttp,
    files::Skipped,
    finding::{Finding, Level},
    gate::Findings,
    sbom::Sbom,
    scan_code::ScanCode,
    scan_config::ScanConfig,
    scan_dependencies::ScanDependencies,
    scan_secrets::ScanSecrets,
    secrets::{RulesError, Scanner, Spotted},
    target::{AdvisoryFolder, HttpTarget, SecurityTarget, TargetError},
    unwaive::Unwaive,
    waive::Waive,
    waivers::{Day, NoDay},
};

/// The team, in words: whose work the capabilities are.
const ROLE: &str = "Security Manager";

/// Everything this specialist can do, for these systems.
///
/// # Errors
/// When the configuration of a system cannot be honoured.
pub fn specialist(
    targets: BTreeMap<TargetName, SecurityTarget>,
) -> Result<Specialist, TargetError> {
    let targets = target::checked(targets)?;
    let specialist = Specialist::new("security", env!("CARGO_PKG_VERSION"))
        .read(ScanSecrets::new(targets.clone()))
        .read(ScanDependencies::new(targets.clone()))
        .read(Sbom::new(targets.clone()))
        .read(ScanCode::new(targets.clone()))
        .read(ScanConfig::new(targets.clone()))
        .read(CheckHttp::new(targets.clone()))
        .change(Waive::new(targets.clone()))
        .change(Unwaive::new(targets.clone()));
    Ok(targets.cards(SecurityTarget::facts).fold(specialist, Specialist::target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_names_its_role_and_its_roots() {
        let target = SecurityTarget {
            roots: [("source".to_owned(), "/srv/shop".into())].into(),
            ..SecurityTarget::default()
        };
        let card = specialist([("shop".parse().unwrap(), target)].into()).unwrap().card();
        assert!(card.capabilities.iter().all(|c| c.role == ROLE && !c.checks.is_empty()));
        assert_eq!(card.targets[0].facts["roots"], "source");
    }
}
