//! The shop on a private PostgreSQL: the same as on SQLite, and what only a server shows.
//! Skipped, loudly, where PostgreSQL is not installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use deadelus_shop::{Config, Database};

use crate::accounts;
use crate::checks;
use crate::common::{connect, open, seed, statement};
use crate::webhooks;

/// `deploy/postgres` exits with this when PostgreSQL is not installed.
const NOT_INSTALLED: i32 = 3;

/// A private cluster, stopped and removed at the end.
struct Cluster {
    home: PathBuf,
    server: tokio_postgres::Config,
}

impl Cluster {
    /// `None` where PostgreSQL is not installed.
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    fn start(name: &str) -> Option<Self> {
        // Short, because a socket has to fit in it, and open to the user postgres.
        let home = std::env::temp_dir().join(format!("shop-{name}-{}", std::process::id()));
        let started = deploy_postgres("start", &home);
        if started.status.code() == Some(NOT_INSTALLED) {
            eprintln!("SKIPPED {name}: {}", String::from_utf8_lossy(&started.stderr));
            std::fs::remove_dir_all(&home).ok();
            return None;
        }
        let url = String::from_utf8(started.stdout).unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Some(Self { home, server: url.trim().parse().unwrap() })
    }

    fn database(&self) -> Database {
        Database::Postgres(Box::new(self.server.clone()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        deploy_postgres("stop", &self.home);
        std::fs::remove_dir_all(&self.home).ok();
    }
}

fn deploy_postgres(verb: &str, home: &Path) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/postgres");
    Command::new(script).arg(verb).arg(home).output().unwrap()
}

#[tokio::test]
async fn postgres_gives_the_same_shop() {
    let Some(cluster) = Cluster::start("same") else { return };
    checks::both_revisions_give_the_same_answers(cluster.database()).await;
    checks::counters_are_exact_and_show_the_n_plus_one(cluster.database()).await;
    checks::a_release_is_followed_and_an_unknown_one_reported(cluster.database()).await;
    webhooks::an_event_counts_once_whenever_it_comes(cluster.database()).await;
    checks::waiting_for_a_lock_and_for_the_pool_is_counted(cluster.database()).await;
    checks::a_lock_that_is_never_given_is_a_503_and_harms_nothing(cluster.database()).await;
    checks::a_floor_and_a_slow_service_are_not_the_database(cluster.database()).await;
    checks::a_checkout_is_written_whole_or_not_at_all(cluster.database()).await;
    checks::seeding_never_overwrites_a_shop_by_itself(cluster.database()).await;
    // Last: it leaves requests in flight.
    checks::a_connection_kept_during_a_slow_call_starves_the_pool(cluster.database()).await;
}

#[tokio::test]
async fn accounts_are_the_same_on_postgres() {
    for check in ["accounts-1", "accounts-2"] {
        let Some(cluster) = Cluster::start(check) else { return };
        let database = cluster.database();
        match check {
            "accounts-1" => {
                accounts::whoever_knows_the_password_gets_a_token_that_is_believed(database).await;
            }
            _ => {
                accounts::policies_are_told_in_report_only_and_decide_when_enforced(database).await;
            }
        }
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_shop_on_either_database() {
    let Some(cluster) = Cluster::start("seed") else { return };
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Database::Sqlite(folder.path().join("shop.db"));
    let mut bodies = Vec::new();
    for database in [sqlite, cluster.database()] {
        seed(&database, 2_000).await;
        let shop = open(Config::new(database)).await;
        let mut shown = vec![shop.get("/products").await.body];
        for id in [1, 17, 399, 400] {
            shown.push(shop.get(&format!("/checkout/{id}")).await.body);
        }
        shop.close().await;
        bodies.push(shown);
    }
    assert_eq!(bodies[0], bodies[1]);
}

/// The counters and `pg_stat_statements` tell of the same texts and calls; the blocks are there.
#[tokio::test]
async fn the_missing_index_shows_in_pg_stat_statements_until_it_is_made() {
    const VISITS: i64 = 8;
    let Some(cluster) = Cluster::start("index") else { return };
    seed(&cluster.database(), 20_000).await;
    let shop = open(Config::new(cluster.database())).await;
    let somebody = connect(&cluster.server).await;
    let mut blocks_per_call = Vec::new();
    for index in ["", "CREATE INDEX CONCURRENTLY order_line_order ON order_line (order_id)"] {
        somebody.batch_execute(index).await.unwrap();
        somebody.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
        for id in 1..=VISITS {
            shop.get(&format!("/checkout/{id}")).await;
        }
        let counters = shop.counters().await;
        let lines = statement(&counters, "order_line");
        assert_eq!(lines["scan_steps"], serde_json::Value::Null, "only SQLite counts those");
        let text = lines["text"].as_str().unwrap();
        let row = somebody
            .query_one(
                "SELECT calls, shared_blks_hit + shared_blks_read FROM pg_stat_statements \
                 WHERE query = $1",
                &[&text],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, i64>(0), VISITS);
        blocks_per_call.push(row.get::<_, i64>(1) / VISITS);
    }
    assert!(blocks_per_call[1] * 10 < blocks_per_call[0], "{blocks_per_call:?}");
    shop.close().await;
}
