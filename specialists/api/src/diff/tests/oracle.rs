//! Judged by `oasdiff`'s own test pairs, which nobody here wrote.

use std::{collections::BTreeMap, fs};

use deadelus_runtime::Text;
use deadelus_tests::oracles::oracle;
use serde::Deserialize;

use super::super::{Level, Policy, diff, rules};
use crate::Document;

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    base: String,
    revision: String,
    expect: Vec<Expected>,
}

#[derive(Debug, Deserialize)]
struct Expected {
    id: String,
    level: String,
}

/// Ids named, ids found, cases with a breaking change, of those the ones where nothing was seen.
#[derive(Debug, Default)]
struct Score {
    named: usize,
    found: usize,
    breaking: usize,
    missed: Vec<String>,
    missing: Vec<String>,
}

#[test]
fn no_breaking_change_is_missed_and_the_ids_are_theirs() {
    let Some(folder) = oracle("openapi-diff") else { return };
    let cases: Vec<Case> =
        serde_json::from_str(&fs::read_to_string(folder.join("cases.json")).unwrap()).unwrap();
    let mut score = Score::default();
    for case in &cases {
        judge(&folder, case, &mut score);
    }
    let share = 100.0 * score.found as f64 / score.named as f64;
    println!("oasdiff's pairs: {}", cases.len());
    println!("ids found:       {} of {} ({share:.1} %)", score.found, score.named);
    println!("breaking missed: {} of {}", score.missed.len(), score.breaking);
    for what in score.missing.iter().chain(&score.missed) {
        println!("  {what}");
    }
    assert!(score.missed.is_empty(), "{:?}", score.missed);
    assert!(share >= 95.0, "{:?}", score.missing);
}

fn judge(folder: &std::path::Path, case: &Case, score: &mut Score) {
    let read = |file: &str| {
        let text = fs::read(folder.join("data").join(file)).unwrap();
        Document::from_value(file, Text::new(file, text).unwrap().tree().unwrap()).unwrap()
    };
    // Their test changes a document after it was read; two equal ones have no changes.
    if case.base == case.revision {
        println!("  {}: the pair is one document", case.name);
        return;
    }
    let changes = diff(&read(&case.base), &read(&case.revision), Policy::on(20_000));
    // A test that names an id and its annotation-only twin says that the first must not appear.
    let twin = |id: &str| format!("{id}-annotation-only");
    let named = |id: &str| case.expect.iter().any(|expected| expected.id == id);
    let wanted: Vec<&Expected> =
        case.expect.iter().filter(|expected| !named(&twin(&expected.id))).collect();
    for expected in &wanted {
        score.named += 1;
        if changes.iter().any(|change| change.id == expected.id) {
            score.found += 1;
        } else {
            let ids: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
            score.missing.push(format!("{}: {} not in {ids:?}", case.name, expected.id));
        }
    }
    if wanted.iter().any(|expected| expected.level == "ERR") {
        score.breaking += 1;
        if !changes.iter().any(|change| change.breaking) {
            score.missed.push(case.name.clone());
        }
    }
    // An empty list: no change of the check that the test is about, so none that it names an error.
    if case.expect.is_empty() && changes.iter().any(|change| change.level == Level::Error) {
        score.missing.push(format!("{}: an error where none is: {changes:?}", case.name));
    }
}

#[test]
fn levels_are_theirs() {
    let Some(folder) = oracle("openapi-diff") else { return };
    let text = fs::read_to_string(folder.join("levels.json")).unwrap();
    let levels: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let mut wrong = vec![];
    for (id, level) in &levels {
        let ours = rules::of(id).map(|rule| match rule.level {
            Level::Info => "INFO",
            Level::Warning => "WARN",
            Level::Error => "ERR",
        });
        if ours != Some(level.as_str()) {
            wrong.push(format!("{id}: {level}, and here {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "of {}:\n{}", levels.len(), wrong.join("\n"));
}
