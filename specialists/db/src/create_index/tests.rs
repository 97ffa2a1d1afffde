use deadelus_runtime::ReadCapability as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    DropIndex, Inspect,
    testing::{LINES_OF_ORDER, Lab, change, shops},
};

fn on_order_id() -> Value {
    json!({ "table": "order_line", "columns": ["order_id"], "statements": [LINES_OF_ORDER] })
}

async fn create(lab: &Lab, inputs: Value) -> Result<(Outputs, Undo), Failure> {
    let (measured, undo) = change(&CreateIndex::new(lab.targets.clone()), &lab.cx, inputs).await?;
    assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
    Ok((measured.outputs, undo.unwrap()))
}

async fn undo(lab: &Lab, undo: &Undo) -> crate::drop_index::Outputs {
    assert_eq!(undo.capability.to_string(), "db.drop_index");
    let drop = DropIndex::new(lab.targets.clone());
    change(&drop, &lab.cx, undo.inputs.clone()).await.unwrap().0.outputs
}

#[tokio::test]
async fn there_and_back() {
    for lab in shops().await {
        let (before, dump) = (lab.fingerprint().await, lab.dump());
        let (made, way_back) = create(&lab, on_order_id()).await.unwrap();
        assert_eq!(made.index, "order_line_order_id_idx");
        assert_eq!(made.fingerprint_before, before);
        assert_eq!(made.fingerprint, lab.fingerprint().await);
        assert!(made.size_bytes > 20_000);
        assert_eq!(way_back.class, UndoClass::Exact);
        assert!(undo(&lab, &way_back).await.dropped);
        assert_eq!(lab.fingerprint().await, before);
        assert_eq!(lab.dump(), dump);
        // Once more: the way back is right whether or not there is something to take back.
        assert!(!undo(&lab, &way_back).await.dropped);
        assert_eq!(lab.fingerprint().await, before);
    }
}

#[tokio::test]
async fn what_does_not_serve_is_not_kept() {
    let no_use = json!({
        "table": "order_line", "columns": ["quantity"], "statements": [LINES_OF_ORDER],
    });
    let mut too_large = on_order_id();
    too_large["max_size_bytes"] = json!(100);
    let not_unique = json!({ "table": "order_line", "columns": ["flag"], "unique": true });
    for lab in shops().await {
        let before = lab.fingerprint().await;
        for (inputs, failed) in [
            (&no_use, "index_is_used"),
            (&too_large, "size_within_budget"),
            (&not_unique, "index_is_valid"),
        ] {
            let failure = create(&lab, inputs.clone()).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::CheckFailed, "{failure}");
            assert_eq!(failure.aftermath, deadelus_runtime::Aftermath::TakenBack);
            assert!(failure.checks.iter().any(|c| c.id == failed && !c.pass), "{failure:?}");
            assert_eq!(lab.fingerprint().await, before, "{failed}");
        }
    }
}

#[tokio::test]
async fn what_is_there_is_not_made_again() {
    for lab in shops().await {
        create(&lab, on_order_id()).await.unwrap();
        let before = lab.fingerprint().await;
        for inputs in [
            json!({ "table": "order_line", "columns": ["order_id"], "name": "second" }),
            json!({ "table": "order_line", "columns": ["quantity"], "name": "order_line_order_id_idx" }),
        ] {
            assert_eq!(create(&lab, inputs).await.unwrap_err().class, ErrorClass::Conflict);
        }
        assert_eq!(lab.fingerprint().await, before);
    }
}

#[tokio::test]
async fn bad_inputs_touch_nothing() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        for (inputs, class) in [
            (json!({ "table": "nowhere", "columns": ["a"] }), ErrorClass::InvalidInput),
            (json!({ "table": "orders", "columns": ["nothing"] }), ErrorClass::InvalidInput),
            (json!({ "table": "orders", "columns": [] }), ErrorClass::InvalidInput),
            (json!({ "table": "orders", "columns": ["id", "ID"] }), ErrorClass::InvalidInput),
            (
                json!({ "table": "orders", "definition": "DROP TABLE orders" }),
                ErrorClass::InvalidInput,
            ),
            (
                json!({ "table": "orders", "definition": "CREATE INDEX i ON orders (id); DROP TABLE orders" }),
                ErrorClass::InvalidInput,
            ),
            (
                json!({ "table": "orders", "columns": ["customer"], "expect_fingerprint": "0" }),
                ErrorClass::PreconditionFailed,
            ),
        ] {
            let failure = create(&lab, inputs.clone()).await.unwrap_err();
            assert_eq!(failure.class, class, "{inputs}: {failure}");
        }
        assert_eq!(lab.fingerprint().await, before);
    }
}

/// A worker dies before, during or after the build; another one takes over.
#[tokio::test]
async fn a_successor_finds_out_how_far_it_came() {
    for lab in shops().await {
        let capability = CreateIndex::new(lab.targets.clone());
        let inputs: Inputs = serde_json::from_value(on_order_id()).unwrap();
        let before = capability.prepare(&lab.cx, &inputs).await.unwrap().before;
        let found = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::NotBegun));
        let made = capability.perform(&lab.cx, &inputs, &before).await.unwrap().outputs;
        let Found::Done(found) = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap()
        else {
            panic!("it is all there");
        };
        assert_eq!(found.outputs, made);
        // Done again without asking: the same, once.
        let again = capability.perform(&lab.cx, &inputs, &before).await.unwrap().outputs;
        assert_eq!(again, made);
    }
}

/// A build that was cut off leaves an invalid index: it is found, taken away, and built anew.
#[tokio::test]
async fn a_build_that_was_cut_off_is_cleaned_up() {
    for lab in shops().await.into_iter().filter(Lab::is_postgres) {
        let capability = CreateIndex::new(lab.targets.clone());
        let mut inputs: Inputs = serde_json::from_value(on_order_id()).unwrap();
        inputs.expect_fingerprint = Some(lab.fingerprint().await);
        let prepared = capability.prepare(&lab.cx, &inputs).await.unwrap();
        let before = prepared.before;
        // Somebody's open transaction keeps the build waiting; the worker dies meanwhile.
        let somebody = lab.client().await;
        somebody.batch_execute("BEGIN; UPDATE order_line SET flag = 0 WHERE id = 1").await.unwrap();
        let build = capability.perform(&lab.cx, &inputs, &before);
        const BUILDS: &str = "FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' \
                              AND state = 'active' AND datname = current_database()";
        let waits = format!("SELECT count(*) {BUILDS} AND wait_event_type = 'Lock'");
        tokio::select! {
            _ = build => panic!("it cannot end while the table is in use"),
            () = lab.until(&waits) => {}
        }
        // The worker is gone; its build is told to stop.
        lab.until(&format!("SELECT (count(*) = 0)::int::bigint {BUILDS}")).await;
        somebody.batch_execute("ROLLBACK").await.unwrap();
        let found = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::Partly), "{found:?}");
        capability.perform(&lab.cx, &inputs, &before).await.unwrap();
        undo(&lab, &prepared.undo.unwrap()).await;
        assert_eq!(Some(lab.fingerprint().await), inputs.expect_fingerprint);
    }
}

/// The server hangs up in the middle: nobody can know how far the build came, and nobody claims to.
#[tokio::test]
async fn a_lost_connection_is_an_unknown_outcome() {
    for lab in shops().await.into_iter().filter(Lab::is_postgres) {
        let before = lab.fingerprint().await;
        let capability = CreateIndex::new(lab.targets.clone());
        let inputs: Inputs = serde_json::from_value(on_order_id()).unwrap();
        let prepared = capability.prepare(&lab.cx, &inputs).await.unwrap();
        let somebody = lab.client().await;
        somebody.batch_execute("BEGIN; UPDATE order_line SET flag = 0 WHERE id = 1").await.unwrap();
        let hangs_up = lab.until(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE query LIKE 'CREATE INDEX CONC%' AND wait_event_type = 'Lock' \
             AND datname = current_database()",
        );
        let build = capability.perform(&lab.cx, &inputs, &prepared.before);
        let (failure, ()) = tokio::join!(build, hangs_up);
        assert_eq!(failure.unwrap_err().class, ErrorClass::UnknownOutcome);
        somebody.batch_execute("ROLLBACK").await.unwrap();
        let found = capability.reconcile(&lab.cx, &inputs, &prepared.before).await.unwrap();
        assert!(matches!(found, Found::Partly), "{found:?}");
        undo(&lab, &prepared.undo.unwrap()).await;
        assert_eq!(lab.fingerprint().await, before);
    }
}

/// A worker whose future is dropped leaves no half of a transaction behind: all or nothing.
#[tokio::test]
async fn a_dropped_build_on_sqlite_is_all_or_nothing() {
    for lab in shops().await.into_iter().filter(|lab| !lab.is_postgres()) {
        let capability = CreateIndex::new(lab.targets.clone());
        let inputs: Inputs = serde_json::from_value(on_order_id()).unwrap();
        let before = capability.prepare(&lab.cx, &inputs).await.unwrap().before;
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            _ = capability.perform(&lab.cx, &inputs, &before) => {}
        }
        // Waits for whoever still writes.
        capability.perform(&lab.cx, &inputs, &before).await.unwrap();
        let found = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::Done(_)));
    }
}

/// An invalid index of somebody else's failed build is replaced.
#[tokio::test]
async fn an_invalid_leftover_is_replaced() {
    for lab in shops().await.into_iter().filter(Lab::is_postgres) {
        let client = lab.client().await;
        let fails = "CREATE UNIQUE INDEX CONCURRENTLY order_line_order_id_idx ON order_line (flag)";
        assert!(client.batch_execute(fails).await.is_err());
        let inspect = Inspect::new(lab.targets.clone());
        let nothing = serde_json::from_value(json!({})).unwrap();
        let outputs = inspect.perform(&lab.cx, nothing).await.unwrap().outputs;
        assert_eq!(outputs.invalid_indexes, ["order_line_order_id_idx"]);
        let (made, way_back) = create(&lab, on_order_id()).await.unwrap();
        assert_eq!(made.fingerprint, lab.fingerprint().await);
        undo(&lab, &way_back).await;
        assert_eq!(lab.fingerprint().await, made.fingerprint_before);
        assert_ne!(
            made.fingerprint_before, outputs.fingerprint,
            "the leftover is not brought back"
        );
    }
}

#[tokio::test]
async fn two_workers_on_one_task_make_one_index() {
    for lab in shops().await {
        let capability = CreateIndex::new(lab.targets.clone());
        let inputs: Inputs = serde_json::from_value(on_order_id()).unwrap();
        let before = capability.prepare(&lab.cx, &inputs).await.unwrap().before;
        let (one, other) = tokio::join!(
            capability.perform(&lab.cx, &inputs, &before),
            capability.perform(&lab.cx, &inputs, &before),
        );
        assert_eq!(one.unwrap().outputs, other.unwrap().outputs);
        assert_eq!(
            lab.see()
                .await
                .schema
                .table("order_line")
                .unwrap()
                .indexes
                .iter()
                .filter(|i| i.constraint.is_none())
                .count(),
            1
        );
    }
}

#[tokio::test]
async fn somebody_elses_lock_is_a_conflict_that_leaves_nothing() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        let held = Held::take(&lab).await;
        held.until_old(&lab).await;
        let failure = create(&lab, on_order_id()).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Conflict, "{failure}");
        assert_eq!(failure.aftermath, deadelus_runtime::Aftermath::TakenBack);
        drop(held);
        assert_eq!(lab.fingerprint().await, before);
    }
}

/// A transaction that turns out to be a long one only after the build began: what is left behind is
/// told, and the way back that was recorded before takes it away.
#[tokio::test]
async fn what_cannot_be_cleaned_up_is_told_and_undone_later() {
    for lab in shops().await.into_iter().filter(Lab::is_postgres) {
        let before = lab.fingerprint().await;
        let capability = CreateIndex::new(lab.targets.clone());
        let inputs: Inputs = serde_json::from_value(on_order_id()).unwrap();
        let prepared = capability.prepare(&lab.cx, &inputs).await.unwrap();
        let held = Held::take(&lab).await;
        let failure = capability.perform(&lab.cx, &inputs, &prepared.before).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Conflict, "{failure}");
        assert_eq!(failure.aftermath, deadelus_runtime::Aftermath::Partial);
        drop(held);
        undo(&lab, &prepared.undo.unwrap()).await;
        assert_eq!(lab.fingerprint().await, before);
    }
}

/// A lock on the table that a build must have.
enum Held {
    Sqlite { _writer: rusqlite::Connection },
    Postgres { _client: tokio_postgres::Client },
}

impl Held {
    async fn take(lab: &Lab) -> Self {
        if let Some(path) = lab.url.strip_prefix("sqlite:") {
            let writer = rusqlite::Connection::open(path).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            return Self::Sqlite { _writer: writer };
        }
        let client = lab.client().await;
        client.batch_execute("BEGIN; LOCK order_line IN ROW EXCLUSIVE MODE").await.unwrap();
        Self::Postgres { _client: client }
    }

    /// Returns once its transaction is older than the target's lock timeout.
    async fn until_old(&self, lab: &Lab) {
        let Self::Postgres { .. } = self else { return };
        let old = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                   AND datname = current_database() \
                   AND xact_start < clock_timestamp() - interval '250 milliseconds'";
        lab.until(old).await;
    }
}
