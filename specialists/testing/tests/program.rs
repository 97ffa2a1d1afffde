//! The program, from outside.

use deadelus_tests::shipped::{capabilities, card, refuses};

const PROGRAM: &str = env!("CARGO_BIN_EXE_deadelus-testing");

#[test]
fn the_readme_is_true() {
    let card = card(PROGRAM, include_str!("../README.md"));
    assert_eq!(card["targets"][0]["name"], "shop");
    let capabilities = capabilities(&card);
    assert!(capabilities.iter().all(|c| !c["checks"].as_array().unwrap().is_empty()));
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused() {
    let suite = "targets.shop.suites.unit";
    refuses(
        PROGRAM,
        &[
            (&format!("[{suite}]\nfolder = \"a\"\nrunner = \"cargo\"\n"), "suites.unit.folder"),
            (&format!("[{suite}]\nfolder = \"/a\"\nrunner = \"make\"\n"), "make"),
            ("[targets.shop]\nsuite = \"/a\"\n", "suite"),
        ],
    );
}
