//! The shop on a private PostgreSQL: blocks, lock waits, and a service that counts nothing itself.
//! Skipped, loudly, where PostgreSQL is not installed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use deadelus_runtime::ErrorClass;
use deadelus_shop::{Config, Database};
use serde_json::{Value, json};

use super::{
    measure,
    open::{INDEX, LINES, MANY_LINES, diagnosed, expect, measured, open, plans, seed, shopping},
    site,
};
use crate::{Cause, Statement, measure::MeasureInputs};

/// `deploy/postgres` exits with this when PostgreSQL is not installed.
const NOT_INSTALLED: i32 = 3;

/// A private cluster with a seeded shop, stopped and removed at the end.
struct Cluster {
    home: PathBuf,
    url: String,
}

impl Cluster {
    async fn start(name: &str) -> Option<Self> {
        // Short, because a socket has to fit in it, and open to the user postgres.
        let home = std::env::temp_dir().join(format!("perf-{name}-{}", std::process::id()));
        let started = deploy_postgres("start", &home);
        if started.status.code() == Some(NOT_INSTALLED) {
            eprintln!("SKIPPED {name}: {}", String::from_utf8_lossy(&started.stderr));
            std::fs::remove_dir_all(&home).ok();
            return None;
        }
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let url = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        let cluster = Self { home, url };
        seed(&cluster.config().database, MANY_LINES).await;
        Some(cluster)
    }

    fn config(&self) -> Config {
        Config::new(self.url.parse::<Database>().unwrap())
    }

    async fn session(&self) -> tokio_postgres::Client {
        let server: tokio_postgres::Config = self.url.parse().unwrap();
        let (client, connection) = server.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn execute(&self, sql: &str) -> tokio_postgres::Client {
        let client = self.session().await;
        client.batch_execute(sql).await.unwrap();
        client
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

fn lines(statements: &[Statement]) -> &Statement {
    statements.iter().find(|s| s.text == LINES).unwrap_or_else(|| panic!("{statements:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_show_what_an_index_spares_and_what_it_costs() {
    let Some(cluster) = Cluster::start("blocks").await else { return };
    let url = open(cluster.config()).await;
    let target = shopping(&url, &json!({"database": cluster.url}));
    let before = measured(&url, &target).await.outputs;
    let scanned = lines(&before.statements).blocks_per_call.unwrap();
    expect(&diagnosed(before.clone(), plans()).await, Cause::MissingIndex);

    cluster.execute(INDEX).await;
    let after = measured(&url, &target).await.outputs;
    let found = lines(&after.statements).blocks_per_call.unwrap();
    assert!(scanned > 300.0 && found < 10.0, "{scanned} blocks before, {found} after");
    let write = |run: &crate::Run| run.write_counters.unwrap().blocks.unwrap();
    let (cheap, dear) = (write(&before.runs[0]), write(&after.runs[0]));
    assert!(cheap < dear && dear < cheap + 50.0, "{cheap} blocks before, {dear} after");
    let ours = |s: &&Statement| s.text.contains("pg_stat");
    assert_eq!(after.statements.iter().find(ours), None, "our own statements are not the shop's");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_counts_for_a_service_that_does_not() {
    let Some(cluster) = Cluster::start("alone").await else { return };
    let url = open(cluster.config()).await;
    let target = shopping(&url, &json!({"database": cluster.url, "counters_url": null}));
    let measured = measured(&url, &target).await.outputs;
    let scan = lines(&measured.statements);
    assert_eq!(scan.rows_per_call, 5.0);
    assert!(scan.blocks_per_call.unwrap() > 300.0, "{scan:?}");
    assert_eq!((measured.latency.pool_wait_ms, measured.pool_size), (None, None));
    let ours: Vec<_> = measured.statements.iter().filter(|s| s.text.contains("pg_stat")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    // Four in five requests read; each runs the statement once.
    let per_request: Vec<_> = measured.runs.iter().map(|run| &run.counters.statements).collect();
    assert!(per_request.iter().all(|n| (5.0..8.0).contains(&n.unwrap())), "{per_request:?}");
}

/// The shop does not know that its statement waits for a lock: it takes it for a slow statement.
/// The plan has the scan, too, and still the index must not be blamed.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_seen_in_the_database_where_the_service_sees_a_slow_statement() {
    let Some(cluster) = Cluster::start("lock").await else { return };
    let mut config = cluster.config();
    config.lock_timeout_ms = 300;
    let url = open(config).await;
    let target = shopping(&url, &json!({"database": cluster.url, "rate_per_s": 10.0}));
    let somebody = cluster.execute("BEGIN; LOCK TABLE order_line IN ACCESS EXCLUSIVE MODE").await;
    let measured = measured(&url, &target).await.outputs;
    drop(somebody);
    expect(&diagnosed(measured, plans()).await, Cause::LockWait);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_statistics_says_what_to_install() {
    let Some(cluster) = Cluster::start("bare").await else { return };
    cluster.execute("DROP EXTENSION pg_stat_statements").await;
    let url = open(cluster.config()).await;
    let refused = async |database: Value| {
        let target = shopping(&url, &json!({"database": database}));
        measure(site(&url, "/", &target), MeasureInputs::default()).await.unwrap_err()
    };
    let missing = refused(json!(cluster.url)).await;
    assert_eq!(missing.class, ErrorClass::Unavailable);
    assert!(missing.help.contains("CREATE EXTENSION"), "{missing}");
    let nobody = refused(json!("postgres://me@127.0.0.1:1/shop")).await;
    assert_eq!(nobody.class, ErrorClass::Unavailable);
}
