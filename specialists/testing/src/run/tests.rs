use std::{fs, path::Path};

use deadelus_runtime::{Check, ErrorClass};
use serde_json::json;

use super::*;
use crate::testing::{available, cargo_project, targets};

/// Runs the suite `unit`.
async fn run(
    cx: &Context,
    config: Value,
    earlier: Option<&Artefact>,
) -> Result<Measured<Outputs>, Failure> {
    let inputs = json!({"suite": "unit", "earlier": earlier});
    let inputs = serde_json::from_value(inputs).unwrap();
    Run(targets(json!({"suites": {"unit": config}}))).perform(cx, inputs).await
}

fn failing(checks: &[Check]) -> Vec<&str> {
    checks.iter().filter(|check| !check.pass).map(|check| check.id.as_str()).collect()
}

const LIB: &str = "\
/// ```
/// assert_eq!(crate_under_test::two(), 2);
/// ```
pub fn two() -> u32 { 2 }
#[cfg(test)]
mod tests {
    #[test] fn holds() { assert_eq!(super::two(), 2); }
    #[test] #[ignore = \"slow\"] fn waits() {}
    #[test] fn also_holds() { println!(\"test hidden ... FAILED\"); }
}
";

/// The same project, then with a test less, then with one that breaks, then one without any test,
/// then one that does not compile.
async fn from_green_to_broken(runner: &str, id: fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    let lib = folder.path().join("src/lib.rs");
    cargo_project(folder.path(), LIB);
    let cx = Context::detached("shop");
    let config = json!({"folder": folder.path(), "runner": runner});
    let green = run(&cx, config.clone(), None).await.unwrap();
    assert_eq!(failing(&green.checks), [""; 0], "{:?}", green.checks);
    let results = Results::fetch(&cx, &green.outputs.results).await.unwrap();
    assert_eq!(results.tests[&id("holds")], Outcome::Passed, "{results:?}");
    assert!(green.outputs.passed >= 2 && green.outputs.failed == 0);

    fs::write(&lib, LIB.replace("#[test] fn holds", "fn holds")).unwrap();
    let fewer = run(&cx, config.clone(), Some(&green.outputs.results)).await.unwrap();
    assert_eq!(failing(&fewer.checks), ["tests_vanished"]);
    let gone = fewer.checks.iter().find(|check| !check.pass).unwrap();
    assert_eq!(gone.note, id("holds"));

    fs::write(&lib, LIB.replace("two(), 2)", "two(), 3)")).unwrap();
    let red = run(&cx, config.clone(), Some(&green.outputs.results)).await.unwrap();
    assert_eq!(failing(&red.checks), ["tests_failed"]);
    assert!(red.outputs.failing.contains(&id("holds")), "{:?}", red.outputs);

    fs::write(&lib, "").unwrap();
    let none = run(&cx, config.clone(), None).await.unwrap();
    assert!(failing(&none.checks).contains(&"tests_run"), "{:?}", none.checks);

    fs::write(&lib, "fn").unwrap();
    let broken = run(&cx, config, None).await.unwrap();
    assert!(failing(&broken.checks).contains(&"tests_run"), "{:?}", broken.checks);
    let output = cx.fetch(&broken.artefacts[1]).await.unwrap();
    assert!(String::from_utf8_lossy(&output).contains("error"));
}

#[tokio::test]
async fn cargo_from_green_to_broken() {
    let id = |name: &str| format!("crate_under_test src/lib.rs tests::{name}");
    from_green_to_broken("cargo", id).await;
}

#[tokio::test]
async fn nextest_from_green_to_broken() {
    if !available("cargo", &["nextest", "--version"]) {
        return;
    }
    from_green_to_broken("nextest", |name| format!("crate_under_test::tests::{name}")).await;
}

fn python_project(folder: &Path) {
    let text = "\
import unittest
class Two(unittest.TestCase):
    def test_holds(self): self.assertEqual(2, 2)
    @unittest.skip('slow')
    def test_waits(self): pass
    def test_breaks(self): self.assertEqual(2, 3)
";
    fs::write(folder.join("test_two.py"), text).unwrap();
}

#[tokio::test]
async fn pytest_tells_every_test() {
    let folder = tempfile::tempdir().unwrap();
    python_project(folder.path());
    let config = json!({"folder": folder.path(), "runner": "pytest"});
    let cx = Context::detached("shop");
    if !available("python3", &["-m", "pytest", "--version"]) {
        let failure = run(&cx, config, None).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Unavailable);
        return;
    }
    let red = run(&cx, config, None).await.unwrap();
    assert_eq!(failing(&red.checks), ["tests_failed"]);
    let Outputs { passed, failed, skipped, failing, .. } = red.outputs;
    assert_eq!((passed, failed, skipped), (1, 1, 1));
    assert_eq!(failing, ["test_two.Two::test_breaks"]);
}

#[tokio::test]
async fn any_program_that_writes_a_report_is_a_runner() {
    if !available("node", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "const test = require('node:test'); test('holds', () => {});
                test('breaks', () => { throw new Error('1 != 2') });";
    fs::write(folder.path().join("a.test.js"), test).unwrap();
    let config = json!({
        "folder": folder.path(), "runner": "command", "program": "node",
        "arguments": ["--test", "--test-reporter=junit", "--test-reporter-destination={report}"],
    });
    let red = run(&Context::detached("shop"), config, None).await.unwrap();
    assert_eq!(failing(&red.checks), ["tests_failed"]);
    assert_eq!((red.outputs.passed, red.outputs.failed), (1, 1));
}

/// A suite whose runner is a shell script.
async fn script(text: &str, timeout_s: u64) -> Result<Measured<Outputs>, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let arguments = json!(["-c", text, "sh", "{report}"]);
    let config = json!({
        "folder": folder.path(), "runner": "command", "program": "sh",
        "arguments": arguments, "timeout_s": timeout_s,
    });
    run(&Context::detached("shop"), config, None).await
}

#[tokio::test]
async fn a_green_report_of_a_red_process_is_no_success() {
    let report = r#"echo '<testsuite><testcase name="a"/></testsuite>' > "$1""#;
    assert_eq!(failing(&script(report, 60).await.unwrap().checks), [""; 0]);
    let lies = script(&format!("{report}; exit 1"), 60).await.unwrap();
    assert_eq!(failing(&lies.checks), ["exit_agrees"]);
    let all = ["tests_run", "tests_failed", "exit_agrees"];
    assert_eq!(failing(&script("true", 60).await.unwrap().checks), all);
    let hangs = script(&format!("{report}; sleep 600"), 1).await.unwrap();
    assert_eq!(failing(&hangs.checks)[0], "ended_in_time");
}

#[tokio::test]
async fn only_what_is_allowed_of_the_environment_is_seen() {
    // Cargo sets this for every test; nobody configured it for the suite.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let seen = r#"test -z "$CARGO_MANIFEST_DIR" && test -n "$PATH" &&
        echo '<testsuite><testcase name="a"/></testsuite>' > "$1""#;
    assert_eq!(failing(&script(seen, 60).await.unwrap().checks), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused() {
    let targets = targets(json!({"suites": {"unit": {
        "folder": "/", "runner": "command", "program": "/nowhere/tool", "arguments": ["{report}"],
    }}}));
    let inputs = |suite: &str| serde_json::from_value(json!({ "suite": suite })).unwrap();
    let cx = Context::detached("shop");
    let missing = Run(targets.clone()).perform(&cx, inputs("unit")).await.unwrap_err();
    assert_eq!(missing.class, ErrorClass::Unavailable);
    assert!(missing.message.contains("/nowhere/tool"), "{missing}");
    let unknown = Run(targets).perform(&cx, inputs("rm -rf")).await.unwrap_err();
    assert_eq!(unknown.class, ErrorClass::Denied);
}
