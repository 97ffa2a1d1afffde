use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::testing::Desk;

/// A real service: where it listens, and how often it was asked to change something.
async fn service() -> (String, Arc<AtomicUsize>) {
    let changed = Arc::new(AtomicUsize::new(0));
    let count = changed.clone();
    let change = move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { StatusCode::CREATED }
    };
    let app = Router::new()
        .route("/orders", get(|| async { "[]" }).post(change.clone()))
        .route("/orders/{id}", get(|| async { StatusCode::NOT_FOUND }))
        .route("/pay", post(change))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .route("/private", get(|| async { StatusCode::UNAUTHORIZED }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}/"), changed)
}

async fn check(base_url: Option<&str>, paths: Value) -> Result<Measured<Outputs>, Failure> {
    let desk = Desk::new();
    let document = json!({"openapi": "3.0.3", "info": {}, "paths": paths});
    let inputs = serde_json::from_value(json!({"document": {"inline": document}})).unwrap();
    RouteCheck(desk.targets_at(base_url)).perform(&Context::detached("shop"), inputs).await
}

#[tokio::test]
async fn what_the_document_promises_and_the_service_has() {
    let (url, changed) = service().await;
    let ok = json!({"responses": {"200": {}, "404": {}}});
    let good = json!({
        "/orders": {"get": ok, "post": {}},
        "/orders/{id}": {"get": ok},
        "/pay": {"post": {}},
        "/private": {"get": {"security": [{"key": []}], "responses": {"200": {}}}},
    });
    let measured = check(Some(&url), good).await.unwrap();
    assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
    let Outputs { operations, answering, untold, .. } = measured.outputs;
    // GET answers at /orders, so nothing is known of POST there; /orders/1 is no resource.
    assert_eq!((operations, answering, untold), (5, 3, 2));

    for (paths, failed) in [
        (json!({"/nowhere": {"get": ok}}), "routes_missing"),
        (json!({"/pay": {"put": {}}}), "routes_missing"),
        (json!({"/pay": {"get": ok}}), "routes_missing"),
        (json!({"/broken": {"get": ok}}), "answers_undocumented"),
        (json!({}), "operations_answering"),
    ] {
        let measured = check(Some(&url), paths.clone()).await.unwrap();
        let check = measured.checks.iter().find(|check| check.id == failed).unwrap();
        assert!(!check.pass, "{paths}");
    }
    assert_eq!(changed.load(Ordering::SeqCst), 0, "an unsafe method was sent");
}

#[tokio::test]
async fn nobody_else_is_asked_and_nobody_there_is_unavailable() {
    let ok = json!({"/a": {"get": {}, "head": {}, "put": {}, "post": {}}});
    assert_eq!(check(None, ok.clone()).await.unwrap_err().class, ErrorClass::Denied);
    // Bound and not listening any more: nobody else is given the port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let failure = check(Some(&url), ok).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);
    assert!(failure.message.contains("refused"), "{failure}");
}
