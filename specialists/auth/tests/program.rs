//! The program, from outside.

use deadelus_tests::shipped::{capabilities, card, refuses};

const PROGRAM: &str = env!("CARGO_BIN_EXE_deadelus-auth");

#[test]
fn the_readme_is_true() {
    let card = card(PROGRAM, include_str!("../README.md"));
    assert_eq!(card["targets"][0]["name"], "shop");
    for capability in capabilities(&card) {
        assert_eq!(capability["role"], "Auth Admin");
        assert!(!capability["checks"].as_array().unwrap().is_empty());
    }
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused() {
    refuses(
        PROGRAM,
        &[
            ("[targets.shop]\nfolder = \"relative\"\n", "targets.shop.folder"),
            ("[targets.shop]\nfolder = \"/a\"\npolicies = \"b\"\n", "targets.shop.policies"),
            ("[targets.shop]\nfolders = \"/a\"\n", "folders"),
        ],
    );
}
