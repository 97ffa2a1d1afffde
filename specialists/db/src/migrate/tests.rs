use serde_json::{Value, json};

use super::*;
use crate::{
    Revert,
    testing::{Lab, change, shops},
};

fn subscriptions() -> Value {
    json!([
        {
            "version": 1, "name": "subscription",
            "up": "CREATE TABLE subscription (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL \
                   REFERENCES orders (id), plan TEXT NOT NULL);\n\
                   CREATE INDEX subscription_order ON subscription (order_id)",
            "down": "DROP TABLE subscription",
        },
        {
            "version": 2, "name": "note",
            "up": "ALTER TABLE orders ADD COLUMN note TEXT",
            "down": "ALTER TABLE orders DROP COLUMN note",
        },
    ])
}

async fn migrate(lab: &Lab, inputs: Value) -> Result<(Outputs, Option<Undo>), Failure> {
    let (measured, undo) = change(&Migrate::new(lab.targets.clone()), &lab.cx, inputs).await?;
    assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
    Ok((measured.outputs, undo))
}

async fn revert(lab: &Lab, undo: &Undo) -> Measured<crate::revert::Outputs> {
    assert_eq!(undo.capability.to_string(), "db.revert");
    let revert = Revert::new(lab.targets.clone());
    change(&revert, &lab.cx, undo.inputs.clone()).await.unwrap().0
}

#[tokio::test]
async fn there_and_back() {
    for lab in shops().await {
        let (before, dump) = (lab.fingerprint().await, lab.dump());
        let inputs = json!({ "migrations": subscriptions(), "expect_fingerprint": before });
        let (done, undo) = migrate(&lab, inputs.clone()).await.unwrap();
        assert_eq!((&done.applied[..], done.version), (&[1, 2][..], Some(2)));
        assert_eq!(done.fingerprint, lab.fingerprint().await);
        let undo = undo.unwrap();
        assert_eq!((undo.class, &undo.residue[..]), (UndoClass::Exact, &[][..]));
        let back = revert(&lab, &undo).await;
        assert_eq!(back.outputs.reverted, [2, 1]);
        assert_eq!(lab.fingerprint().await, before);
        let without_history = |dump: String| {
            let lines = dump.lines().filter(|l| !l.is_empty() && !l.starts_with("--"));
            let text = lines.collect::<Vec<_>>().join("\n");
            let statements = text.split_inclusive(';');
            statements.filter(|s| !s.contains("deadelus_migrations")).collect::<String>()
        };
        assert_eq!(lab.dump().map(without_history), dump.map(without_history));
        // Once more, with nothing to take back.
        assert!(revert(&lab, &undo).await.outputs.reverted.is_empty());
        assert_eq!(lab.fingerprint().await, before);
    }
}

#[tokio::test]
async fn again_is_nothing_and_changed_is_refused() {
    for lab in shops().await {
        let inputs = json!({ "migrations": subscriptions() });
        migrate(&lab, inputs.clone()).await.unwrap();
        let before = lab.fingerprint().await;
        let (again, undo) = migrate(&lab, inputs).await.unwrap();
        assert!(again.applied.is_empty());
        // The way back of nothing is nothing.
        assert!(revert(&lab, &undo.unwrap()).await.outputs.reverted.is_empty());
        let mut changed = subscriptions();
        changed[0]["up"] = json!("CREATE TABLE subscription (id INTEGER)");
        let failure = migrate(&lab, json!({ "migrations": changed })).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::PreconditionFailed, "{failure}");
        assert_eq!(lab.fingerprint().await, before);
    }
}

#[tokio::test]
async fn what_fails_half_way_leaves_nothing() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        let mut migrations = subscriptions();
        migrations[1]["up"] = json!(
            "ALTER TABLE orders ADD COLUMN note TEXT;\nALTER TABLE nowhere ADD COLUMN x TEXT"
        );
        let failure = migrate(&lab, json!({ "migrations": migrations })).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::CheckFailed);
        assert!(failure.message.contains("2_note.up.sql:2"), "{failure}");
        assert_eq!(lab.fingerprint().await, before);
        assert_eq!(lab.see().await.version, None);
    }
}

#[tokio::test]
async fn refuses_what_it_must() {
    let one = |up: &str, down: &str| json!([{ "version": 1, "name": "m", "up": up, "down": down }]);
    let no_way_back = json!([{ "version": 1, "name": "m", "up": "CREATE TABLE t (a INTEGER)", "irreversible": "no" }]);
    for lab in shops().await {
        let before = lab.fingerprint().await;
        for (inputs, class) in [
            (json!({ "migrations": [] }), ErrorClass::InvalidInput),
            (json!({ "migrations": one("", "SELECT 1") }), ErrorClass::InvalidInput),
            (json!({ "migrations": one("\\c x", "SELECT 1") }), ErrorClass::InvalidInput),
            (json!({ "migrations": one("DROP TABLE status", "SELECT 1") }), ErrorClass::Denied),
            (json!({ "migrations": no_way_back }), ErrorClass::Denied),
            (
                json!({ "migrations": one("CREATE INDEX CONCURRENTLY i ON orders (id)", "SELECT 1") }),
                ErrorClass::Unsupported,
            ),
            (
                json!({ "migrations": subscriptions(), "expect_fingerprint": "0" }),
                ErrorClass::PreconditionFailed,
            ),
            (
                json!({ "migrations": subscriptions(), "expect_fingerprint_after": "0" }),
                ErrorClass::CheckFailed,
            ),
        ] {
            let failure = migrate(&lab, inputs.clone()).await.unwrap_err();
            assert_eq!(failure.class, class, "{inputs}: {failure}");
            assert_eq!(lab.fingerprint().await, before, "{inputs}");
        }
    }
}

#[tokio::test]
async fn rows_that_go_are_kept_first_and_ledgers_stay() {
    let migrations = json!([{
        "version": 1, "name": "billing",
        "up": "CREATE TABLE invoice (id INTEGER PRIMARY KEY, total INTEGER NOT NULL); \
               CREATE TABLE ledger (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL); \
               ALTER TABLE status ADD COLUMN color TEXT",
        "down": "ALTER TABLE status DROP COLUMN color; DROP TABLE ledger; DROP TABLE invoice",
    }]);
    for lab in shops().await {
        let before = lab.see().await.schema;
        let (_, undo) = migrate(&lab, json!({ "migrations": migrations })).await.unwrap();
        let undo = undo.unwrap();
        assert_eq!(undo.class, UndoClass::Semantic, "a ledger is kept: not exact");
        lab.run("INSERT INTO invoice VALUES (1, 10), (2, 20); INSERT INTO ledger VALUES (1, 30)")
            .await;
        lab.run("UPDATE status SET color = 'red' WHERE id = 1").await;
        let back = revert(&lab, &undo).await;
        assert_eq!(back.outputs.exported_rows["invoice"], 2);
        assert!(back.residue.iter().any(|line| line.contains("ledger")), "{:?}", back.residue);
        let invoice = back.artefacts.iter().find(|a| a.name == "rows-invoice.jsonl").unwrap();
        let rows = lab.cx.fetch(invoice).await.unwrap();
        let rows = String::from_utf8(rows.to_vec()).unwrap().replace(' ', "");
        assert_eq!(rows.lines().next(), Some("{\"id\":1,\"total\":10}"));
        let status = back.artefacts.iter().find(|a| a.name == "rows-status.jsonl").unwrap();
        assert!(!lab.cx.fetch(status).await.unwrap().is_empty());
        let after = lab.see().await.schema;
        assert!(after.table("invoice").is_none());
        assert_eq!(lab.count("SELECT count(*) FROM ledger").await, 1);
        assert_eq!(
            after.without_tables(&["ledger".to_owned()]).fingerprint(),
            before.fingerprint()
        );
    }
}

#[tokio::test]
async fn a_successor_finds_out_how_far_it_came() {
    for lab in shops().await {
        let capability = Migrate::new(lab.targets.clone());
        let inputs = json!({ "migrations": subscriptions() });
        let inputs: Inputs = serde_json::from_value(inputs).unwrap();
        let before = capability.prepare(&lab.cx, &inputs).await.unwrap().before;
        let found = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::NotBegun));
        let (one, other) = tokio::join!(
            capability.perform(&lab.cx, &inputs, &before),
            capability.perform(&lab.cx, &inputs, &before),
        );
        assert_eq!(one.unwrap().outputs, other.unwrap().outputs);
        let found = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::Done(_)));
    }
}

#[tokio::test]
async fn somebody_elses_lock_is_waited_for() {
    for lab in shops().await.into_iter().filter(Lab::is_postgres) {
        let somebody = lab.client().await;
        somebody.batch_execute("BEGIN; SELECT count(*) FROM orders").await.unwrap();
        let migrating = migrate(&lab, json!({ "migrations": subscriptions() }));
        let releasing = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                           AND datname = current_database()";
            lab.until(waiting).await;
            somebody.batch_execute("ROLLBACK").await.unwrap();
        };
        let (done, ()) = tokio::join!(migrating, releasing);
        assert_eq!(done.unwrap().0.applied, [1, 2]);
    }
}
