//! The good run: everything that the mesh does is allowed, to exactly who does it.

use std::time::Instant;

use deadelus_mesh::objects;
use deadelus_proto::{Artefact, Role, pb::Ending, role::SPECIALISTS};

use super::rig::{Rig, make};
use crate::{
    person::{PATIENCE, POLL, Person},
    plans::ONE_INDEX,
    quiet,
};

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
