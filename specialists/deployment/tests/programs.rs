//! The programs of this package as they are shipped. Cargo builds them because this test needs
//! them; the tests inside the library use them too.

use std::process::Command;

use deadelus_tests::shipped::card;

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

#[test]
fn the_readme_is_true() {
    let program = env!("CARGO_BIN_EXE_deadelus-deployment");
    let card = card(program, include_str!("../README.md"));
    let targets: Vec<_> = card["targets"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    assert_eq!(targets, ["billing", "shop"]);
}
