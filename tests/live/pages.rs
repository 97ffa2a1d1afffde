//! Every capability has a page, made of its descriptor: docs/capabilities cannot drift.
//!
//! `DEADELUS_WRITE_PAGES=1 tests/run -p deadelus-tests pages` writes them anew.

mod page;
mod schema;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    process::Command,
};

use deadelus_core::{CheckedPlan, Plan};
use deadelus_proto::{Capability, ErrorClass, SpecialistCard, TargetCard};
use deadelus_tests::programs::program;
use serde_json::{Value, json};

/// Where a person reads what the examples are checked with.
const EXAMPLES: &str = "examples.json";
/// Every example's.
const TARGET: &str = "shop";

#[test]
fn every_capability_has_its_page_and_no_other_page_is_there() {
    let examples = examples();
    let mut pages = BTreeMap::new();
    for card in cards() {
        for capability in &card.capabilities {
            let name = capability.name.to_string();
            let example = examples.get(&name);
            let example = example.unwrap_or_else(|| panic!("{EXAMPLES} has none of {name}"));
            pages.insert(format!("{name}.md"), page::of(capability, example));
        }
    }
    pages.insert("README.md".to_owned(), page::index(&cards()));
    if env::var_os("DEADELUS_WRITE_PAGES").is_some() {
        write(&pages);
    }
    let there: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != EXAMPLES)
        .collect();
    assert_eq!(there, pages.keys().cloned().collect(), "DEADELUS_WRITE_PAGES=1 writes them");
    for (name, page) in pages {
        let found = fs::read_to_string(folder().join(&name)).unwrap();
        assert!(found == page, "{name} is not what its capability says: DEADELUS_WRITE_PAGES=1");
    }
}

#[test]
fn every_example_is_a_plan_that_could_run() {
    let cards = cards();
    let offered: BTreeMap<String, &Capability> =
        cards.iter().flat_map(|card| &card.capabilities).map(|c| (c.name.to_string(), c)).collect();
    let examples = examples();
    assert!(offered.keys().eq(examples.keys()), "{:?} {:?}", offered.keys(), examples.keys());
    let mut wrong = vec![];
    for (name, tasks) in examples {
        let does = offered[tasks["example"]["does"].as_str().unwrap()];
        let takes_back = does.undo.as_ref().is_some_and(|(undo, _)| undo.to_string() == name);
        let only_a_way_back = page::is_only_a_way_back(offered[&name]) && takes_back;
        assert!(does.name.to_string() == name || only_a_way_back, "{name} has another's example");
        let plan = json!({
            "deadelus": 1, "title": name, "target": TARGET, "approval": "none", "tasks": tasks,
        });
        let plan = Plan::read(&plan.to_string()).unwrap_or_else(|e| panic!("{name}: {e}"));
        if let Err(problems) = CheckedPlan::check(plan, &cards) {
            wrong.push(format!("{name}: {problems}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn write(pages: &BTreeMap<String, String>) {
    fs::create_dir_all(folder()).unwrap();
    for (name, page) in pages {
        fs::write(folder().join(name), page).unwrap();
    }
}

/// As the programs print them, each with the target of the examples.
fn cards() -> Vec<SpecialistCard> {
    let all = ["db", "api", "payments", "auth", "security", "performance", "testing", "deployment"];
    let cards = all.map(|specialist| {
        let program = program(&format!("deadelus-{specialist}"));
        let printed = Command::new(program).arg("--print-card").output().unwrap();
        let mut card: SpecialistCard = serde_json::from_slice(&printed.stdout).unwrap();
        let name = TARGET.parse().unwrap();
        card.targets = vec![TargetCard { name, facts: BTreeMap::new() }];
        // Some builds keep the order of the types, others sort.
        for capability in &mut card.capabilities {
            capability.inputs_schema.sort_all_objects();
            capability.outputs_schema.sort_all_objects();
        }
        card
    });
    cards.into_iter().filter(|card| !card.capabilities.is_empty()).collect()
}

/// Of each capability the tasks of a plan; the one called `example` uses it, or is what it takes back.
fn examples() -> BTreeMap<String, Value> {
    let text = fs::read_to_string(folder().join(EXAMPLES)).unwrap();
    let mut examples: Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{EXAMPLES}: {e}"));
    examples.sort_all_objects();
    serde_json::from_value(examples).unwrap()
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/capabilities"))
}

#[test]
fn every_class_of_error_is_explained() {
    let text = fs::read_to_string(folder().join("../errors.md")).unwrap();
    let rows: Vec<&str> =
        text.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, ErrorClass::ALL.map(ErrorClass::as_str));
}
