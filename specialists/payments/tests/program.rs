//! The program, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::process::{Command, Output};

fn run(config: &str, flag: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("payments.toml");
    std::fs::write(&file, config).unwrap();
    let program = env!("CARGO_BIN_EXE_deadelus-payments");
    Command::new(program).arg("--config").arg(&file).arg(flag).output().unwrap()
}

/// What README shows is a configuration, to the letter: unknown keys are errors. It names every
/// capability, and the key is shown nowhere.
#[test]
fn the_readme_is_true() {
    let readme = include_str!("../README.md");
    let toml = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let card = run(toml, "--print-card");
    assert!(card.status.success(), "{}", String::from_utf8_lossy(&card.stderr));
    let shown = run(toml, "--print-config");
    for output in [&card, &shown] {
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("sk_test_example") && !said.contains("whsec_example"), "{said}");
    }
    let card: serde_json::Value = serde_json::from_slice(&card.stdout).unwrap();
    assert_eq!(card["targets"][0]["facts"]["mode"], "test");
    let capabilities = card["capabilities"].as_array().unwrap();
    assert_eq!(readme.matches("\n| `").count(), capabilities.len());
    for capability in capabilities {
        assert_eq!(capability["role"], "Payment Architect");
        let verb = capability["name"].as_str().unwrap().replace("payments.", "");
        assert!(readme.contains(&format!("| `{verb}` |")), "README does not name {verb}");
    }
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused_without_its_key() {
    for (config, named) in [
        ("[targets.shop]\nbase_url = \"https://h\"\napi_key = \"sk_test_hunter2\"\n", "base_url"),
        ("[targets.shop]\nbase_url = \"http://h\"\napi_key = \"hunter2\"\n", "api_key"),
        ("[targets.shop]\nbase_url = \"http://h\"\napi_key = \"sk_live_hunter2\"\n", "TLS tunnel"),
        ("[targets.shop]\nbase_url = \"http://h\"\n", "api_key"),
    ] {
        let output = run(config, "--print-card");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(named), "{config}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
