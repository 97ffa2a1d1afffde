use serde_json::json;

use super::*;
use crate::testing::{LINES_OF_ORDER, Lab, shops};

async fn explain(lab: &Lab, statements: serde_json::Value) -> Result<Vec<Plan>, Failure> {
    let inputs = serde_json::from_value(json!({ "statements": statements })).unwrap();
    let measured = Explain::new(lab.targets.clone()).perform(&lab.cx, inputs).await?;
    assert!(measured.checks.iter().all(|check| check.pass));
    Ok(measured.outputs.plans)
}

#[tokio::test]
async fn shows_what_is_read_from_end_to_end() {
    for lab in shops().await {
        let by_key = "SELECT customer FROM orders WHERE id = $1";
        let plans = explain(&lab, json!([LINES_OF_ORDER, { "text": by_key, "ms_per_call": 1 }]));
        let plans = plans.await.unwrap();
        let scan = &plans[0].full_scans[0];
        assert_eq!((scan.table.as_str(), scan.rows_estimate), ("order_line", Some(20_000)));
        assert_eq!(scan.columns, ["order_id"]);
        assert_eq!(plans[0].cost.is_some(), lab.is_postgres());
        assert_eq!(plans[1].full_scans, []);
    }
}

#[tokio::test]
async fn finds_the_table_behind_an_alias_in_a_join() {
    for lab in shops().await {
        let join = "SELECT o.id, l.quantity FROM orders o LEFT JOIN order_line l \
                    ON l.order_id = o.id WHERE o.id = $1 ORDER BY l.id";
        let plans = explain(&lab, json!([join])).await.unwrap();
        let scan = &plans[0].full_scans[0];
        assert_eq!(
            (scan.table.as_str(), &scan.columns[..]),
            ("order_line", &["order_id".into()][..])
        );
    }
}

#[tokio::test]
async fn what_cannot_be_planned_is_listed_with_the_reason() {
    for lab in shops().await {
        let before = lab.fingerprint().await;
        let statements = json!([
            "SELECT nothing FROM nowhere",
            "BEGIN",
            "SELECT 1; DROP TABLE orders",
            "DROP TABLE status",
            LINES_OF_ORDER,
        ]);
        let plans = explain(&lab, statements).await.unwrap();
        let explainable: Vec<bool> = plans.iter().map(|plan| plan.explainable).collect();
        assert_eq!(explainable, [false, false, false, false, true], "{plans:?}");
        assert!(plans[..4].iter().all(|plan| plan.reason.is_some()));
        assert_eq!(lab.fingerprint().await, before);
    }
}

/// Explaining runs nothing, whatever the statement would do.
#[tokio::test]
async fn explaining_writes_nothing() {
    for lab in shops().await {
        let statements = json!([
            "DELETE FROM order_line WHERE order_id = $1",
            "INSERT INTO status (id, label) VALUES ($1, $2)",
            "UPDATE orders SET customer = $1 WHERE id = $2",
        ]);
        let plans = explain(&lab, statements).await.unwrap();
        assert!(plans.iter().all(|plan| plan.explainable), "{plans:?}");
        lab.run("ANALYZE").await;
        assert_eq!(lab.see().await.rows["order_line"], Some(20_000));
    }
}

#[tokio::test]
async fn too_much_is_refused_and_nothing_is_not() {
    let lab = Lab::sqlite();
    let too_many = json!(vec!["SELECT 1"; STATEMENTS_MAX + 1]);
    assert_eq!(explain(&lab, too_many).await.unwrap_err().class, ErrorClass::InvalidInput);
    assert_eq!(explain(&lab, json!([])).await.unwrap(), []);
}
