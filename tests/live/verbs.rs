//! What a person types while a workflow is under way, on real processes: pause, resume, retry, skip,
//! one workflow or many.

use std::fs;

use deadelus_proto::pb::{Ending, event::Kind};
use deadelus_tests::fleet::Fleet;
use tempfile::TempDir;

use crate::{
    cli::Script,
    person::Person,
    plans::ONE_INDEX,
    quiet,
    shop::{Database, Engine},
};

#[tokio::test]
async fn many_are_paused_one_goes_on_without_a_task_and_all_are_resumed() {
    let _others = quiet::among_others().await;
    let Rig { _fleet, ada, script, plan, _home } = Rig::new("approval: required\n").await;
    let digest = ada.check(&plan).await.unwrap().digest().to_string();
    let first = ada.start("wf-first", &plan).await;
    let second = ada.start("wf-second", &plan).await;

    let (code, said) =
        script.run_with(&["pause", "-", "--reason", "lunch"], "wf-first\nwf-second\n");
    assert_eq!(code, 0, "{said}");
    for id in [&first, &second] {
        assert_eq!(ada.approve(id, &digest).await, Vec::<String>::new());
    }
    let (code, said) = script.run(&["why", "wf-first"]);
    assert!(code == 0 && said.contains("wf-first is paused"), "{said}");
    assert!(said.contains("lunch") && said.contains("deadelus resume wf-first"), "{said}");

    let (code, said) = script.run(&["skip", "wf-first", "look", "--reason", "seen already"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = script.run(&["skip", "wf-first", "look"]);
    assert_eq!(code, 2, "a reason is wanted: {said}");
    // The list follows the log within a moment.
    ada.until_listed("paused", 2).await;
    let (code, ids) = script.run(&["list", "--state", "paused", "-o", "ids"]);
    assert_eq!(code, 0, "{ids}");
    let (code, said) = script.run_with(&["resume", "-"], &ids);
    assert_eq!(code, 0, "{said}");

    let story = ada.until_ended(&first, Ending::Done).await;
    assert_eq!(story.outcome("look"), "skipped", "{}", story.told());
    assert_eq!(story.outcome("index"), "done", "it waited for the order only: {}", story.told());
    let (_, report) = script.run(&["report", "wf-first"]);
    assert!(report.contains("look was left out by") && report.contains("seen already"), "{report}");
    let (code, said) = script.run_with(&["resume", "-"], "wf-first\nwf-second\nwf-nobody\n");
    assert_eq!(code, 1, "the first refusal's code: {said}");
    assert!(said.contains("wf-nobody"), "and every one had its turn: {said}");
}

#[tokio::test]
async fn used_up_tries_pause_it_and_a_retry_brings_it_home() {
    let _others = quiet::among_others().await;
    let impatient = "approval: none\ntasks:\n  only: { does: db.inspect, title: Look, \
                     timeout: 1s, attempts: 1 }\n";
    let Rig { mut _fleet, ada, script, plan, _home } = Rig::new(impatient).await;
    _fleet.kill("db");
    let id = ada.start("wf-away", &plan).await;
    let story = ada
        .until(&id, "it is paused", |story| story.count(|e| matches!(e, Kind::TaskHeld(_))) == 1)
        .await;
    assert_eq!(story.ending(), None, "{}", story.told());
    let (code, said) = script.run(&["watch", "wf-away"]);
    assert!(code == 6 && said.contains("deadelus retry wf-away --task only"), "{code} {said}");

    _fleet.restart("db");
    // What was asked before comes late, and counts as well: nothing was decided against it.
    let (code, said) = script.run(&["retry", "wf-away", "--task", "only"]);
    assert!(code == 0 || said.contains("task only is done"), "{code} {said}");
    let story = ada.until_ended(&id, Ending::Done).await;
    assert_eq!(story.outcome("only"), "done", "{}", story.told());
}

/// A small shop's database with its specialist, a person and a shell.
struct Rig {
    _fleet: Fleet,
    ada: Person,
    script: Script,
    plan: String,
    _home: TempDir,
}

impl Rig {
    /// `head` stands where the plan says whether it wants approval; with tasks it is all of them.
    async fn new(head: &str) -> Self {
        let home = TempDir::with_prefix("shop-").unwrap();
        let database = Database::make("", Engine::Sqlite, &home).unwrap();
        database.seed(100);
        let fleet = Fleet::of(&[("db", &database.target("shop"))]);
        let script = Script { home: home.path().join("cli"), url: fleet.nats.url.clone() };
        let ada = Person::at(&fleet).await;
        let plan = if head.contains("tasks:") {
            format!("deadelus: 1\ntitle: A look\ntarget: shop\n{head}")
        } else {
            ONE_INDEX.replace("approval: none\n", head).replace("    name: line_by_order", "")
        };
        fs::write(home.path().join("plan.yaml"), &plan).unwrap();
        Self { _fleet: fleet, ada, script, plan, _home: home }
    }
}
