//! The reference shop, open for the length of a test, and what a task would ask about it.

use std::sync::Arc;

use deadelus_runtime::{Context, Measured, ReadCapability};
use deadelus_shop::{Config, Database, Seed};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{believed, measure, site};
use crate::{
    Cause, Diagnosis, Measurement,
    diagnose::{Diagnose, DiagnoseInputs, FullScan, Plan},
    measure::MeasureInputs,
    targets::Sites,
};

/// The statement that wants an index, as the shop prepares it.
pub(super) const LINES: &str = "SELECT id, quantity, unit_price_cents, product_id FROM order_line WHERE order_id = $1 \
     ORDER BY id";
/// The index that it wants.
pub(super) const INDEX: &str = "CREATE INDEX order_line_order ON order_line (order_id)";
/// So many that a scan of them takes longer than all the rest of a request.
pub(super) const MANY_LINES: u64 = 200_000;
/// Enough for a shop whose scan is not what a test is about.
pub(super) const SOME_LINES: u64 = 20_000;

pub(super) async fn seed(database: &Database, order_lines: u64) {
    let seed = Seed { order_lines, seed: 1, replace: true };
    deadelus_shop::seed(database, seed).await.unwrap();
}

/// Opens a shop; it closes with the test's runtime.
pub(super) async fn open(config: Config) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shop = deadelus_shop::open(config).await.unwrap();
    tokio::spawn(async move { shop.serve(listener, std::future::pending()).await.unwrap() });
    url
}

/// What people do in a shop: four look at an order for each who places one.
pub(super) fn shopping(url: &str, more: &Value) -> Value {
    let orders = SOME_LINES / deadelus_shop::LINES_PER_ORDER;
    let basket = json!({"customer": "me", "lines": [
        {"product_id": 1, "quantity": 1}, {"product_id": 2, "quantity": 2},
        {"product_id": 3, "quantity": 1}, {"product_id": 4, "quantity": 5},
    ]});
    let mut target = json!({
        "rate_per_s": 30.0, "warmup_s": 0.2,
        "counters_url": format!("{url}/internal/counters"),
        "scenario": [
            {"name": "checkout", "method": "GET", "path": format!("/checkout/{{1..{orders}}}"),
             "weight": 4, "role": "read"},
            {"name": "place", "method": "POST", "path": "/checkout", "body": basket,
             "weight": 1, "role": "write"},
        ],
    });
    for (key, value) in more.as_object().unwrap() {
        target[key] = value.clone();
    }
    target
}

/// Three runs that can be believed.
pub(super) async fn measured(url: &str, target: &Value) -> Measured<Measurement> {
    let measured = measure(site(url, "/", target), MeasureInputs::default()).await.unwrap();
    believed(&measured);
    measured
}

/// What `db.explain` says while there is no index.
pub(super) fn plans() -> Vec<Plan> {
    let scan = FullScan {
        table: "order_line".to_owned(),
        columns: vec!["order_id".to_owned()],
        rows_estimate: Some(MANY_LINES as f64),
    };
    vec![Plan { statement: LINES.to_owned(), full_scans: vec![scan] }]
}

/// Nothing is fast enough here, so that the cause is always looked for.
pub(super) async fn diagnosed(measurement: Measurement, plans: Vec<Plan>) -> Diagnosis {
    let sites =
        Sites([("shop".parse().unwrap(), site("http://127.0.0.1:1", "/", &json!({})))].into());
    let budget = Some(crate::Budget { p95_ms: Some(0.0), ..crate::Budget::default() });
    let inputs = DiagnoseInputs { measurement, plans, budget };
    let diagnosis = Diagnose(Arc::new(sites)).perform(&Context::detached("shop"), inputs).await;
    let diagnosis = diagnosis.unwrap();
    let failed: Vec<_> = diagnosis.checks.iter().filter(|check| !check.pass).collect();
    assert!(failed.is_empty(), "{failed:?} {:#?}", diagnosis.outputs);
    diagnosis.outputs
}

/// The cause, and all of it for whoever reads why a test failed.
pub(super) fn expect(diagnosis: &Diagnosis, cause: Cause) {
    assert_eq!(diagnosis.cause, cause, "{:#?}", diagnosis.causes);
}
