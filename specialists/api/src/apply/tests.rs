use deadelus_runtime::Context;
use serde_json::json;

use super::*;
use crate::testing::Desk;

fn old() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": {"title": "Shop", "version": "1.0.0"},
        "tags": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        "paths": {"/a": {"get": {"responses": {"200": {"description": "ok"}}}}},
    })
}

/// The new document and which checks passed.
async fn apply(how: &str, change: Value) -> Result<(Value, Vec<bool>), Failure> {
    let (desk, cx) = (Desk::new(), Context::detached("shop"));
    desk.write("openapi.json", &old().to_string());
    let inputs = json!({"document": {"file": "openapi.json"}, how: {"inline": change}});
    let inputs = serde_json::from_value(inputs).unwrap();
    let measured = Apply(desk.targets()).perform(&cx, inputs).await?;
    let bytes = cx.fetch(&measured.outputs.document).await?;
    assert_eq!(std::fs::read_dir(desk.path("")).unwrap().count(), 1, "the folder is untouched");
    let passed = measured.checks.iter().map(|check| check.pass).collect();
    Ok((serde_json::from_slice(&bytes).unwrap(), passed))
}

fn overlay(actions: Value) -> Value {
    json!({"overlay": "1.0.0", "info": {"title": "o", "version": "1"}, "actions": actions})
}

#[tokio::test]
async fn an_overlay_merges_appends_and_removes() {
    let actions = json!([
        {"target": "$.info", "update": {"version": "1.1.0", "contact": {"name": "api"}}},
        {"target": "$.paths", "update": {"/b": {"get": {"responses": {"200": {"description": "b"}}}}}},
        {"target": "$.tags[?@.name != 'b']", "remove": true},
        {"target": "$.tags", "update": {"name": "d"}},
        {"target": "$.paths.*.get", "update": {"tags": ["d"]}},
    ]);
    let (new, passed) = apply("overlay", overlay(actions)).await.unwrap();
    assert_eq!(passed, [true, true]);
    assert_eq!(new["info"]["title"], "Shop");
    assert_eq!(new["info"]["version"], "1.1.0");
    assert_eq!(new["tags"], json!([{"name": "b"}, {"name": "d"}]));
    assert_eq!(new.pointer("/paths/~1a/get/tags"), Some(&json!(["d"])));
    assert_eq!(new.pointer("/paths/~1b/get/tags"), Some(&json!(["d"])));
}

#[tokio::test]
async fn a_patch_is_applied_whole_or_not() {
    let patch = json!([
        {"op": "test", "path": "/info/version", "value": "1.0.0"},
        {"op": "replace", "path": "/info/version", "value": "1.0.1"},
    ]);
    let (new, passed) = apply("patch", patch).await.unwrap();
    assert_eq!((new["info"]["version"].as_str(), passed), (Some("1.0.1"), vec![true, true]));
    let drift = json!([{"op": "test", "path": "/info/version", "value": "0.9.0"}]);
    let failure = apply("patch", drift).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
}

#[tokio::test]
async fn what_does_nothing_or_harm_does_not_pass() {
    let idle = overlay(json!([{"target": "$.nothing", "update": {"a": 1}}]));
    assert_eq!(apply("overlay", idle).await.unwrap().1, [false, true]);
    let harm = overlay(json!([{"target": "$.info.title", "remove": true}]));
    assert_eq!(apply("overlay", harm).await.unwrap().1, [true, false]);
}

#[tokio::test]
async fn bad_input_says_what_and_where() {
    let one = |action: Value| overlay(json!([action]));
    for (how, change, class, said) in [
        ("overlay", json!({"overlay": "2.0.0", "actions": []}), ErrorClass::Unsupported, "2.0.0"),
        ("overlay", json!({"actions": []}), ErrorClass::InvalidInput, "overlay"),
        ("overlay", overlay(json!([])), ErrorClass::InvalidInput, "0 actions"),
        ("overlay", one(json!({"target": "$.["})), ErrorClass::InvalidInput, "actions/0"),
        ("overlay", one(json!({"target": "$"})), ErrorClass::InvalidInput, "either"),
        (
            "overlay",
            one(json!({"target": "$.openapi", "update": {}})),
            ErrorClass::InvalidInput,
            "/openapi",
        ),
        (
            "overlay",
            one(json!({"target": "$", "update": {"x": {"$ref": "http://a/b"}}})),
            ErrorClass::Denied,
            "#/x",
        ),
        ("patch", json!([{"op": "remove", "path": "/no"}]), ErrorClass::InvalidInput, "/no"),
        ("patch", json!({"op": "jump"}), ErrorClass::InvalidInput, "patch"),
    ] {
        let failure = apply(how, change).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.message.contains(said), "{failure}");
    }
}
