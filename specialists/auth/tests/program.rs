//! The program, from outside.

use std::{
    io,
    process::{Command, Output},
};

fn card(config: &str) -> io::Result<Output> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("auth.toml");
    std::fs::write(&file, config)?;
    let program = env!("CARGO_BIN_EXE_deadelus-auth");
    Command::new(program).arg("--config").arg(&file).arg("--print-card").output()
}

/// What README shows is a configuration, to the letter: unknown keys are errors. And it names every
/// capability.
#[test]
fn the_readme_is_true() {
    let readme = include_str!("../README.md");
    let toml = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let card = card(toml.unwrap()).unwrap();
    assert!(card.status.success(), "{}", String::from_utf8_lossy(&card.stderr));
    let card: serde_json::Value = serde_json::from_slice(&card.stdout).unwrap();
    assert_eq!(card["targets"][0]["name"], "shop");
    let capabilities = card["capabilities"].as_array().unwrap();
    for capability in capabilities {
        assert_eq!(capability["role"], "Auth Admin");
        assert!(!capability["checks"].as_array().unwrap().is_empty());
        let verb = capability["name"].as_str().unwrap().replace("auth.", "");
        assert!(readme.contains(&format!("| `{verb}` |")), "README does not name {verb}");
    }
    assert_eq!(capabilities.len(), readme.lines().filter(|line| line.starts_with("| `")).count());
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused() {
    for (text, named) in [
        ("[targets.shop]\nfolder = \"relative\"\n", "targets.shop.folder"),
        ("[targets.shop]\nfolder = \"/a\"\npolicies = \"b\"\n", "targets.shop.policies"),
        ("[targets.shop]\nfolders = \"/a\"\n", "folders"),
    ] {
        let refused = card(text).unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(named), "{text}: {said}");
    }
}
