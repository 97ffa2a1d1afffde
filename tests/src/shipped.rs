//! A specialist's program as it is shipped, asked from outside what it offers.

#![expect(clippy::expect_used, reason = "test support: a program that cannot be run ends the test")]

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;

/// What the program says to one flag, under this configuration.
///
/// # Panics
/// When it cannot be run.
pub fn asked(program: &str, config: &str, flag: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("specialist.toml");
    fs::write(&file, config).expect("a configuration");
    let mut command = Command::new(program);
    command.arg("--config").arg(&file).arg(flag).output().expect("a program that runs")
}

/// The configuration that a README shows.
///
/// # Panics
/// When it shows none.
pub fn configuration(readme: &str) -> &str {
    let shown = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    shown.expect("a configuration in the README")
}

/// The card that the program prints under the configuration of its README.
///
/// # Panics
/// When that is no configuration, to the letter: unknown keys are errors. When the README's table
/// does not name every capability, or names another.
pub fn card(program: &str, readme: &str) -> Value {
    let said = asked(program, configuration(readme), "--print-card");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let card: Value = serde_json::from_slice(&said.stdout).expect("a card");
    let mut announced: Vec<_> = capabilities(&card).iter().filter_map(verb).collect();
    announced.sort_unstable();
    assert_eq!(rows(readme), announced, "the README's table beside what is announced");
    card
}

/// What a card offers.
///
/// # Panics
/// When it is no card.
pub fn capabilities(card: &Value) -> &[Value] {
    card["capabilities"].as_array().expect("capabilities")
}

/// Every pair is a configuration that the program must refuse, and what it must name then.
///
/// # Panics
/// When it takes one, or says something else.
pub fn refuses(program: &str, configurations: &[(&str, &str)]) {
    for (config, named) in configurations {
        let refused = asked(program, config, "--print-card");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(named), "{config}: {said}");
    }
}

fn verb(capability: &Value) -> Option<&str> {
    capability["name"].as_str()?.split_once('.').map(|(_, verb)| verb)
}

/// The verbs in the first column of the README's table, in order.
fn rows(readme: &str) -> Vec<&str> {
    let cells = readme.lines().filter(|line| line.starts_with("| `"));
    let cells = cells.filter_map(|line| line.split('|').nth(1));
    let mut verbs: Vec<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    verbs.sort_unstable();
    verbs
}
