use serde_json::{Value, json};

use super::*;
use crate::testing::{Lab, shops};

async fn rehearse(lab: &Lab, inputs: Value) -> Result<(Outputs, Vec<String>), Failure> {
    let inputs = serde_json::from_value(inputs).unwrap();
    let measured = Rehearse::new(lab.targets.clone()).perform(&lab.cx, inputs).await?;
    let failed = measured.checks.into_iter().filter(|check| !check.pass).map(|check| check.id);
    Ok((measured.outputs, failed.collect()))
}

fn change(up: &str, down: &str) -> Value {
    json!({ "migration": { "up": up, "down": down } })
}

#[tokio::test]
async fn there_back_and_there_again_without_touching_anything() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        let databases = shadows(&lab).await;
        let inputs = change(
            "ALTER TABLE orders ADD COLUMN note TEXT",
            "ALTER TABLE orders DROP COLUMN note",
        );
        let (found, failed) = rehearse(&lab, inputs).await.unwrap();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(found.fingerprint_before, before);
        assert_ne!(found.fingerprint_after.as_ref(), Some(&before));
        assert_eq!(lab.fingerprint().await, before);
        assert_eq!(shadows(&lab).await, databases, "the shadow is gone");
        if lab.is_postgres() {
            let lock =
                crate::Lock { table: "orders".to_owned(), mode: "AccessExclusiveLock".to_owned() };
            assert_eq!(found.trace[0].locks, [lock]);
            assert_eq!(found.blocking.len(), 1);
        }
    }
}

async fn shadows(lab: &Lab) -> i64 {
    if !lab.is_postgres() {
        return 0;
    }
    let mine = "SELECT count(*) FROM pg_database d JOIN pg_stat_activity a ON a.datname = d.datname \
                WHERE d.datname LIKE 'deadelus_shadow_%' AND a.datname = current_database()";
    lab.count(mine).await
}

#[tokio::test]
async fn says_what_does_not_work() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        for (up, down, wrong) in [
            ("CREATE TABLE t (a INTEGER)", "DROP TABLE nothing", "down_brings_back"),
            ("CREATE TABLE t (a INTEGER)", "SELECT 1", "down_brings_back"),
            ("ALTER TABLE nowhere ADD COLUMN a INTEGER", "SELECT 1", "up_runs"),
        ] {
            let (_, failed) = rehearse(&lab, change(up, down)).await.unwrap();
            assert!(failed.iter().any(|id| id == wrong), "{up}: {failed:?}");
        }
        assert_eq!(lab.fingerprint().await, before);
        let neither = rehearse(&lab, json!({})).await.unwrap_err();
        assert_eq!(neither.class, ErrorClass::InvalidInput);
    }
}

#[tokio::test]
async fn an_index_can_be_rehearsed_as_it_will_be_built() {
    for lab in shops().await {
        let concurrently = if lab.is_postgres() { "CONCURRENTLY" } else { "" };
        let inputs = change(
            &format!("CREATE INDEX {concurrently} i ON order_line (order_id)"),
            &format!("DROP INDEX {concurrently} i"),
        );
        let (found, failed) = rehearse(&lab, inputs).await.unwrap();
        assert!(failed.is_empty(), "{failed:?}");
        assert!(found.blocking.is_empty(), "{found:?}");
    }
}

/// Each pair of eugene's examples: the bad half does what its name says, the good one does not.
#[tokio::test]
async fn sees_what_eugene_sees() {
    const REWRITES: &str = "E5";
    let Some(folder) = deadelus_tests::oracles::oracle("migrations/eugene") else { return };
    let read = |name: String| std::fs::read_to_string(folder.join(name)).unwrap();
    let Some(lab) = Lab::postgres().await else { return };
    let (found, _) = rehearse(&lab, scripts(&read(format!("{REWRITES}/bad.sql")))).await.unwrap();
    let last = found.trace.last().unwrap();
    assert_eq!(last.rewritten, ["prices"], "{found:?}");
    let good = read(format!("{REWRITES}/good.sql"));
    let (found, _) = rehearse(&lab, scripts(&good)).await.unwrap();
    assert!(found.trace.iter().all(|trace| trace.rewritten.is_empty()), "{found:?}");
    for (case, statement, mode) in [
        ("E2", "alter table authors alter column", "AccessExclusiveLock"),
        ("E6", "create index", "ShareLock"),
    ] {
        let bad = read(format!("{case}/bad.sql"));
        let (found, _) = rehearse(&lab, scripts(&bad)).await.unwrap();
        let trace =
            found.trace.iter().find(|trace| trace.statement.starts_with(statement)).unwrap();
        assert!(trace.locks.iter().any(|lock| lock.mode == mode), "{case}: {trace:?}");
    }
}

/// Splits at the `-- N.sql` markers. Settings of their own are left to us.
fn scripts(text: &str) -> Value {
    let mut migrations: Vec<Value> = vec![];
    for line in text.lines() {
        if line.starts_with("-- ") && line.ends_with(".sql") {
            let version = migrations.len() + 1;
            migrations.push(json!({
                "version": version, "name": "example", "up": "", "irreversible": "an example",
            }));
        } else if let Some(last) = migrations.last_mut() {
            let text = format!("{}{line}\n", last["up"].as_str().unwrap());
            last["up"] = json!(text);
        }
    }
    json!({ "migrations": migrations })
}
