//! The specialist against real services: an HTTP server with known delays, and the shop.

mod generator;
mod measure;
mod open;
mod postgres;
mod server;
mod sqlite;

use std::sync::Arc;

use deadelus_runtime::{Check, Context, Failure, Measured};
use serde_json::{Value, json};

use crate::{
    Measurement, PerformanceTarget,
    measure::{Measure, MeasureInputs, checks::OF_THE_MACHINE},
    target::Site,
    targets::Sites,
};

/// A target with one endpoint that is read, unless `more` says otherwise.
fn site(base_url: &str, path: &str, more: &Value) -> Site {
    let mut target = json!({
        "base_url": base_url,
        "rate_per_s": 50.0,
        "duration_s": 1.0,
        "warmup_s": 0.0,
        "scenario": [{"name": "it", "method": "GET", "path": path, "role": "read"}],
    });
    for (key, value) in more.as_object().unwrap() {
        target[key] = value.clone();
    }
    serde_json::from_value::<PerformanceTarget>(target).unwrap().check().unwrap()
}

async fn measure(site: Site, inputs: MeasureInputs) -> Result<Measured<Measurement>, Failure> {
    let capability = Measure(Arc::new(Sites([("shop".parse().unwrap(), site)].into())));
    capability.measure(&Context::detached("shop"), inputs).await
}

/// What must hold on the busiest machine.
fn believed(measured: &Measured<Measurement>) {
    let failed: Vec<&Check> = measured
        .checks
        .iter()
        .filter(|check| !check.pass && !OF_THE_MACHINE.contains(&check.id.as_str()))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
