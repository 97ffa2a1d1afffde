//! `performance.measure` as a task asks for it.

use deadelus_runtime::ErrorClass;
use serde_json::json;

use super::{believed, measure, server::Server, site};
use crate::{PerformanceTarget, TargetError, measure::MeasureInputs};

fn inputs(json: serde_json::Value) -> MeasureInputs {
    serde_json::from_value(json).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_equal_the_services_own_count() {
    let server = Server::open().await;
    let counting = json!({
        "counters_url": format!("{}/counters", server.url), "warmup_s": 0.2,
        "scenario": [
            {"name": "look", "method": "GET", "path": "/fixed", "weight": 3, "role": "read"},
            {"name": "put", "method": "POST", "path": "/body", "body": {"a": [1]}, "role": "write"},
        ],
    });
    let measured =
        measure(site(&server.url, "/", &counting), inputs(json!({"runs": 2}))).await.unwrap();
    believed(&measured);
    let ids: Vec<_> = measured.checks.iter().map(|check| check.id.as_str()).collect();
    assert!(ids.contains(&"requests_counted") && ids.contains(&"one_revision"), "{ids:?}");
    let runs = &measured.outputs.runs;
    let sent: u64 = runs.iter().flat_map(|run| &run.endpoints).map(|e| e.requests).sum();
    assert_eq!(sent, 100);
    assert_eq!(server.requests(), 100 + 2 * 10, "and the warm-up");
    assert_eq!(server.posted(), &json!({"a": [1]}));
    assert_eq!(measured.outputs.revision.as_deref(), Some("v7"));
    assert_eq!(measured.outputs.latency.db_ms, None);
    assert!(runs.iter().all(|run| run.counters.statements.is_none()));

    let names: Vec<_> = measured.artefacts.iter().map(|a| a.name.as_str()).collect();
    let wanted = ["run-1.json", "run-1-histogram.csv", "run-2.json", "run-2-histogram.csv"];
    assert_eq!(names, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_traffic_is_noticed() {
    let server = Server::open().await;
    let counting = json!({"counters_url": format!("{}/counters", server.url)});
    let ours = measure(site(&server.url, "/fixed", &counting), inputs(json!({"runs": 1})));
    let theirs = measure(site(&server.url, "/fixed", &json!({})), inputs(json!({"runs": 1})));
    let (ours, _) = tokio::join!(ours, theirs);
    let ours = ours.unwrap();
    let counted = ours.checks.iter().find(|check| check.id == "requests_counted").unwrap();
    assert!(!counted.pass, "{counted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_address_is_loaded() {
    let server = Server::open().await;
    let ask = async |json| measure(site(&server.url, "/fixed", &json!({})), inputs(json)).await;
    let other = ask(json!({"base_url": "http://127.0.0.1:2"})).await.unwrap_err();
    assert_eq!(other.class, ErrorClass::Denied);
    assert_eq!(server.requests(), 0);
    let own = ask(json!({"base_url": server.url, "runs": 1, "duration_s": 0.1})).await.unwrap();
    believed(&own);
}

#[tokio::test]
async fn what_cannot_be_measured_is_refused_before_anything_is_sent() {
    let server = Server::open().await;
    let ask = async |json| measure(site(&server.url, "/fixed", &json!({})), inputs(json)).await;
    for wrong in [
        json!({"rate_per_s": 0.0}),
        json!({"rate_per_s": -1.0}),
        json!({"duration_s": 0.0}),
        json!({"runs": 0}),
        json!({"runs": 21}),
        json!({"rate_per_s": 1e9}),
        // Longer than the task may take.
        json!({"runs": 20, "duration_s": 600.0}),
    ] {
        assert_eq!(ask(wrong).await.unwrap_err().class, ErrorClass::InvalidInput);
    }
    assert_eq!(server.requests(), 0);
    assert!(serde_json::from_value::<MeasureInputs>(json!({"url": "http://x"})).is_err());
}

#[tokio::test]
async fn a_service_that_is_down_or_has_no_counters_is_unavailable() {
    let down = site("http://127.0.0.1:1", "/", &json!({}));
    let failure = measure(down, MeasureInputs::default()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);

    let server = Server::open().await;
    let page = |path: &str| json!({"counters_url": format!("{}{path}", server.url)});
    let none = measure(site(&server.url, "/fixed", &page("/nowhere")), MeasureInputs::default());
    assert_eq!(none.await.unwrap_err().class, ErrorClass::Unavailable);
    let other = measure(site(&server.url, "/fixed", &page("/fixed")), MeasureInputs::default());
    assert_eq!(other.await.unwrap_err().class, ErrorClass::PreconditionFailed);
}

#[test]
fn a_target_that_cannot_be_used_is_refused_by_name() {
    let check = |key: &str, value: serde_json::Value| {
        let mut target = json!({
            "base_url": "http://127.0.0.1:1", "rate_per_s": 1.0,
            "scenario": [{"name": "a", "method": "GET", "path": "/", "role": "read"}],
        });
        target[key] = value;
        serde_json::from_value::<PerformanceTarget>(target).unwrap().check().unwrap_err()
    };
    for url in ["https://shop.example", "shop", "http://", "http://me:pw@shop/", "ftp://shop"] {
        let refused = check("base_url", json!(url));
        assert!(matches!(refused, TargetError::Address { key: "base_url", .. }), "{url}");
    }
    let endpoint = |path: &str, weight: u32, method: &str| json!([{"name": "a", "method": method, "path": path, "weight": weight, "role": "read"}]);
    assert_eq!(check("scenario", json!([])), TargetError::Scenario);
    assert_eq!(check("scenario", endpoint("/", 0, "GET")), TargetError::Weights);
    let method = check("scenario", endpoint("/", 1, "GE T"));
    assert!(matches!(method, TargetError::Method { .. }));
    assert!(matches!(check("scenario", endpoint("//x/", 1, "GET")), TargetError::Path { .. }));
    assert!(matches!(check("max_in_flight", json!(0)), TargetError::Range { .. }));
    let typo = json!({"base_url": "http://a", "rate_per_s": 1.0, "scenario": [], "rates": 1});
    assert!(serde_json::from_value::<PerformanceTarget>(typo).is_err());
}

#[test]
fn a_password_is_never_shown() {
    let target: PerformanceTarget = serde_json::from_value(json!({
        "base_url": "http://127.0.0.1:1", "rate_per_s": 1.0, "scenario": [],
        "database": "postgres://me:hunter2@localhost/shop",
    }))
    .unwrap();
    let shown = format!("{target:?} {}", serde_json::to_string(&target).unwrap());
    assert!(shown.contains("localhost") && !shown.contains("hunter2"), "{shown}");
}
