//! `kill -9` of anybody at any moment: a workflow ends as it would have ended.
//!
//! The moments come from a seed, so that a failure can be had again:
//! `DEADELUS_TEST_SEED=7 tests/run -p deadelus-tests kill`.

use std::{collections::BTreeSet, env, fs};

use deadelus_mesh::streams;
use deadelus_proto::{
    WorkflowId,
    pb::{Direction, Ending, event::Kind},
};
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use fastrand::Rng;
use tempfile::TempDir;

use crate::{
    person::Person,
    plans::{LEFT_OF_COMINGS_AND_GOINGS, comings_and_goings},
    quiet,
    shop::{Database, Engine},
    story::Story,
};

/// One kill meets this many workflows, each at another place.
const AT_ONCE: usize = 8;

/// Kills per victim. Most of the time of a test is the 15 s after which a lost worker's tasks go to
/// another.
const ROUNDS: usize = 3;

/// Decisions of one workflow at least: accepted, six tasks done, a way back for each of four. A kill
/// comes after any of them.
const DECISIONS: usize = 11;

#[tokio::test]
async fn a_killed_orchestrator_changes_nothing() {
    survives("orchestrator", async |fleet| {
        fleet.kill(ORCHESTRATOR);
        fleet.restart(ORCHESTRATOR);
    })
    .await;
}

#[tokio::test]
async fn a_killed_specialist_changes_nothing() {
    survives("specialist", async |fleet| {
        fleet.kill("db");
        fleet.restart("db");
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_changes_nothing() {
    survives("server", async |fleet| fleet.nats.restart()).await;
}

#[tokio::test]
async fn everybody_killed_at_once_changes_nothing() {
    survives("everybody", async |fleet| {
        fleet.kill(ORCHESTRATOR);
        fleet.kill("db");
        fleet.nats.restart();
        fleet.restart("db");
        fleet.restart(ORCHESTRATOR);
    })
    .await;
}

async fn survives(victim: &str, kill: impl AsyncFn(&mut Fleet)) {
    let _others = quiet::among_others().await;
    let seed = seed();
    let mut rng = Rng::with_seed(seed);
    let shops = Shops::make(AT_ONCE * ROUNDS).await;
    let mut fleet = Fleet::of(&[("db", &shops.targets())]);
    let ada = Person::at(&fleet).await;
    for round in 0..ROUNDS {
        let mut open = vec![];
        for place in round * AT_ONCE..(round + 1) * AT_ONCE {
            let target = format!("shop{place}");
            open.push((
                place,
                ada.start(&format!("wf-{place}"), &comings_and_goings(&target)).await,
            ));
        }
        let first = round * AT_ONCE * DECISIONS;
        let moment = rng.usize(first + 1..first + AT_ONCE * DECISIONS);
        ada.until_stream(streams::LOG, "is so long", |decisions| decisions >= moment as u64).await;
        kill(&mut fleet).await;
        let what = format!("{victim} killed after decision {moment}, seed {seed}");
        for (place, id) in open {
            let story = ada.until_ended(&id, Ending::Done).await;
            assert_each_task_is_done_once(&story, &what);
            shops.assert_only_the_wanted_is_left(place, &what).await;
        }
    }
    let last: WorkflowId = format!("wf-{}", AT_ONCE * ROUNDS - 1).parse().unwrap();
    assert_eq!(ada.undo(&last).await, Vec::<String>::new());
    ada.until_ended(&last, Ending::Undone).await;
    shops.assert_nothing_is_left(AT_ONCE * ROUNDS - 1).await;
}

pub(crate) fn seed() -> u64 {
    env::var("DEADELUS_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1)
}

pub(crate) fn assert_each_task_is_done_once(story: &Story, what: &str) {
    for task in ["look", "by-order", "by-product", "away", "by-customer", "see"] {
        let done = story.count(|event| match event {
            Kind::TaskDone(e) => e.task_id == task && e.direction() == Direction::Do,
            _ => false,
        });
        assert_eq!(done, 1, "{what}: {task}\n{}", story.told());
    }
    let undone =
        story.count(|event| matches!(event, Kind::TaskDone(e) if e.direction() == Direction::Undo));
    assert_eq!(undone, 0, "{what}\n{}", story.told());
}

/// Copies of one small shop's database.
pub(crate) struct Shops {
    databases: Vec<Database>,
    before: BTreeSet<String>,
    _home: TempDir,
}

impl Shops {
    pub(crate) async fn make(count: usize) -> Self {
        let home = TempDir::with_prefix("shops-").unwrap();
        let first = Database::make("", Engine::Sqlite, &home).unwrap();
        first.seed(20_000);
        let before = first.schema().await;
        let copy = |n: usize| {
            let path = home.path().join(format!("shop{n}.db"));
            fs::copy(home.path().join("shop.db"), &path).unwrap();
            Database::Sqlite(path)
        };
        Self { databases: (0..count).map(copy).collect(), before, _home: home }
    }

    pub(crate) fn targets(&self) -> String {
        let all = self.databases.iter().enumerate();
        all.map(|(n, database)| database.target(&format!("shop{n}"))).collect()
    }

    pub(crate) async fn assert_nothing_is_left(&self, place: usize) {
        assert_eq!(self.databases[place].schema().await, self.before);
    }

    pub(crate) async fn assert_only_the_wanted_is_left(&self, place: usize, what: &str) {
        let now = self.databases[place].schema().await;
        let new: Vec<&String> = now.difference(&self.before).collect();
        let gone: Vec<&String> = self.before.difference(&now).collect();
        let wanted = LEFT_OF_COMINGS_AND_GOINGS;
        let as_wanted = new.len() == wanted.len()
            && new.iter().zip(wanted).all(|(entry, name)| entry.contains(name));
        assert!(as_wanted && gone.is_empty(), "{what}: new {new:?}, gone {gone:?}");
    }
}
