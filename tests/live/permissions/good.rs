//! The good run: everything that the mesh does is allowed, to exactly who does it.

use std::time::Instant;

use async_nats::connection::State;
use deadelus_mesh::{config::NatsConfig, connect, objects, streams};
use deadelus_proto::{
    Artefact, Role,
    pb::{Ending, event::Kind},
    role::SPECIALISTS,
};
use deadelus_tests::fleet::ORCHESTRATOR;

use super::rig::{Rig, make};
use crate::{
    person::{PATIENCE, POLL, Person},
    plans::ONE_INDEX,
    quiet,
};

/// Archives what has ended at once, and forgets it soon.
const TIDY: &str = "[retention]\nkeep_log = \"0s\"\narchive_for = \"2s\"\n";

#[tokio::test]
async fn the_whole_fleet_works_with_its_own_credentials_and_nothing_is_refused() {
    let _others = quiet::among_others().await;
    let mut rig = Rig::with(&SPECIALISTS);
    let before = rig.database.schema().await;
    let ada = Person::with(&rig.config(&Role::Operator)).await;
    until_all_are_known(&ada).await;

    let id = ada.start("wf-good", ONE_INDEX).await;
    ada.until_ended(&id, Ending::Done).await;
    assert_ne!(rig.database.schema().await, before);
    // Whoever takes over needs nothing that the first did not.
    rig.fleet.kill("orchestrator");
    rig.fleet.restart("orchestrator");
    rig.fleet.terminate("db");
    rig.fleet.restart("db");
    assert_eq!(ada.undo(&id).await, Vec::<String>::new());
    let story = ada.until_ended(&id, Ending::Undone).await;
    assert!(story.taken_back("index"), "{}", story.told());
    assert_eq!(rig.database.schema().await, before);

    what_people_type(&rig);
    borrowing(&rig).await;
    assert_eq!(rig.refused(), Vec::<String>::new());
}

/// An orchestrator that was first knows the others' cards a moment after they have said them.
async fn until_all_are_known(ada: &Person) {
    let begun = Instant::now();
    while ada.cards().await.len() < SPECIALISTS.len() {
        assert!(begun.elapsed() < PATIENCE, "not all have said what they can do");
        tokio::time::sleep(POLL).await;
    }
}

/// Every command that looks, by either; every command that changes, by who may.
fn what_people_type(rig: &Rig) {
    let plan = rig.fleet.home().join("plan.yaml");
    std::fs::write(&plan, ONE_INDEX).unwrap();
    let file = plan.to_str().unwrap();
    let looks: [&[&str]; 12] = [
        &["list"],
        &["show", "wf-good"],
        &["show", "latest"],
        &["why", "wf-good"],
        &["trace", "wf-good"],
        &["report", "wf-good"],
        &["audit", "wf-good"],
        &["specialists"],
        &["blueprints"],
        &["lint", file],
        &["dead", "list"],
        &["doctor"],
    ];
    for role in [Role::Operator, Role::Viewer] {
        for words in looks {
            let (code, said) = rig.types(&role, words);
            assert!([0, 6].contains(&code), "{role} {words:?}: {code} {said}");
        }
        let (code, said) = rig.types(&role, &["watch", "wf-good"]);
        assert_eq!(code, 3, "{role}: undone: {said}");
    }
    let (code, said) = rig.types(&Role::Operator, &["run", "--file", file, "--yes"]);
    assert_eq!(code, 0, "{said}");
}

/// What one specialist stores another gets by its digest; what nobody stored nobody gets.
async fn borrowing(rig: &Rig) {
    let [db, api] = ["db", "api"].map(|name| name.parse::<Role>().unwrap());
    let (db, api) = (rig.thief(&db).await, rig.thief(&api).await);
    for size in [0, 1, 128 * 1024, 3_000_001] {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        for _ in 0..2 {
            let stored = objects::put(&db, "x", "text/plain", bytes.clone().into()).await.unwrap();
            assert_eq!(objects::get(&api, &stored).await.unwrap(), bytes, "{size} bytes");
        }
    }
    let nobodys = Artefact {
        sha256: objects::sha256(b"nobody has stored this"),
        media_type: String::new(),
        size_bytes: 1,
        name: String::new(),
    };
    let error = objects::get(&api, &nobodys).await.unwrap_err().to_string();
    assert!(error.contains("not in the object store"), "{error}");
}

/// Somebody archives and forgets while another drives; reports find nobody; letters, drafts.
#[tokio::test]
async fn what_happens_on_other_days_is_allowed_as_well() {
    let _others = quiet::among_others().await;
    let mut rig = Rig::with(&["db"]);
    let ada = Person::with(&rig.config(&Role::Operator)).await;
    rig.fleet.join("tidy", ORCHESTRATOR, TIDY);
    let somebody = rig.database.lock();
    let id = ada.start("wf-away", ONE_INDEX).await;
    let begun = |e: &Kind| matches!(e, Kind::UndoRecorded(undo) if undo.task_id == "index");
    ada.until(&id, "the index is under way", |story| story.count(begun) == 1).await;
    for name in [ORCHESTRATOR, "tidy"] {
        rig.fleet.kill(name);
    }
    drop(somebody);
    ada.until_stream(streams::INBOX, "holds the report", |messages| messages > 0).await;
    for name in [ORCHESTRATOR, "tidy"] {
        rig.fleet.restart(name);
    }
    until_forgotten(&rig).await;
    letters(&rig, &ada).await;
    drafts(&rig);
    let db = rig.thief(&"db".parse().unwrap()).await;
    let stored = objects::put(&db, "x", "text/plain", "evidence".into()).await;
    let digest = stored.unwrap().sha256.to_string();
    let (code, said) = rig.types(&Role::Viewer, &["artefact", &digest[..12]]);
    assert_eq!((code, said.as_str()), (0, "evidence"));
    assert_eq!(rig.refused(), Vec::<String>::new());
}

/// It has ended, its log has become an object, and then nothing.
async fn until_forgotten(rig: &Rig) {
    let begun = Instant::now();
    loop {
        let (code, said) = rig.types(&Role::Viewer, &["audit", "wf-away"]);
        if code == 8 {
            return;
        }
        assert!(code == 0 && begun.elapsed() < PATIENCE, "{code} {said}");
        tokio::time::sleep(POLL).await;
    }
}

async fn letters(rig: &Rig, ada: &Person) {
    ada.publish("deadelus.v1.task.db.inspect".to_owned(), vec![0xff; 9]).await;
    for words in [&["dead", "retry", "-"][..], &["dead", "drop", "-"]] {
        ada.until_stream(streams::DEAD, "has a letter", |messages| messages == 1).await;
        let (_, ids) = rig.types(&Role::Operator, &["dead", "list", "-o", "ids"]);
        let (code, said) = rig.types(&Role::Operator, &[&words[..2], &[ids.trim()]].concat());
        assert_eq!(code, 0, "{words:?} {ids}: {said}");
    }
}

fn drafts(rig: &Rig) {
    let plan = rig.fleet.home().join("gappy.yaml");
    std::fs::write(&plan, ONE_INDEX.replace("target: shop\n", "")).unwrap();
    let words = ["plan", "--file", plan.to_str().unwrap()];
    let (code, said) = rig.types(&Role::Operator, &words);
    assert_eq!(code, 10, "{said}");
    let draft = said.split("deadelus answer ").nth(1).unwrap().split(' ').next().unwrap();
    let (code, said) = rig.types(&Role::Operator, &["answer", draft, "target=shop"]);
    assert!(code == 0, "{said}");
}

#[tokio::test]
async fn a_key_that_was_replaced_lets_nobody_in_any_more() {
    let _others = quiet::among_others().await;
    let mut rig = Rig::with(&["db"]);
    let api: Role = "api".parse().unwrap();
    let stolen = rig.keys.path().join("stolen.nk");
    std::fs::copy(rig.keys.path().join("api.nk"), &stolen).unwrap();
    let thief = NatsConfig { nkey_file: Some(stolen), ..rig.config(&api) };
    let inside = connect(&thief, "thief").await.unwrap();

    make(rig.keys.path(), &["--rotate", "api"]);
    rig.fleet.nats.reload();
    let begun = Instant::now();
    while inside.client.connection_state() == State::Connected {
        assert!(begun.elapsed() < PATIENCE, "whoever was inside still is");
        tokio::time::sleep(POLL).await;
    }
    let error = connect(&thief, "thief").await.unwrap_err().to_string();
    assert!(error.contains("refuses these credentials"), "{error}");
    rig.thief(&api).await;
    let others = rig.fleet.process("db").said();
    assert!(!others.contains("connection lost"), "nobody else is disturbed: {others}");
}

#[test]
fn keys_are_made_once_and_replaced_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), &[]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (db, api) = (read("db.nk"), read("api.nk"));
    let said = make(folder.path(), &["--rotate", "api"]);
    assert!(said.contains("kept") && said.contains("in place of the old"), "{said}");
    assert_eq!(read("db.nk"), db);
    assert_ne!(read("api.nk"), api);
}
