use serde_json::{Value, json};

use super::*;
use crate::{
    Migrate,
    testing::{Lab, change, shops},
};

fn migration(version: i64, table: &str) -> Value {
    json!({
        "version": version, "name": table,
        "up": format!("CREATE TABLE {table} (a INTEGER)"), "down": format!("DROP TABLE {table}"),
    })
}

async fn revert(lab: &Lab, inputs: Value) -> Result<Measured<Outputs>, Failure> {
    Ok(change(&Revert::new(lab.targets.clone()), &lab.cx, inputs).await?.0)
}

#[tokio::test]
async fn refuses_what_it_must() {
    for lab in shops().await {
        let migrations = json!([migration(1, "one"), migration(2, "two")]);
        let migrate = Migrate::new(lab.targets.clone());
        change(&migrate, &lab.cx, json!({ "migrations": migrations })).await.unwrap();
        let before = lab.fingerprint().await;
        let mut changed = migration(2, "two");
        changed["up"] = json!("CREATE TABLE two (b INTEGER)");
        let mut broken = migration(2, "two");
        broken["down"] = json!("DROP TABLE three");
        for (inputs, class) in [
            (json!({ "migrations": [migration(1, "one")] }), ErrorClass::PreconditionFailed),
            (json!({ "migrations": [changed] }), ErrorClass::PreconditionFailed),
            (json!({ "migrations": [broken] }), ErrorClass::CheckFailed),
            (
                json!({ "migrations": [migration(2, "two")], "expect_fingerprint": "0" }),
                ErrorClass::CheckFailed,
            ),
            (
                json!({ "migrations": [migration(3, "three")], "expect_fingerprint": "0" }),
                ErrorClass::PreconditionFailed,
            ),
        ] {
            let failure = revert(&lab, inputs.clone()).await.unwrap_err();
            assert_eq!(failure.class, class, "{inputs}: {failure}");
            assert_eq!(lab.fingerprint().await, before, "{inputs}");
        }
    }
}

/// The way back of a way back: the same schema, and a word about the rows.
#[tokio::test]
async fn there_and_back() {
    for lab in shops().await {
        let inputs = json!({ "migrations": [migration(1, "one")] });
        let migrate = Migrate::new(lab.targets.clone());
        change(&migrate, &lab.cx, inputs.clone()).await.unwrap();
        let before = lab.fingerprint().await;
        let reverting = Revert::new(lab.targets.clone());
        let (_, undo) = change(&reverting, &lab.cx, inputs).await.unwrap();
        let undo = undo.unwrap();
        assert_eq!((undo.class, undo.residue.len()), (UndoClass::Semantic, 1));
        change(&migrate, &lab.cx, undo.inputs).await.unwrap();
        assert_eq!(lab.fingerprint().await, before);
    }
}

#[tokio::test]
async fn a_successor_finds_out_how_far_it_came() {
    for lab in shops().await {
        let inputs = json!({ "migrations": [migration(1, "one")] });
        let migrate = Migrate::new(lab.targets.clone());
        change(&migrate, &lab.cx, inputs.clone()).await.unwrap();
        let inputs: Inputs = serde_json::from_value(inputs).unwrap();
        let capability = Revert::new(lab.targets.clone());
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
