//! Where the database is not to blame, or the cure costs more than it gives: the second golden
//! workflow ends, says so, and leaves nothing behind.

use std::time::Duration;

use deadelus_proto::pb::{Ending, event::Kind};
use deadelus_tests::fleet::Fleet;
use tokio::task::AbortHandle;

use crate::{
    golden2::{SHORT_RUNS, approved},
    person::Person,
    quiet,
    shop::{Database, Engine, Shop, session},
    story::Story,
};

/// What each of these shops is asked to do, and nobody can make it do.
const IMPOSSIBLE: [(&str, &str); 1] = [("p95_ms", "0.01")];

#[tokio::test]
async fn a_slow_dependency_is_not_the_database() {
    let _alone = quiet::alone().await;
    let shop = Shop::open("dependency", Engine::Sqlite, 5_000, "tax_service_ms = 120").unwrap();
    let story = nothing_is_kept(&shop, SHORT_RUNS).await;
    assert_cause(&story, "slow_external");
    assert_nothing_tried(&story);
}

#[tokio::test]
async fn a_held_lock_is_not_a_missing_index() {
    let _alone = quiet::alone().await;
    let Some(shop) = Shop::open("lock", Engine::Postgres, 5_000, "lock_rows = true") else {
        return;
    };
    let _somebody = Holder::of_all_orders(&shop.database).await;
    let story = nothing_is_kept(&shop, SHORT_RUNS).await;
    assert_cause(&story, "lock_wait");
    assert_nothing_tried(&story);
}

/// The index would make the database faster and nobody would notice: kept by a loop that looks at
/// counters only.
#[tokio::test]
async fn a_floor_under_every_answer_is_not_the_database() {
    let _alone = quiet::alone().await;
    let shop = Shop::open("floor", Engine::Sqlite, 5_000, "floor_ms = 44").unwrap();
    let story = nothing_is_kept(&shop, SHORT_RUNS).await;
    assert_nothing_tried(&story);
}

#[tokio::test]
async fn a_table_too_small_to_matter_gets_no_index() {
    let _alone = quiet::alone().await;
    let shop = Shop::open("small", Engine::Sqlite, 100, "").unwrap();
    shop.release("v2");
    nothing_is_kept(&shop, SHORT_RUNS).await;
}

#[tokio::test]
async fn an_index_that_writing_cannot_afford_is_taken_back() {
    let _alone = quiet::alone().await;
    let settings = "order_lines_written_per_checkout = 4000";
    let shop = Shop::open("writes", Engine::Sqlite, 20_000, settings).unwrap();
    shop.release("v2");
    let runs = "rate_per_s = 10\nduration_s = 3\nwarmup_s = 0.3\nruns = 3";
    let story = nothing_is_kept(&shop, runs).await;
    assert_eq!(story.outcome("index1"), "done", "{}", story.told());
    assert_eq!(story.outcome("compare1"), "failed", "{}", story.told());
    assert!(story.taken_back("index1"), "{}", story.told());
}

#[tokio::test]
async fn a_second_identical_index_is_never_made() {
    let _alone = quiet::alone().await;
    let shop = Shop::open("identical", Engine::Sqlite, 20_000, "tax_service_ms = 120").unwrap();
    shop.database.execute("CREATE INDEX already_here ON order_line (order_id)").await;
    let before = shop.database.schema().await;
    let targets = shop.targets(SHORT_RUNS);
    let fleet = Fleet::of(&targets.specialists());
    let ada = Person::at(&fleet).await;
    let id = approved(&ada, "wf-nothing", &IMPOSSIBLE).await;
    let story = ada.until_ended(&id, Ending::Done).await;
    assert_nothing_tried(&story);
    assert_eq!(shop.database.schema().await, before, "{}", story.told());

    let id = ada.start("wf-again", crate::plans::ONE_INDEX).await;
    let story = ada.until_ended(&id, Ending::Undone).await;
    assert!(story.failure("index").message.contains("already_here"), "{}", story.told());
    assert_eq!(shop.database.schema().await, before, "{}", story.told());
}

/// The whole loop on this shop: ended, and everything as it was.
async fn nothing_is_kept(shop: &Shop, runs: &str) -> Story {
    let (schema, revision) = (shop.database.schema().await, shop.revision());
    let targets = shop.targets(runs);
    let fleet = Fleet::of(&targets.specialists());
    let ada = Person::at(&fleet).await;
    let id = approved(&ada, "wf-nothing", &IMPOSSIBLE).await;
    let story = ada.until_ended(&id, Ending::Done).await;
    assert_eq!(shop.database.schema().await, schema, "{}", story.told());
    assert_eq!(shop.revision(), revision, "{}", story.told());
    // It says that the budget is missed, and does not call that a success.
    assert_eq!(story.outcome("budget"), "failed", "{}", story.told());
    story
}

fn assert_cause(story: &Story, cause: &str) {
    let diagnosis = story.outputs("diagnose1");
    assert_eq!(diagnosis["cause"], cause, "{diagnosis:#}\n{}", story.told());
}

fn assert_nothing_tried(story: &Story) {
    let tried = story.count(|event| matches!(event, Kind::UndoRecorded(_)));
    assert_eq!(tried, 0, "{}", story.told());
}

/// Somebody whose transactions hold every order most of the time.
struct Holder(AbortHandle);

impl Holder {
    async fn of_all_orders(database: &Database) -> Self {
        /// Held, and then let go: whoever waits gets it in the end.
        const HELD: Duration = Duration::from_millis(150);
        const FREE: Duration = Duration::from_millis(50);
        let Database::Postgres(cluster) = database else { panic!("rows are locked on PostgreSQL") };
        let session = session(cluster).await;
        let holding = tokio::spawn(async move {
            loop {
                session
                    .batch_execute(
                        "BEGIN; SELECT count(*) FROM (SELECT 1 FROM orders FOR UPDATE) o",
                    )
                    .await
                    .unwrap();
                tokio::time::sleep(HELD).await;
                session.batch_execute("COMMIT").await.unwrap();
                tokio::time::sleep(FREE).await;
            }
        });
        Self(holding.abort_handle())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.abort();
    }
}
