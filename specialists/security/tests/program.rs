//! The program, from outside.

use deadelus_tests::shipped::{capabilities, card, refuses};

const PROGRAM: &str = env!("CARGO_BIN_EXE_deadelus-security");

#[test]
fn the_readme_is_true() {
    let card = card(PROGRAM, include_str!("../README.md"));
    assert_eq!(card["targets"][0]["name"], "shop");
    assert!(capabilities(&card).iter().all(|c| c["role"] == "Security Manager"));
}

#[test]
fn a_configuration_that_cannot_be_honoured_is_refused() {
    refuses(
        PROGRAM,
        &[
            ("[targets.shop.roots]\nsource = \"relative\"\n", "roots.source"),
            ("[targets.shop.http]\nbase_url = \"https://shop.test\"\n", "http.base_url"),
            ("[targets.shop]\nroot = \"/a\"\n", "root"),
        ],
    );
}
