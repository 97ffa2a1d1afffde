//! The programs of this package as they are shipped. Cargo builds them because this test needs
//! them; the tests inside the library use them too.

use std::process::Command;

#[test]
fn a_holder_that_is_told_nothing_says_what_it_needs_and_starts_nothing() {
    let program = env!("CARGO_BIN_EXE_deadelus-deployment");
    let refused = Command::new(program).arg("hold").output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("--instance"), "{said}");
}

#[test]
fn the_specialist_says_what_it_offers() {
    let program = env!("CARGO_BIN_EXE_deadelus-deployment");
    let card = Command::new(program).arg("--print-card").output().unwrap();
    assert!(String::from_utf8_lossy(&card.stdout).contains("deployment.release"));
}

/// What README shows is a configuration, to the letter: unknown keys are errors.
#[test]
fn the_configuration_in_the_readme_is_one() {
    let readme = include_str!("../README.md");
    let toml = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deployment.toml");
    std::fs::write(&file, toml.unwrap()).unwrap();
    let program = env!("CARGO_BIN_EXE_deadelus-deployment");
    let card = Command::new(program).arg("--config").arg(&file).arg("--print-card").output();
    let card = card.unwrap();
    assert!(card.status.success(), "{}", String::from_utf8_lossy(&card.stderr));
    let card: serde_json::Value = serde_json::from_slice(&card.stdout).unwrap();
    let targets: Vec<_> = card["targets"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(targets, ["billing", "shop"]);
    for capability in card["capabilities"].as_array().unwrap() {
        let verb = capability["name"].as_str().unwrap().replace("deployment.", "");
        assert!(readme.contains(&format!("`{verb}`")), "README does not name {verb}");
    }
}
