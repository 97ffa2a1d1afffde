use deadelus_runtime::Context;

use super::*;
use crate::testing::{Lab, shops};

async fn inspect(lab: &Lab) -> Outputs {
    let measured = Inspect::new(lab.targets.clone()).perform(&lab.cx, Inputs {}).await.unwrap();
    assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
    measured.outputs
}

#[tokio::test]
async fn shows_what_is_there() {
    for lab in shops().await {
        let seen = inspect(&lab).await;
        assert_eq!(seen.tables, 3);
        assert_eq!(seen.rows["order_line"], Some(20_000));
        assert_eq!(seen.version, None);
        let key = ForeignKey {
            table: "order_line".to_owned(),
            columns: vec!["order_id".to_owned()],
            references: "orders".to_owned(),
        };
        assert_eq!(seen.unindexed_foreign_keys, [key]);
        let schema = lab.see().await.schema;
        let column = schema.table("order_line").unwrap().column("order_id").unwrap();
        assert_eq!((column.kind.as_str(), column.nullable), ("integer", false));
    }
}

/// A table that was empty when it was last looked at, or that nobody ever looked at.
#[tokio::test]
async fn old_statistics_are_not_believed() {
    for lab in shops().await {
        lab.run("CREATE TABLE later (id INTEGER PRIMARY KEY)").await;
        lab.run("ANALYZE").await;
        lab.run("INSERT INTO later SELECT id FROM orders").await;
        assert_eq!(lab.see().await.rows["later"], Some(5_000));
    }
}

#[tokio::test]
async fn rows_and_history_do_not_count() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        lab.run("DELETE FROM order_line; ANALYZE").await;
        lab.run("CREATE TABLE deadelus_migrations (version BIGINT PRIMARY KEY)").await;
        lab.run("INSERT INTO deadelus_migrations VALUES (7)").await;
        assert_eq!(lab.fingerprint().await, before);
        assert_eq!(inspect(&lab).await.version, Some(7));
    }
}

/// Every change of the schema changes the fingerprint, and undoing it brings the old one back.
#[tokio::test]
async fn every_change_shows_and_can_be_taken_back() {
    let both = [
        ("CREATE INDEX i ON order_line (order_id)", "DROP INDEX i"),
        ("CREATE UNIQUE INDEX i ON order_line (id)", "DROP INDEX i"),
        ("ALTER TABLE orders ADD COLUMN note TEXT", "ALTER TABLE orders DROP COLUMN note"),
        (
            "ALTER TABLE orders RENAME COLUMN customer TO buyer",
            "ALTER TABLE orders RENAME COLUMN buyer TO customer",
        ),
        ("ALTER TABLE orders RENAME TO purchase", "ALTER TABLE purchase RENAME TO orders"),
        ("CREATE VIEW v AS SELECT id FROM orders", "DROP VIEW v"),
        ("CREATE TABLE t (a INTEGER CHECK (a > 0), UNIQUE (a))", "DROP TABLE t"),
    ];
    let postgres = [
        (
            "ALTER TABLE orders ALTER COLUMN customer SET DEFAULT 'x'",
            "ALTER TABLE orders ALTER COLUMN customer DROP DEFAULT",
        ),
        ("CREATE TYPE mood AS ENUM ('good', 'bad')", "DROP TYPE mood"),
        ("CREATE SEQUENCE s", "DROP SEQUENCE s"),
        ("CREATE SCHEMA billing; CREATE TABLE billing.t (a int)", "DROP SCHEMA billing CASCADE"),
        (
            "ALTER TABLE orders ADD CONSTRAINT c CHECK (id > 0) NOT VALID",
            "ALTER TABLE orders DROP CONSTRAINT c",
        ),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f"),
        ("COMMENT ON COLUMN orders.customer IS 'who'", "COMMENT ON COLUMN orders.customer IS NULL"),
        ("GRANT SELECT ON orders TO PUBLIC", "REVOKE SELECT ON orders FROM PUBLIC"),
        ("CREATE MATERIALIZED VIEW m AS SELECT id FROM orders", "DROP MATERIALIZED VIEW m"),
        (
            "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        ),
    ];
    for lab in shops().await {
        let of_postgres = if lab.is_postgres() { &postgres[..] } else { &[] };
        let (before, dump) = (lab.fingerprint().await, lab.dump());
        for (up, down) in both.iter().chain(of_postgres) {
            lab.run(up).await;
            assert_ne!(lab.fingerprint().await, before, "{up}");
            lab.run(down).await;
            assert_eq!(lab.fingerprint().await, before, "{down}");
            assert_eq!(lab.dump(), dump, "{down}: a second opinion");
        }
    }
}

#[tokio::test]
async fn a_column_that_moves_to_the_end_shows() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        lab.run("ALTER TABLE status ADD COLUMN x TEXT").await;
        lab.run("ALTER TABLE status DROP COLUMN label; ALTER TABLE status ADD COLUMN label TEXT")
            .await;
        let with_x = lab.fingerprint().await;
        lab.run("ALTER TABLE status DROP COLUMN x").await;
        assert_ne!(lab.fingerprint().await, before, "label is nullable now");
        lab.run("ALTER TABLE status ADD COLUMN x TEXT").await;
        assert_ne!(lab.fingerprint().await, with_x, "the same columns in another order");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_unavailable() {
    for url in ["sqlite:/nowhere/at/all.db", "postgresql:///x?host=/nowhere&user=u"] {
        let targets = serde_json::json!({ "shop": { "database": url } });
        let targets = Targets::new(serde_json::from_value(targets).unwrap());
        let failure =
            Inspect::new(targets).perform(&Context::detached("shop"), Inputs {}).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Unavailable, "{failure}");
    }
    let failure = Inspect::new(Targets::default())
        .perform(&Context::detached("shop"), Inputs {})
        .await
        .unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidInput);
}
