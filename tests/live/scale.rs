//! More replicas, fewer replicas: the work is shared, and who leaves finishes first.

use std::{collections::BTreeSet, fs};

use deadelus_proto::pb::{Ending, event::Kind};
use deadelus_tests::fleet::Fleet;
use tempfile::TempDir;

use crate::{
    person::Person,
    plans::ONE_INDEX,
    quiet,
    shop::{Database, Engine},
    story::Story,
};

#[tokio::test]
async fn two_replicas_share_the_work() {
    const WORKFLOWS: usize = 12;
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shops-").unwrap();
    let first = Database::make("", Engine::Sqlite, &home).unwrap();
    first.seed(500);
    let target = |n: usize| {
        let path = home.path().join(format!("shop{n}.db"));
        fs::copy(home.path().join("shop.db"), &path).unwrap();
        Database::Sqlite(path).target(&format!("shop{n}"))
    };
    // One task at a time each, so that neither can have them all.
    let targets: String =
        "[worker]\nconcurrency = 1\n".to_owned() + &(0..WORKFLOWS).map(target).collect::<String>();
    let mut fleet = Fleet::of(&[("db", &targets)]);
    fleet.join("db-2", "db", &targets);
    let ada = Person::at(&fleet).await;
    let mut open = vec![];
    for n in 0..WORKFLOWS {
        let plan = ONE_INDEX.replace("target: shop", &format!("target: shop{n}"));
        open.push(ada.start(&format!("wf-{n}"), &plan).await);
    }
    let mut workers = BTreeSet::new();
    for id in &open {
        workers.extend(instances(&ada.until_ended(id, Ending::Done).await));
    }
    assert_eq!(workers.len(), 2, "{workers:?}");
}

#[tokio::test]
async fn who_is_told_to_stop_finishes_what_is_in_hand() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(500);
    let targets = database.target("shop") + "lock_timeout_ms = 20000\n";
    let mut fleet = Fleet::of(&[("db", &targets)]);
    let ada = Person::at(&fleet).await;
    let somebody = database.lock();
    let id = ada.start("wf-drain", ONE_INDEX).await;
    ada.until(&id, "the way back is recorded", |story| undo_recorded(story, "index")).await;

    fleet.process("db").terminate();
    fleet.process("db").until_it_says("draining");
    drop(somebody);
    let status = fleet.process("db").ended_within(crate::person::PATIENCE);
    assert!(status.success(), "{status}");

    let told = ada.until(&id, "the index is there", |story| story.outcome("index") == "done").await;
    assert_eq!(instances(&told).len(), 1, "{}", told.told());
    fleet.restart("db");
    let story = ada.until_ended(&id, Ending::Done).await;
    let twice = story.count(|event| matches!(event, Kind::TaskDone(e) if e.deliveries > 1));
    assert_eq!(twice, 0, "{}", story.told());
}

fn instances(story: &Story) -> BTreeSet<String> {
    let done = story.events().filter_map(|event| match event {
        Kind::TaskDone(e) => Some(e.instance.clone()),
        _ => None,
    });
    done.collect()
}

fn undo_recorded(story: &Story, task: &str) -> bool {
    story.count(|event| matches!(event, Kind::UndoRecorded(e) if e.task_id == task)) > 0
}
