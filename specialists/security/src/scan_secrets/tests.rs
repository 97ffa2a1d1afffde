use std::{fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::{SecurityTarget, testing::targets};

/// Of the right form, of nobody; put together here so that no scan of this file finds it.
fn token() -> String {
    ["ghp", "_", "R7mQ2xVb9KsT4nWz8YpL1cJd6HfG3aE5uNiX"].concat()
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

async fn scan(
    cx: &Context,
    target: SecurityTarget,
    inputs: Value,
) -> Result<Measured<Outputs>, Failure> {
    let inputs = serde_json::from_value(inputs).unwrap();
    ScanSecrets::new(targets(target)).perform(cx, inputs).await
}

fn of(root: &Path) -> SecurityTarget {
    SecurityTarget {
        roots: [("source".to_owned(), root.to_owned())].into(),
        ..SecurityTarget::default()
    }
}

#[tokio::test]
async fn the_place_is_told_and_the_secret_is_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "src/a.rs", &format!("fn a() {{}}\nlet b = \"{}\";\n", token()));
    write(folder.path(), "src/clean.rs", "fn main() {}\n");
    let cx = Context::detached("shop");
    let measured = scan(&cx, of(folder.path()), json!({})).await.unwrap();
    let [finding] = &measured.outputs.found.findings[..] else { panic!("{measured:?}") };
    assert_eq!(finding.in_short(), "src/a.rs:2:10: github-pat");
    assert!(finding.message.ends_with("ends with uNiX"), "{finding:?}");
    assert_eq!((measured.outputs.files, measured.checks[0].pass), (2, false));
    let report = cx.fetch(&measured.artefacts[0]).await.unwrap();
    let everything = format!("{measured:?}{}", String::from_utf8_lossy(&report));
    assert!(!everything.contains(&token()[..12]) && !everything.contains(&token()[8..30]));
}

#[tokio::test]
async fn nothing_to_read_is_not_green() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.png"), "not looked at").unwrap();
    let cx = Context::detached("shop");
    let measured = scan(&cx, of(folder.path()), json!({})).await.unwrap();
    assert!(measured.checks[0].pass && !measured.checks[1].pass);
    assert_eq!(measured.outputs.skipped[0].path, "a.png");
}

#[tokio::test]
async fn what_a_baseline_or_a_waiver_has_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a", &token());
    let cx = Context::detached("shop");
    let first = scan(&cx, of(folder.path()), json!({})).await.unwrap();
    let baseline = json!({ "baseline": first.artefacts[0] });
    // A line more: the place moves, the finding stays the same one.
    write(folder.path(), "a", &format!("\n{}", token()));
    let second = scan(&cx, of(folder.path()), baseline.clone()).await.unwrap();
    assert_eq!((second.outputs.found.new, second.outputs.found.known), (0, 1));
    assert!(second.checks[0].pass);
    write(folder.path(), "b", &token());
    assert_eq!(scan(&cx, of(folder.path()), baseline).await.unwrap().outputs.found.new, 1);

    let waivers = folder.path().join("waivers.jsonl");
    let fingerprint = &first.outputs.found.findings[0].fingerprint;
    for (until, waived) in [("2999-01-01", 1), ("2001-01-01", 0)] {
        let line = json!({"fingerprint": fingerprint, "reason": "r", "by": "ana", "until": until});
        fs::write(&waivers, line.to_string()).unwrap();
        let target = SecurityTarget { waivers: Some(waivers.clone()), ..of(folder.path()) };
        let measured = scan(&cx, target, json!({ "paths": ["a"] })).await.unwrap();
        assert_eq!(measured.outputs.found.waived, waived, "until {until}");
        assert_eq!(measured.checks[0].pass, waived == 1);
    }
}

#[tokio::test]
async fn artefacts_of_a_plan_are_looked_at_without_any_root() {
    let cx = Context::detached("shop");
    let text = format!("INSERT INTO keys VALUES ('{}');", token());
    let artefact = cx.keep("1_keys.up.sql", "text/plain", text.into()).await.unwrap();
    let inputs = json!({ "artefacts": [artefact] });
    let measured = scan(&cx, SecurityTarget::default(), inputs).await.unwrap();
    assert_eq!(measured.outputs.found.findings[0].place, "1_keys.up.sql");
    assert_eq!(measured.outputs.files, 1);
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "waivers.jsonl", "no json\n");
    let cx = Context::detached("shop");
    let other = cx.keep("other", "text/plain", "{}".into()).await.unwrap();
    let waived = || SecurityTarget {
        waivers: Some(folder.path().join("waivers.jsonl")),
        ..of(folder.path())
    };
    for (target, inputs, class, named) in [
        (of(folder.path()), json!({"root": "no"}), ErrorClass::InvalidInput, "source"),
        (of(folder.path()), json!({"paths": ["../x"]}), ErrorClass::Denied, "../x"),
        (of(folder.path()), json!({"baseline": other}), ErrorClass::InvalidInput, "other"),
        (of(Path::new("/no/such")), json!({}), ErrorClass::Unavailable, "/no/such"),
        (waived(), json!({}), ErrorClass::PreconditionFailed, "line 1"),
        (SecurityTarget::default(), json!({}), ErrorClass::InvalidInput, "root"),
    ] {
        let failure = scan(&cx, target, inputs).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.message.contains(named), "{failure}");
    }
    let unknown = ScanSecrets::new(targets(SecurityTarget::default()));
    let failure = unknown.perform(&Context::detached("bank"), Inputs::default()).await.unwrap_err();
    assert!(failure.message.contains("bank"), "{failure}");
}
