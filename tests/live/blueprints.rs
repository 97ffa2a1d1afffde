//! The requests that are ready, seen and brought by a person at the command line.

use std::{fs, path::Path};

use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::Script,
    quiet,
    shop::{Database, Engine},
};

/// The example of the page on writing one.
fn example() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../orchestrator/blueprints/README.md");
    let page = fs::read_to_string(page).unwrap();
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    yaml.unwrap().to_owned()
}

/// A mesh whose orchestrator was told of a folder with one blueprint.
fn mesh(home: &TempDir, folder: &Path) -> (Fleet, Script) {
    let database = Database::make("", Engine::Sqlite, home).unwrap();
    database.seed(500);
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("one-index.yaml"), example()).unwrap();
    let config = format!("[orchestrator]\nblueprints = {:?}\n", folder.display().to_string());
    let fleet = Fleet::of(&[(ORCHESTRATOR, &config), ("db", &database.target("shop"))]);
    let script = Script { home: home.path().join("cli"), url: fleet.nats.url.clone() };
    (fleet, script)
}

#[tokio::test]
async fn one_of_our_own_is_listed_explained_found_by_words_and_carried_out() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let (_fleet, script) = mesh(&home, &home.path().join("blueprints"));
    let (code, listed) = script.run(&["blueprints"]);
    assert_eq!(code, 0, "{listed}");
    for part in ["one-index", "one-index.yaml", "slow-endpoint", "built in"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let (code, explained) = script.run(&["blueprints", "one-index"]);
    assert!(code == 0 && explained.contains("text, must be given: The table."), "{explained}");
    let (code, said) = script.run(&["blueprints", "two-indexes"]);
    assert!(code == 8 && said.contains("deadelus blueprints"), "{code} {said}");

    let words = ["plan", "create an index on that table", "--target", "shop"];
    let (code, said) = script.run(&words);
    assert!(code == 7 && said.contains("param table is missing: --param table=…"), "{said}");
    let given = ["--param", "table=order_line", "--param", "column=order_id"];
    let (code, said) = script.run(&[&words[..], &given].concat());
    assert!(code == 0 && said.contains("order_line(order_id) of shop"), "{said}");
    let run = ["run", words[1], "--target", "shop", "--yes", "-o", "json"];
    let (code, said) = script.run(&[&run[..], &given].concat());
    assert_eq!(code, 0, "{said}");
}

#[tokio::test]
async fn lint_names_every_problem_of_a_file_and_what_to_do() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let (_fleet, script) = mesh(&home, &home.path().join("blueprints"));
    let file = home.path().join("mine.yaml");
    let lint = |text: &str, more: &[&str]| {
        fs::write(&file, text).unwrap();
        script.run(&[&["lint", file.to_str().unwrap()], more].concat())
    };
    let (code, said) = lint(&example(), &[]);
    assert_eq!(code, 0, "{said}");
    let bad = example()
        .replace("weight: 0.7", "weight: 0.6")
        .replace("db.create_index", "db.create_indx")
        .replace("default: id", "default: 7");
    let (code, said) = lint(&bad, &[]);
    assert_eq!(code, 7, "{said}");
    for part in ["intent.signals: ", "params.column.default: 7 is not a text", "next: "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = lint(&example().replace("db.create_index", "db.create_indx"), &[]);
    let near =
        r#"plan.tasks.make.does: no capability "db.create_indx"; did you mean "db.create_index"?"#;
    assert!(code == 7 && said.contains(near), "{said}");
    let (code, said) = lint("deadelus: 1\ntitle: T\ntasks: {}\n", &["-o", "json"]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &json["kind"], &json["problems"][0]["place"]),
        (7, &"plan".into(), &"tasks".into())
    );
}
