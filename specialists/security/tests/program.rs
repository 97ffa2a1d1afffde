//! The program, from outside.

use std::process::Command;

/// What README shows is a configuration, to the letter: unknown keys are errors. And it names every
/// capability.
#[test]
fn the_readme_is_true() {
    let readme = include_str!("../README.md");
    let toml = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("security.toml");
    std::fs::write(&file, toml.unwrap()).unwrap();
    let program = env!("CARGO_BIN_EXE_deadelus-security");
    let card = Command::new(program).arg("--config").arg(&file).arg("--print-card").output();
    let card = card.unwrap();
    assert!(card.status.success(), "{}", String::from_utf8_lossy(&card.stderr));
    let card: serde_json::Value = serde_json::from_slice(&card.stdout).unwrap();
    assert_eq!(card["targets"][0]["name"], "shop");
    let capabilities = card["capabilities"].as_array().unwrap();
    assert_eq!(capabilities.len(), 7);
    for capability in capabilities {
        assert_eq!(capability["role"], "Security Manager");
        let verb = capability["name"].as_str().unwrap().replace("security.", "");
        assert!(readme.contains(&format!("| `{verb}` |")), "README does not name {verb}");
    }
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("security.toml");
    for (text, named) in [
        ("[targets.shop.roots]\nsource = \"relative\"\n", "roots.source"),
        ("[targets.shop.http]\nbase_url = \"https://shop.test\"\n", "http.base_url"),
        ("[targets.shop]\nroot = \"/a\"\n", "root"),
    ] {
        std::fs::write(&file, text).unwrap();
        let program = env!("CARGO_BIN_EXE_deadelus-security");
        let card = Command::new(program).arg("--config").arg(&file).arg("--print-card").output();
        let card = card.unwrap();
        let said = String::from_utf8_lossy(&card.stderr).into_owned();
        assert!(!card.status.success() && said.contains(named), "{text}: {said}");
    }
}
