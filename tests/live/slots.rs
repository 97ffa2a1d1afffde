//! What is locked or limited, over workflows, replicas of the orchestrator, and their deaths.

use std::{collections::BTreeSet, time::Duration};

use deadelus_mesh::streams;
use deadelus_proto::pb::{self, Ending, event::Kind};
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use futures_util::StreamExt as _;
use prost::Message as _;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    person::{PATIENCE, Person},
    quiet,
    shop::{Database, Engine},
};

const SECOND: &str = "orchestrator-2";
/// The second task wants what one workflow at a time may have.
const LOCKED: &str = r"
deadelus: 1
title: One at a time
target: shop
approval: none
tasks:
  look: { does: db.inspect, title: Look }
  books: { does: db.inspect, title: The books, needs: [look], locks: [books] }
  see: { does: db.inspect, title: Look again, needs: [books] }
";
/// Workflows that want one lock.
const AT_ONCE: usize = 8;
/// Tasks of the specialist that may be in flight.
const MOST: usize = 2;
const POLL: Duration = Duration::from_millis(50);

#[tokio::test]
async fn one_lock_has_one_holder_and_a_limit_no_more_than_it_says_whoever_drives_them() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(500);
    let limits = format!("[limits]\nspecialists = {{ db = {MOST} }}\n");
    let target = database.target("shop");
    let mut fleet = Fleet::of(&[("db", &target), (ORCHESTRATOR, &limits)]);
    fleet.join(SECOND, ORCHESTRATOR, &limits);
    let ada = Person::at(&fleet).await;

    let mut open = vec![];
    for n in 0..AT_ONCE {
        open.push(ada.start(&format!("wf-{n}"), LOCKED).await);
        if n == AT_ONCE / 2 {
            fleet.kill(ORCHESTRATOR);
        }
    }
    for id in &open {
        ada.until_ended(id, Ending::Done).await;
    }
    let most = most_at_once(&ada).await;
    assert_eq!((most.books, most.tasks), (1, MOST), "{most:?}");
    until_nobody_has_a_slot(&ada).await;
}

#[derive(Debug, Default)]
struct Most {
    books: usize,
    tasks: usize,
}

/// How many were in flight at once, by the one order in which all decisions were stored.
async fn most_at_once(person: &Person) -> Most {
    let stream = streams::stream(&person.mesh, streams::LOG).await.unwrap();
    let last = stream.get_info().await.unwrap().state.last_sequence;
    let (mut in_flight, mut most) = (BTreeSet::new(), Most::default());
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let decision = pb::Decision::decode(message.payload).unwrap();
        for event in decision.events.into_iter().filter_map(|event| event.kind) {
            let of = |task: String| (decision.workflow_id.clone(), task);
            match event {
                Kind::TaskRequested(e) => _ = in_flight.insert(of(e.task_id)),
                Kind::TaskDone(e) => _ = in_flight.remove(&of(e.task_id)),
                Kind::TaskFailed(e) => _ = in_flight.remove(&of(e.task_id)),
                Kind::TaskTimedOut(e) => _ = in_flight.remove(&of(e.task_id)),
                _ => {}
            }
        }
        let books = in_flight.iter().filter(|(_, task)| task == "books").count();
        most.books = most.books.max(books);
        most.tasks = most.tasks.max(in_flight.len());
    }
    most
}

/// Who died with slots is put out by whoever looks.
async fn until_nobody_has_a_slot(person: &Person) {
    let bucket = streams::bucket(&person.mesh, streams::SLOTS).await.unwrap();
    let give_up = Instant::now() + PATIENCE;
    loop {
        let keys: Vec<_> = bucket.keys().await.unwrap().collect().await;
        if keys.is_empty() {
            return;
        }
        assert!(Instant::now() < give_up, "held for ever: {keys:?}");
        sleep(POLL).await;
    }
}
