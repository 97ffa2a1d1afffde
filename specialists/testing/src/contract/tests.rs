use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use super::*;
use crate::testing::{serve, targets};

/// How the small service misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    WrongType,
    Breaks,
    UndocumentedStatus,
    WrongMediaType,
    AcceptsAnything,
    LacksAnOperation,
}

#[derive(Clone)]
struct Shop(Bug, Arc<Mutex<Vec<String>>>);

async fn make(State(Shop(bug, orders)): State<Shop>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let item = body["item"].as_str().filter(|item| (1..=20).contains(&item.len()));
    let count = body["count"].as_u64().filter(|count| (1..=9).contains(count));
    let (item, count) = match (item, count) {
        (Some(item), Some(count)) => (item, count),
        _ if bug == Bug::AcceptsAnything => ("pen", 1),
        _ => {
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": "no"})))
                .into_response();
        }
    };
    if bug == Bug::Breaks && count > 2 {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut orders = orders.lock().unwrap();
    orders.push(item.to_owned());
    let id = if bug == Bug::WrongType { json!("one") } else { json!(orders.len()) };
    let status = if bug == Bug::UndocumentedStatus { 202 } else { 201 };
    let answer = Json(json!({"id": id, "item": item, "note": null}));
    (StatusCode::from_u16(status).unwrap(), answer).into_response()
}

async fn list(
    State(Shop(bug, orders)): State<Shop>,
    Query(query): Query<std::collections::BTreeMap<String, String>>,
) -> Response {
    let limit = query.get("limit").map_or(Some(9), |limit| limit.parse().ok());
    let Some(limit @ 1..=9) = limit else { return StatusCode::BAD_REQUEST.into_response() };
    let orders = orders.lock().unwrap();
    let list: Vec<Value> = orders
        .iter()
        .take(limit)
        .enumerate()
        .map(|(n, item)| json!({"id": n + 1, "item": item, "note": null}))
        .collect();
    if bug == Bug::WrongMediaType {
        return format!("{list:?}").into_response();
    }
    Json(list).into_response()
}

async fn one(State(Shop(_, orders)): State<Shop>, Path(id): Path<String>) -> Response {
    let orders = orders.lock().unwrap();
    let Ok(id) = id.parse::<usize>() else { return StatusCode::BAD_REQUEST.into_response() };
    match orders.get(id.wrapping_sub(1)) {
        Some(item) => Json(json!({"id": id, "item": item, "note": null})).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn document() -> Value {
    json!({"openapi": "3.0.3", "info": {"title": "shop", "version": "1"},
        "components": {"schemas": {"Order": {
            "type": "object", "required": ["id", "item", "note"], "properties": {
                "id": {"type": "integer"}, "item": {"type": "string"},
                "note": {"type": "string", "nullable": true}}}}},
        "paths": {
            "/orders": {
                "post": {
                    "requestBody": {"required": true, "content": {"application/json": {"schema": {
                        "type": "object", "required": ["item", "count"], "properties": {
                            "item": {"type": "string", "minLength": 1, "maxLength": 20},
                            "count": {"type": "integer", "minimum": 1, "maximum": 9}}}}}},
                    "responses": {"422": {}, "201": {"content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Order"}}}}}},
                "get": {
                    "parameters": [{"in": "query", "name": "limit",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 9}}],
                    "responses": {"400": {}, "200": {"content": {"application/json": {"schema": {
                        "type": "array", "items": {"$ref": "#/components/schemas/Order"}}}}}}}},
            "/orders/{id}": {"get": {
                "parameters": [{"in": "path", "name": "id", "required": true,
                    "schema": {"type": "integer"}}],
                "responses": {"4XX": {}, "200": {"content": {"application/json": {
                    "schema": {"$ref": "#/components/schemas/Order"}}}}}}}}})
}

async fn hold(bug: Bug, may_write: bool, more: Value) -> Result<Measured<Outputs>, Failure> {
    let shop = Shop(bug, Arc::default());
    let mut routes = Router::new().route("/orders", post(make).get(list));
    if bug != Bug::LacksAnOperation {
        routes = routes.route("/orders/{id}", get(one));
    }
    let address = serve(routes.with_state(shop)).await;
    hold_at(&address, may_write, more).await
}

async fn hold_at(base: &str, may_write: bool, more: Value) -> Result<Measured<Outputs>, Failure> {
    let cx = Context::detached("shop");
    let text = document().to_string();
    let kept = cx.keep("openapi.json", "application/json", text.into()).await.unwrap();
    let mut inputs = json!({ "document": kept });
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let targets = targets(json!({"service": {"base_url": base, "may_write": may_write}}));
    Contract(targets).perform(&cx, serde_json::from_value(inputs).unwrap()).await
}

fn failing(measured: &Measured<Outputs>) -> Vec<&str> {
    measured.checks.iter().filter(|check| !check.pass).map(|check| check.id.as_str()).collect()
}

#[tokio::test]
async fn a_service_that_keeps_its_word_is_believed() {
    let held = hold(Bug::None, true, json!({})).await.unwrap();
    assert_eq!(failing(&held), [""; 0], "{:?}", held.outputs);
    assert_eq!((held.outputs.operations, held.outputs.left_out), (3, 0));
    assert!(held.outputs.unproved.is_empty(), "{:?}", held.outputs);
    assert!(held.outputs.requests > 20, "{:?}", held.outputs);
}

#[tokio::test]
async fn every_bug_is_found_under_its_name() {
    for (bug, check) in [
        (Bug::WrongType, "answers_undocumented"),
        (Bug::Breaks, "server_errors"),
        (Bug::UndocumentedStatus, "answers_undocumented"),
        (Bug::WrongMediaType, "answers_undocumented"),
        (Bug::AcceptsAnything, "bad_input_accepted"),
    ] {
        let held = hold(bug, true, json!({})).await.unwrap();
        assert!(failing(&held).contains(&check), "{bug:?}: {:?}", held.checks);
        assert!(held.outputs.first[0].curl.starts_with("curl -i -X "), "{:?}", held.outputs);
    }
    let lacks = hold(Bug::LacksAnOperation, true, json!({})).await.unwrap();
    assert_eq!(lacks.outputs.unproved, ["GET /orders/{id}: never succeeded"]);
}

#[tokio::test]
async fn nothing_is_written_where_it_is_not_allowed() {
    let refused = hold(Bug::None, false, json!({})).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Denied);
    let safe = hold(Bug::None, false, json!({"safe_only": true})).await.unwrap();
    assert_eq!(failing(&safe), [""; 0], "{:?}", safe.outputs);
    let unproved = ["GET /orders/{id}: never succeeded", "POST /orders: not safe"];
    assert_eq!(safe.outputs.unproved, unproved);
}

#[tokio::test]
async fn the_number_of_requests_is_bounded_and_the_seed_repeats_them() {
    let few = hold(Bug::None, true, json!({"max_requests": 4})).await.unwrap();
    assert_eq!(few.outputs.requests, 4);
    assert!(few.outputs.left_out > 0);
    let again = async |seed: u64| {
        let held = hold(Bug::Breaks, true, json!({ "seed": seed })).await.unwrap();
        let texts =
            held.outputs.first.iter().map(|f| f.curl.split("http").next().unwrap().to_owned());
        texts.collect::<Vec<_>>()
    };
    assert_eq!(again(7).await, again(7).await);
}

#[tokio::test]
async fn who_is_not_there_is_unavailable() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = hold_at(&format!("http://{nobody}"), true, json!({})).await.unwrap_err();
    assert_eq!(gone.class, ErrorClass::Unavailable);
}

#[test]
fn a_document_that_leads_away_is_refused() {
    let away = json!({"openapi": "3.1.0", "paths": {"/a": {"$ref": "http://elsewhere/"}}});
    for (document, class) in [
        (away, ErrorClass::Denied),
        (json!({"openapi": "2.0"}), ErrorClass::Unsupported),
        (json!([]), ErrorClass::InvalidInput),
    ] {
        assert_eq!(Document::new(document).unwrap_err().class, class);
    }
}
