//! What operators type, on real processes: pause, resume, retry, skip, fork, audit, dead letters; for
//! one or for many.

use std::fs;

use deadelus_mesh::streams;
use deadelus_proto::{
    Subject,
    pb::{self, Ending, event::Kind},
};
use deadelus_tests::fleet::Fleet;
use prost::Message;
use serde_json::Value;
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

#[tokio::test]
async fn a_gate_asks_who_the_plan_names_until_it_is_delegated() {
    let _others = quiet::among_others().await;
    let gated = "approval: none\ntasks:\n  only: { does: db.inspect, title: Look, \
                 gate: { reason: look first, asks: grace, timeout: 2h } }\n";
    let Rig { _fleet, ada, script, plan, _home } = Rig::new(gated).await;
    let id = ada.start("wf-gate", &plan).await;
    let (code, said) = script.run(&["watch", "wf-gate"]);
    assert!(code == 6 && said.contains("deadelus delegate wf-gate --gate only"), "{code} {said}");
    let (code, said) = script.run(&["approve", "wf-gate"]);
    assert!(code == 1 && said.contains("gate only asks grace"), "{code} {said}");
    let (code, said) = script.run(&["delegate", "wf-gate", "--to", "ada", "--reason", "on leave"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = script.run(&["approve", "wf-gate", "--reason", "looked"]);
    assert_eq!(code, 0, "{said}");
    ada.until_ended(&id, Ending::Done).await;
    let (code, said) = script.run(&["audit", "wf-gate"]);
    let told = said.contains("ada had ada asked at gate only: on leave")
        && said.contains("ada approved gate only: looked");
    assert!(code == 0 && told, "{code} {said}");
}

#[tokio::test]
async fn a_change_of_production_asks_a_person_though_the_plan_does_not() {
    let _others = quiet::among_others().await;
    let production = "[production]\ntargets = [\"shop\"]\n";
    let rig = Rig::with("approval: none\n", production).await;
    let (ada, script) = (&rig.ada, &rig.script);
    let id = ada.start("wf-live", &rig.plan).await;
    let (code, said) = script.run(&["watch", "wf-live"]);
    assert!(code == 6 && said.contains("it changes shop, which is production"), "{code} {said}");
    let story = ada.story(&id).await;
    assert_eq!(story.outcome("look"), "done", "who only looks asks nobody: {}", story.told());
    let asked = |e: &Kind| matches!(e, Kind::TaskRequested(asked) if asked.task_id == "index");
    assert_eq!(story.count(asked), 0, "{}", story.told());
    let (code, said) = script.run(&["approve", "wf-live", "--gate", "index", "--reason", "seen"]);
    assert_eq!(code, 0, "{said}");
    ada.until_ended(&id, Ending::Done).await;
}

#[tokio::test]
async fn a_fork_keeps_the_results_before_and_takes_back_only_its_own() {
    let _others = quiet::among_others().await;
    let Rig { _fleet, ada, script, plan, _home } = Rig::new("approval: none\n").await;
    let source = ada.start("wf-source", &plan).await;
    ada.until_ended(&source, Ending::Done).await;
    assert_eq!(ada.undo(&source).await, Vec::<String>::new());
    ada.until_ended(&source, Ending::Undone).await;

    let (code, said) = script.run(&["fork", "wf-source", "--from", "index", "-o", "json"]);
    let forked: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!((code, &forked["kept"]), (0, &serde_json::json!(["look"])), "{said}");
    let fork = forked["workflow"].as_str().unwrap().parse().unwrap();
    let story = ada.until_ended(&fork, Ending::Done).await;
    let asked = |e: &Kind| matches!(e, Kind::TaskRequested(asked) if asked.task_id == "look");
    assert_eq!(story.count(asked), 0, "{}", story.told());
    assert_eq!(story.outcome("index"), "done", "{}", story.told());
    let (code, said) = script.run(&["report", fork.as_str()]);
    assert!(code == 0 && said.contains("a fork of wf-source from index on"), "{said}");
    let (code, said) = script.run(&["fork", "wf-source", "--from", "nothing"]);
    assert!(code == 1 && said.contains("the plan has no task nothing"), "{code} {said}");
}

#[tokio::test]
async fn an_audit_finds_what_was_changed_and_needs_no_server() {
    let _others = quiet::among_others().await;
    let Rig { _fleet, ada, script, plan, _home } = Rig::new("approval: none\n").await;
    let id = ada.start("wf-audit", &plan).await;
    ada.until_ended(&id, Ending::Done).await;
    let file = _home.path().join("wf-audit.log");
    let path = file.to_str().unwrap();
    let (code, said) = script.run(&["audit", "wf-audit", "--export", path]);
    assert!(code == 0 && said.contains("wf-audit is intact"), "{code} {said}");

    let nobody = Script { url: "nats://127.0.0.1:1".to_owned(), home: script.home };
    let (code, said) = nobody.run(&["audit", "--file", path, "-o", "json"]);
    let audited: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!((code, &audited["intact"], &audited["unlinked"]), (0, &true.into(), &0.into()));

    let mut log = pb::ExportedLog::decode(&*fs::read(&file).unwrap()).unwrap();
    let mut second = pb::Decision::decode(log.decisions[1].decision.clone()).unwrap();
    second.decided_unix_ms += 1;
    log.decisions[1].decision = second.encode_to_vec().into();
    fs::write(&file, log.encode_to_vec()).unwrap();
    let (code, said) = nobody.run(&["audit", "--file", path]);
    let place = format!("message {} does not follow", log.decisions[2].sequence);
    assert!(code == 1 && said.contains(&place), "{code} {said}");
}

#[tokio::test]
async fn a_dead_letter_is_read_sent_again_and_dropped() {
    let _others = quiet::among_others().await;
    let Rig { _fleet, ada, script, plan: _, _home } = Rig::new("approval: none\n").await;
    let workflow = "wf-junk".parse().unwrap();
    let subject = Subject::In { from: "client".parse().unwrap(), workflow };
    ada.publish(ada.mesh.subjects.of(&subject), b"no message of ours".to_vec()).await;
    ada.until_stream(streams::DEAD, "has a letter", |letters| letters == 1).await;
    let (code, number) = script.run(&["dead", "list", "-o", "ids"]);
    assert_eq!((code, number.trim()), (0, "1"));
    let (code, said) = script.run(&["dead", "show", "1"]);
    assert!(code == 0 && said.contains("not an Inbound") && said.contains("18 bytes"), "{said}");

    // It is as dead as before, and comes back under another number.
    let (code, said) = script.run(&["dead", "retry", "1"]);
    assert_eq!(code, 0, "{said}");
    ada.until_inbox_is_empty().await;
    ada.until_stream(streams::DEAD, "has it again", |letters| letters == 1).await;
    let (code, said) = script.run(&["dead", "show", "1"]);
    assert_eq!(code, 8, "{said}");
    let (_, numbers) = script.run(&["dead", "list", "-o", "ids"]);
    let (code, said) = script.run_with(&["dead", "drop", "-"], &numbers);
    assert_eq!(code, 0, "{said}");
    let (code, said) = script.run(&["dead", "list"]);
    assert_eq!((code, said.trim()), (0, "no dead letters"));
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
        Self::with(head, "").await
    }

    /// The same; `more` stands in the specialist's file.
    async fn with(head: &str, more: &str) -> Self {
        let home = TempDir::with_prefix("shop-").unwrap();
        let database = Database::make("", Engine::Sqlite, &home).unwrap();
        database.seed(100);
        let fleet = Fleet::of(&[("db", &format!("{}{more}", database.target("shop")))]);
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
