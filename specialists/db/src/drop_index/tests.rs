use serde_json::{Value, json};

use super::*;
use crate::{
    CreateIndex,
    testing::{Lab, change, shops},
};

async fn drop_index(lab: &Lab, inputs: Value) -> Result<(Outputs, Option<Undo>), Failure> {
    let (measured, undo) = change(&DropIndex::new(lab.targets.clone()), &lab.cx, inputs).await?;
    assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
    Ok((measured.outputs, undo))
}

/// Whatever an index looks like, it comes back as it was.
#[tokio::test]
async fn there_and_back() {
    let plain = [
        "CREATE INDEX i ON order_line (order_id)",
        "CREATE UNIQUE INDEX i ON order_line (id DESC)",
        "CREATE INDEX i ON order_line (quantity) WHERE flag = 1",
        "CREATE INDEX i ON orders (lower(customer), id)",
    ];
    let postgres = [
        "CREATE INDEX i ON orders (customer text_pattern_ops) INCLUDE (id)",
        "CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE INDEX i ON s.t USING hash (a)",
    ];
    for lab in shops().await {
        let of_postgres = if lab.is_postgres() { &postgres[..] } else { &[] };
        for definition in plain.iter().chain(of_postgres) {
            lab.run(definition).await;
            let name = if definition.contains("s.t") { "s.i" } else { "i" };
            let (before, dump) = (lab.fingerprint().await, lab.dump());
            let (dropped, undo) = drop_index(&lab, json!({ "index": name })).await.unwrap();
            assert!(dropped.dropped, "{definition}");
            assert_ne!(dropped.fingerprint, before);
            let undo = undo.unwrap();
            assert_eq!(undo.capability.to_string(), "db.create_index");
            let create = CreateIndex::new(lab.targets.clone());
            change(&create, &lab.cx, undo.inputs).await.unwrap();
            assert_eq!(lab.fingerprint().await, before, "{definition}");
            assert_eq!(lab.dump(), dump, "{definition}");
            drop_index(&lab, json!({ "index": name })).await.unwrap();
        }
    }
}

#[tokio::test]
async fn refuses_what_it_must_not_touch() {
    for lab in shops().await {
        lab.run("CREATE TABLE t (a INTEGER, UNIQUE (a)); CREATE INDEX i ON t (a)").await;
        let before = lab.fingerprint().await;
        let schema = lab.see().await.schema;
        let carries = schema.table("t").unwrap().indexes.iter().find(|i| i.constraint.is_some());
        for (inputs, class) in [
            (json!({ "index": carries.unwrap().name }), ErrorClass::Denied),
            (json!({ "index": "nothing" }), ErrorClass::InvalidInput),
            (json!({ "index": "i", "expect_fingerprint": "0" }), ErrorClass::PreconditionFailed),
            (
                json!({ "index": "nothing", "expect_fingerprint": "0" }),
                ErrorClass::PreconditionFailed,
            ),
        ] {
            let failure = drop_index(&lab, inputs.clone()).await.unwrap_err();
            assert_eq!(failure.class, class, "{inputs}: {failure}");
        }
        assert_eq!(lab.fingerprint().await, before);
    }
}

#[tokio::test]
async fn a_successor_finds_out_how_far_it_came() {
    for lab in shops().await {
        lab.run("CREATE INDEX i ON order_line (order_id)").await;
        let capability = DropIndex::new(lab.targets.clone());
        let inputs: Inputs = serde_json::from_value(json!({ "index": "i" })).unwrap();
        let before = capability.prepare(&lab.cx, &inputs).await.unwrap().before;
        let found = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::NotBegun));
        capability.perform(&lab.cx, &inputs, &before).await.unwrap();
        let found = capability.reconcile(&lab.cx, &inputs, &before).await.unwrap();
        assert!(matches!(found, Found::Done(_)));
        let again = capability.perform(&lab.cx, &inputs, &before).await.unwrap();
        assert!(again.checks.iter().all(|check| check.pass));
    }
}

/// The schema changes between the look and the drop: said, and nothing hidden.
#[tokio::test]
async fn says_so_when_somebody_else_changed_the_schema_meanwhile() {
    for lab in shops().await {
        lab.run("CREATE INDEX i ON order_line (order_id)").await;
        let capability = DropIndex::new(lab.targets.clone());
        let inputs: Inputs = serde_json::from_value(json!({ "index": "i" })).unwrap();
        let before = capability.prepare(&lab.cx, &inputs).await.unwrap().before;
        lab.run("ALTER TABLE orders ADD COLUMN surprise TEXT").await;
        let failure = capability.perform(&lab.cx, &inputs, &before).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::CheckFailed);
        assert_eq!(failure.aftermath, deadelus_runtime::Aftermath::Partial);
    }
}
