use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use deadelus_tests::oracles::oracle;

use super::*;
use crate::testing::{serve, targets};

type Users = Arc<Mutex<BTreeMap<String, Value>>>;

fn user(status: StatusCode, user: &Value) -> Response {
    (status, Json(json!({"user": {"email": user["email"], "token": "t-1"}}))).into_response()
}

async fn register(State(users): State<Users>, Json(body): Json<Value>) -> Response {
    let email = body["user"]["email"].as_str().unwrap().to_owned();
    users.lock().unwrap().insert(email, body["user"].clone());
    user(StatusCode::CREATED, &body["user"])
}

async fn login(State(users): State<Users>, Json(body): Json<Value>) -> Response {
    let email = body["user"]["email"].as_str().unwrap();
    match users.lock().unwrap().get(email) {
        Some(known) if known["password"] == body["user"]["password"] => user(StatusCode::OK, known),
        Some(_) | None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn current(headers: HeaderMap) -> Response {
    match headers.get("authorization").and_then(|value| value.to_str().ok()) {
        Some("Token t-1") => user(StatusCode::OK, &json!({"email": "a@example.test"})),
        Some(_) | None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// The address of a small service with users.
async fn service() -> String {
    let routes = Router::new()
        .route("/users", post(register))
        .route("/users/login", post(login))
        .route("/user", get(current).put(current));
    serve(routes.with_state(Users::default())).await
}

async fn replay_of(
    collection: Value,
    base_url: &str,
    may_write: bool,
    more: Value,
) -> Result<Measured<Outputs>, Failure> {
    let cx = Context::detached("shop");
    let text = collection.to_string();
    let kept = cx.keep("collection.json", "application/json", text.into()).await.unwrap();
    let mut inputs = json!({"collection": kept, "address_variable": "APIURL"});
    inputs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let targets = targets(json!({"service": {"base_url": base_url, "may_write": may_write}}));
    Replay(targets).perform(&cx, serde_json::from_value(inputs).unwrap()).await
}

fn pass(measured: &Measured<Outputs>) -> bool {
    measured.checks.iter().all(|check| check.pass)
}

/// Somebody else's collection: `RealWorld`'s, its folder about users.
#[tokio::test]
async fn the_users_of_realworld() {
    let Some(path) = oracle("realworld/Conduit.postman_collection.json") else { return };
    let text = std::fs::read(path).unwrap();
    let collection: Value = serde_json::from_slice(&text).unwrap();
    let address = service().await;
    let login = json!({"request": "Auth / Login and Remember Token", "pointer": "/user/token"});
    let inputs = json!({
        "folder": "Auth", "ignore_scripts": true, "captures": {"token": login},
        "variables": {"EMAIL": "a@example.test", "PASSWORD": "long enough", "USERNAME": "a"},
    });
    let told = replay_of(collection.clone(), &address, true, inputs.clone()).await.unwrap();
    assert!(pass(&told), "{:?}", told.outputs);
    assert_eq!((told.outputs.requests, told.outputs.scripts_ignored.len()), (5, 5));

    let mut strict = inputs.clone();
    strict["ignore_scripts"] = json!(false);
    let refused = replay_of(collection.clone(), &address, true, strict).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Unsupported);
    let mut unbound = inputs;
    unbound["captures"] = json!({});
    let refused = replay_of(collection, &address, true, unbound).await.unwrap_err();
    assert!(refused.message.contains("\"token\""), "{refused}");
}

fn one(method: &str, path: &str, status: u16) -> Value {
    let test = format!("pm.response.to.have.status({status});");
    json!({"item": [{
        "name": "one", "event": [{"listen": "test", "script": {"exec": [test]}}],
        "request": {"method": method, "url": format!("{{{{APIURL}}}}{path}"),
            "body": {"mode": "raw", "raw": ""}},
    }]})
}

#[tokio::test]
async fn a_status_is_tested() {
    let address = service().await;
    let refused = replay_of(one("GET", "/user", 401), &address, false, json!({})).await.unwrap();
    assert!(pass(&refused), "{:?}", refused.outputs);
    let other = replay_of(one("GET", "/user", 200), &address, false, json!({})).await.unwrap();
    assert!(!pass(&other));
    assert_eq!(other.outputs.failed, ["one: status 401, wanted 200"]);
    let none = replay_of(json!({"item": []}), &address, false, json!({})).await.unwrap();
    assert!(!pass(&none), "nothing was sent");
}

#[tokio::test]
async fn nothing_is_written_or_asked_where_it_is_not_allowed() {
    let address = service().await;
    let write = replay_of(one("PUT", "/user", 200), &address, false, json!({})).await.unwrap_err();
    assert_eq!(write.class, ErrorClass::Denied);
    for path in ["@elsewhere.test/", ".elsewhere.test/"] {
        let away = replay_of(one("GET", path, 200), &address, true, json!({})).await.unwrap_err();
        assert_eq!(away.class, ErrorClass::Denied, "{path}");
    }
}

#[tokio::test]
async fn what_an_earlier_answer_did_not_bring_is_not_sent() {
    let address = service().await;
    let mut collection = one("GET", "/user", 401);
    let mut second = collection["item"][0].clone();
    second["name"] = json!("two");
    second["request"]["url"] = json!("{{APIURL}}/user?token={{token}}");
    collection["item"].as_array_mut().unwrap().push(second);
    let captures = json!({"captures": {"token": {"request": "one", "pointer": "/user/token"}}});
    let told = replay_of(collection, &address, false, captures).await.unwrap();
    assert_eq!(told.outputs.failed, ["two: no earlier answer brought \"token\": not sent"]);
}
