//! A plan of somebody's own that is not detailed enough: it comes back as questions.

use std::fs;

use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use tempfile::TempDir;

use crate::{
    cli::Script,
    quiet,
    shop::{Database, Engine},
};

const GAPPY: &str = "
deadelus: 1
title: One index
tasks:
  look: { does: db.inspect, title: Look }
  index:
    does: db.create_index
    title: Make it
    needs: [look]
    inputs: { columns: [order_id] }
";

#[tokio::test]
async fn gaps_are_asked_by_name_and_the_answers_outlive_the_orchestrator() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(500);
    let before = database.schema().await;
    let mut fleet = Fleet::of(&[("db", &database.target("shop"))]);
    let script = Script { home: home.path().join("cli"), url: fleet.nats.url.clone() };
    let plan = home.path().join("plan.yaml");
    fs::write(&plan, GAPPY).unwrap();

    let (code, said) = script.run(&["run", "--file", plan.to_str().unwrap(), "--yes"]);
    assert_eq!(code, 10, "{said}");
    for name in ["target: ", "tasks.index.inputs.table: ", "success: ", "constraints: "] {
        assert!(said.contains(&format!("\n  - {name}")), "{name}: {said}");
    }
    let draft = said.split("deadelus answer ").nth(1).unwrap().split(' ').next().unwrap();
    assert_eq!(database.schema().await, before, "nothing is guessed");

    let (code, said) = script.run(&["answer", draft, "target=shop", "tabel=orders"]);
    assert!(code == 7 && said.contains("tabel: is not asked"), "{code} {said}");
    let some = ["answer", draft, "target=shop", "tasks.index.inputs.table=order_line"];
    let (code, said) = script.run(&some);
    assert!(code == 10 && !said.contains("- target: "), "{code} {said}");

    fleet.kill(ORCHESTRATOR);
    fleet.restart(ORCHESTRATOR);
    let (code, said) = script.run(&["run", "--draft", draft, "--yes"]);
    assert!(code == 10 && said.contains("\n  - success: "), "{code} {said}");
    let rest = ["success=index: There is one", "constraints=none", "prerequisites=none"];
    let (code, said) = script.run(&[&["answer", draft], &rest[..]].concat());
    assert!(code == 0 && said.contains("There is one (checked in index"), "{code} {said}");
    assert_eq!(database.schema().await, before);
    let (code, said) = script.run(&["run", "--draft", draft, "--yes", "-o", "json"]);
    assert_eq!(code, 0, "{said}");
    assert_ne!(database.schema().await, before);
    let (code, said) = script.run(&["run", "--draft", "dr-none", "--yes"]);
    assert!(code == 7 && said.contains("there is no draft dr-none"), "{code} {said}");
}

#[tokio::test]
async fn work_that_nobody_offers_is_refused_with_the_specialist_to_ask() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(100);
    let fleet = Fleet::of(&[("db", &database.target("shop"))]);
    let script = Script { home: home.path().join("cli"), url: fleet.nats.url.clone() };
    let plan = home.path().join("plan.yaml");
    fs::write(
        &plan,
        GAPPY.replace("db.inspect, title: Look", "db.write_sql, title: Write the query"),
    )
    .unwrap();
    let (code, said) = script.run(&["plan", "--file", plan.to_str().unwrap()]);
    assert!(code == 7 && said.contains("tasks.look.does: \"db.write_sql\""), "{code} {said}");
    assert!(said.contains("ask db (DB "), "{said}");
    let words = ["plan", "which index does this table need", "--target", "shop"];
    let (code, said) = script.run(&words);
    assert!(code == 7 && said.contains("needs no coordination: ask db"), "{code} {said}");
}
