use std::fs;

use serde_json::json;

use super::*;
use crate::{AdvisoryFolder, SecurityTarget, testing::targets};

const REGISTRY: &str = "source = \"registry+https://registry.test/index\"";

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    /// With `old 1.0.0` and `fine 1.0.0` from a registry, and `old 1.0.0` of its own.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("advisories")).unwrap();
        let package = |name: &str, source: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}\n")
        };
        let lock = [package("old", REGISTRY), package("fine", REGISTRY), package("old", "")];
        fs::write(folder.path().join("Cargo.lock"), format!("version = 4\n{}", lock.concat()))
            .unwrap();
        Self { folder }
    }

    fn advise(&self, id: &str, package: &str, date: Day, more: &str, patched: &str) {
        let text = format!(
            "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{package}\"\ndate = \"{date}\"\n{more}\n[versions]\npatched = [{patched}]\n```\n# T\n"
        );
        fs::write(self.folder.path().join(format!("advisories/{id}.md")), text).unwrap();
    }

    async fn scan(&self, inputs: serde_json::Value) -> Result<Measured<Outputs>, Failure> {
        let target = SecurityTarget {
            roots: [("source".to_owned(), self.folder.path().to_owned())].into(),
            advisories: Some(AdvisoryFolder {
                folder: self.folder.path().join("advisories"),
                max_age_days: 30,
            }),
            ..SecurityTarget::default()
        };
        let inputs = serde_json::from_value(inputs).unwrap();
        let capability = ScanDependencies::new(targets(target));
        capability.perform(&Context::detached("shop"), inputs).await
    }
}

#[tokio::test]
async fn an_affected_package_is_named_with_the_way_out() {
    let lab = Lab::new();
    let today = Day::today();
    lab.advise("RUSTSEC-2026-0001", "old", today, "", "\">= 1.0.1\"");
    lab.advise("RUSTSEC-2026-0002", "fine", today, "", "\">= 0.9.0\"");
    lab.advise("RUSTSEC-2026-0003", "fine", today, "informational = \"unmaintained\"", "");
    let measured = lab.scan(json!({})).await.unwrap();
    let Outputs { found, packages, not_covered, advisories, .. } = &measured.outputs;
    assert_eq!((*packages, *not_covered, *advisories), (2, 1, 3));
    let told: Vec<_> = found.findings.iter().map(|f| (f.rule.as_str(), f.level)).collect();
    assert_eq!(told, [("RUSTSEC-2026-0001", Level::Error), ("RUSTSEC-2026-0003", Level::Note)]);
    assert!(found.findings[0].message.contains(">=1.0.1"), "{found:?}");
    assert_eq!(measured.checks[0].measured, "1");
    let all = lab.scan(json!({ "fail_on": "note" })).await.unwrap();
    assert_eq!(all.checks[0].measured, "2");
}

#[tokio::test]
async fn no_data_and_old_data_are_unavailable_and_not_clean() {
    let lab = Lab::new();
    let failure = lab.scan(json!({})).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable, "{failure}");
    lab.advise("RUSTSEC-2020-0001", "other", Day::today().after(-31), "", "");
    let failure = lab.scan(json!({})).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable, "{failure}");
    lab.advise("RUSTSEC-2020-0001", "other", Day::today().after(-30), "", "");
    assert!(lab.scan(json!({})).await.unwrap().checks.iter().all(|check| check.pass));
}

#[tokio::test]
async fn without_a_folder_or_a_lock_file_it_is_refused() {
    let lab = Lab::new();
    let failure = lab.scan(json!({ "lockfile": "no/Cargo.lock" })).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidInput, "{failure}");
    let capability = ScanDependencies::new(targets(SecurityTarget::default()));
    let failure =
        capability.perform(&Context::detached("shop"), Inputs::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable, "{failure}");
}
