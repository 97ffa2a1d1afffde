//! The program, from outside.

use std::process::{Command, Output};

fn card(toml: &str) -> std::io::Result<Output> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("testing.toml");
    std::fs::write(&file, toml)?;
    let program = env!("CARGO_BIN_EXE_deadelus-testing");
    Command::new(program).arg("--config").arg(&file).arg("--print-card").output()
}

/// What README shows is a configuration, to the letter: unknown keys are errors. And it names every
/// capability, and no other.
#[test]
fn the_readme_is_true() {
    let readme = include_str!("../README.md");
    let toml = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let card = card(toml.unwrap()).unwrap();
    assert!(card.status.success(), "{}", String::from_utf8_lossy(&card.stderr));
    let card: serde_json::Value = serde_json::from_slice(&card.stdout).unwrap();
    assert_eq!(card["targets"][0]["name"], "shop");
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut named: Vec<String> = rows.map(|verb| format!("testing.{verb}")).collect();
    named.sort_unstable();
    let capabilities = card["capabilities"].as_array().unwrap();
    let announced: Vec<&str> = capabilities.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(named, announced);
    assert!(capabilities.iter().all(|c| !c["checks"].as_array().unwrap().is_empty()));
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused() {
    for (text, named) in [
        ("[targets.shop.suites.unit]\nfolder = \"a\"\nrunner = \"cargo\"\n", "suites.unit.folder"),
        ("[targets.shop.suites.unit]\nfolder = \"/a\"\nrunner = \"make\"\n", "make"),
        ("[targets.shop]\nsuite = \"/a\"\n", "suite"),
    ] {
        let card = card(text).unwrap();
        let said = String::from_utf8_lossy(&card.stderr).into_owned();
        assert!(!card.status.success() && said.contains(named), "{text}: {said}");
    }
}
