use std::fs;

use serde_json::json;

use super::*;
use crate::{SecurityTarget, testing::targets};

const GOOD_CONTAINER_FILE: &str = include_str!("cases/good.Dockerfile");
const BAD_CONTAINER_FILE: &str = include_str!("cases/bad.Dockerfile");
const GOOD_COMPOSE: &str = include_str!("cases/good.compose.yaml");
const BAD_COMPOSE: &str = include_str!("cases/bad.compose.yaml");
const GOOD_MANIFEST: &str = include_str!("cases/good.manifest.yaml");
const BAD_MANIFEST: &str = include_str!("cases/bad.manifest.yaml");

async fn scan(files: &[(&str, &str)]) -> Measured<Outputs> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        fs::write(folder.path().join(path), text).unwrap();
    }
    let roots = [("source".to_owned(), folder.path().to_owned())].into();
    let target = SecurityTarget { roots, ..SecurityTarget::default() };
    let inputs = serde_json::from_value(json!({ "fail_on": "warning" })).unwrap();
    let capability = ScanConfig::new(targets(target));
    capability.perform(&Context::detached("shop"), inputs).await.unwrap()
}

async fn rules(path: &str, text: &str) -> Vec<String> {
    let measured = scan(&[(path, text)]).await;
    assert_eq!(measured.outputs.files, 1);
    assert!(!format!("{measured:?}").contains("hunter2"));
    let found = measured.outputs.found.findings.into_iter();
    let mut rules: Vec<_> = found.map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules
}

#[tokio::test]
async fn what_is_right_is_not_named() {
    for (path, text) in [
        ("Dockerfile", GOOD_CONTAINER_FILE),
        ("compose.yaml", GOOD_COMPOSE),
        ("deploy.yml", GOOD_MANIFEST),
    ] {
        assert_eq!(rules(path, text).await, [""; 0], "{path}");
    }
}

#[tokio::test]
async fn what_is_open_is_named() {
    let cases: [(&str, &str, &[&str]); 3] = [
        (
            "web.Dockerfile",
            BAD_CONTAINER_FILE,
            &[
                "add-from-network",
                "image-without-version",
                "network-to-shell",
                "runs-as-root",
                "secret-in-image",
            ],
        ),
        (
            "compose.yml",
            BAD_COMPOSE,
            &[
                "container-socket-mounted",
                "data-port-open",
                "image-without-version",
                "privileged",
                "secret-in-environment",
                "shares-host",
            ],
        ),
        (
            "pod.yaml",
            BAD_MANIFEST,
            &[
                "host-path-mounted",
                "image-without-version",
                "may-gain-privileges",
                "no-memory-limit",
                "privileged",
                "runs-as-root",
                "secret-in-environment",
                "shares-host",
            ],
        ),
    ];
    for (path, text, expected) in cases {
        assert_eq!(rules(path, text).await, expected, "{path}");
    }
}

#[tokio::test]
async fn the_place_is_a_line_or_a_part() {
    let measured = scan(&[("Dockerfile", BAD_CONTAINER_FILE), ("c.yaml", BAD_COMPOSE)]).await;
    let told: Vec<_> = measured.outputs.found.findings.iter().map(Finding::in_short).collect();
    assert!(told.contains(&"Dockerfile:4:1: network-to-shell".to_owned()), "{told:?}");
    assert!(told.contains(&"c.yaml: data-port-open".to_owned()), "{told:?}");
}

#[tokio::test]
async fn what_cannot_be_understood_is_not_green() {
    let broken = scan(&[("a.yaml", "apiVersion: v1\nkind: [\n")]).await;
    let passed = |id: &str| broken.checks.iter().find(|check| check.id == id).unwrap().pass;
    assert!(!passed("every_file_read") && !passed("something_read"));
    assert_eq!(broken.outputs.unread[0].path, "a.yaml");
    assert!(broken.checks[1].note.starts_with("a.yaml: no YAML"), "{broken:?}");
    let other = scan(&[("a.yaml", "name: {{ .Values.name }}\n"), ("b.rs", "")]).await;
    assert!(other.outputs.files == 0 && !other.checks[2].pass);
}
