//! The shop on SQLite: each of its slow paths must be called by its name, and only the missing
//! index may be called one.

use std::path::{Path, PathBuf};

use deadelus_shop::{Config, Database};
use serde_json::json;

use super::open::{
    INDEX, LINES, MANY_LINES, SOME_LINES, diagnosed, expect, measured, open, plans, seed, shopping,
};
use crate::{
    Cause, Diagnosis, Measurement,
    compare::{Compare, CompareInputs, CounterChoice},
};
use deadelus_runtime::{Check, Context, ReadCapability};

/// A shop's file, with the index that it needs or without.
async fn shop(order_lines: u64, indexed: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    seed(&Database::Sqlite(file.clone()), order_lines).await;
    if indexed {
        execute(&file, INDEX);
    }
    (folder, file)
}

fn execute(file: &Path, sql: &str) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

async fn compared(before: &Measurement, after: &Measurement) -> Vec<Check> {
    let inputs = json!({"before": before.runs, "after": after.runs});
    let inputs: CompareInputs = serde_json::from_value(inputs).unwrap();
    Compare.perform(&Context::detached("shop"), inputs).await.unwrap().checks
}

fn passes(checks: &[Check], id: &str) -> bool {
    let check = checks.iter().find(|check| check.id == id).unwrap();
    println!("{check:?}");
    check.pass
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_is_found_and_its_work_is_gone_when_it_is_there() {
    let (_folder, file) = shop(MANY_LINES, false).await;
    let url = open(Config::new(Database::Sqlite(file.clone()))).await;
    let target = shopping(&url, &json!({}));
    let before = measured(&url, &target).await.outputs;
    let diagnosis = diagnosed(before.clone(), plans()).await;
    expect(&diagnosis, Cause::MissingIndex);
    assert_eq!(diagnosis.statement.unwrap().text, LINES);

    execute(&file, INDEX);
    let after = measured(&url, &target).await.outputs;
    let checks = compared(&before, &after).await;
    assert!(passes(&checks, "counter_fell") && passes(&checks, "writes_hold"));
    assert!(passes(&checks, "errors_hold"));
    let counters = after.runs[0].counters;
    assert!(counters.scan_steps.unwrap() < 100.0, "{counters:?}");
    // What is left in the database is the N+1: one statement for each of five lines.
    let left = diagnosed(after, vec![]).await;
    let loops = left.causes.iter().find(|finding| finding.cause == Cause::NPlusOne).unwrap();
    assert!(loops.statement.as_ref().unwrap().text.contains("FROM product"), "{loops:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_makes_writes_dear_is_seen_by_the_counter() {
    let (_folder, file) = shop(MANY_LINES, false).await;
    let mut config = Config::new(Database::Sqlite(file.clone()));
    config.order_lines_written_per_checkout = 400;
    let url = open(config).await;
    let target = shopping(&url, &json!({"rate_per_s": 20.0}));
    let before = measured(&url, &target).await.outputs;
    execute(&file, INDEX);
    let after = measured(&url, &target).await.outputs;
    let checks = compared(&before, &after).await;
    assert!(passes(&checks, "counter_fell"), "reads have become cheaper");
    assert!(!passes(&checks, "writes_hold"), "and writes dearer");
    assert!(!passes(&checks, "verdict"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_join_instead_of_a_loop_is_seen_by_the_statements() {
    let (folder, file) = shop(SOME_LINES, true).await;
    let release = folder.path().join("release.json");
    std::fs::write(&release, r#"{"revision":"v1"}"#).unwrap();
    let mut config = Config::new(Database::Sqlite(file));
    config.revision_file = Some(release.clone());
    let url = open(config).await;
    let target = shopping(&url, &json!({}));
    let before = measured(&url, &target).await.outputs;
    std::fs::write(&release, r#"{"revision":"v2"}"#).unwrap();
    let after = measured(&url, &target).await.outputs;
    assert_eq!((before.revision.as_deref(), after.revision.as_deref()), (Some("v1"), Some("v2")));
    let inputs = json!({"before": before.runs, "after": after.runs});
    let inputs: CompareInputs = serde_json::from_value(inputs).unwrap();
    let compared = Compare.perform(&Context::detached("shop"), inputs).await.unwrap();
    let change = compared.outputs.read.counter.unwrap();
    assert_eq!(change.counter, CounterChoice::Statements);
    // An order, its lines, and five products; then one join. Writes are not counted in.
    assert!((change.before, change.after) == (7.0, 1.0), "{change:?}");
    assert!(passes(&compared.checks, "counter_fell"));
}

/// The index is there; what is slow now is something else, and must not be called an index.
async fn with_index(change: impl FnOnce(&mut Config), target: serde_json::Value) -> Diagnosis {
    let (_folder, file) = shop(SOME_LINES, true).await;
    let mut config = Config::new(Database::Sqlite(file));
    change(&mut config);
    let url = open(config).await;
    let measured = measured(&url, &shopping(&url, &target)).await;
    diagnosed(measured.outputs, vec![]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_dependency_is_external() {
    let diagnosis = with_index(|shop| shop.tax_service_ms = 120, json!({"rate_per_s": 20.0})).await;
    expect(&diagnosis, Cause::SlowExternal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_floor_is_not_the_database() {
    let diagnosis = with_index(|shop| shop.floor_ms = 120, json!({"rate_per_s": 20.0})).await;
    expect(&diagnosis, Cause::NotDb);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_one_that_is_held_meanwhile_is_exhausted() {
    let change = |shop: &mut Config| {
        shop.pool_size = 1;
        shop.tax_service_ms = 60;
        shop.tax_service_holds_connection = true;
    };
    // Sixteen a second is what one connection can do.
    let diagnosis = with_index(change, json!({"rate_per_s": 30.0, "duration_s": 2.0})).await;
    expect(&diagnosis, Cause::PoolExhausted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_somebody_else_holds_is_a_lock() {
    let (_folder, file) = shop(SOME_LINES, true).await;
    let mut config = Config::new(Database::Sqlite(file.clone()));
    config.lock_rows = true;
    config.lock_timeout_ms = 300;
    let url = open(config).await;
    let somebody = execute(&file, "BEGIN IMMEDIATE");
    let measured = measured(&url, &shopping(&url, &json!({}))).await;
    drop(somebody);
    let errors: u64 = measured.outputs.runs[0].endpoints.iter().map(|e| e.errors).sum();
    assert!(errors > 0, "nobody got the lock");
    let diagnosis = diagnosed(measured.outputs, vec![]).await;
    expect(&diagnosis, Cause::LockWait);
}
