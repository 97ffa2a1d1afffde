use deadelus_runtime::Context;
use serde_json::{Value, json};

use super::*;
use crate::testing::Desk;

/// Nothing can be said against it.
fn good() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Shop", "version": "1.0.0", "description": "d",
            "contact": {"name": "n", "url": "http://shop", "email": "a@shop"},
            "license": {"name": "l", "url": "http://shop/licence"},
        },
        "servers": [{"url": "http://shop/api"}],
        "tags": [{"name": "orders", "description": "d"}],
        "paths": {"/orders/{id}": {"get": {
            "operationId": "order", "description": "d", "tags": ["orders"],
            "security": [{"key": []}],
            "parameters": [{"in": "path", "name": "id", "description": "d", "required": true,
                "schema": {"type": "string"}}],
            "responses": {"200": {"description": "ok", "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/Order"}}}}},
        }}},
        "components": {
            "schemas": {"Order": {"type": "array", "items": {"enum": ["a", "b"], "type": "string"}}},
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "k"}},
        },
    })
}

async fn run(inputs: Value) -> Result<Measured<Outputs>, Failure> {
    let inputs = serde_json::from_value(inputs).unwrap();
    Lint(Desk::new().targets()).perform(&Context::detached("shop"), inputs).await
}

fn all() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

#[tokio::test]
async fn a_good_document_has_no_finding_by_any_rule() {
    let inputs = json!({"document": {"inline": good()}, "enable": all(), "fail_on": "warning"});
    let measured = run(inputs).await.unwrap();
    assert!(measured.checks[0].pass, "{:?}", measured.outputs.first);
    assert_eq!(measured.artefacts[0].name, "lint.sarif");
}

#[tokio::test]
async fn every_rule_finds_what_it_is_about() {
    let get = "/paths/~1orders~1{id}/get";
    let schema = "/components/schemas/Order";
    let mut left: Vec<&str> = all();
    for (rule, at, value) in [
        ("array-items", schema.to_owned(), json!({"type": "array"})),
        ("contact-properties", "/info/contact/email".to_owned(), Value::Null),
        ("duplicated-entry-in-enum", format!("{schema}/items/enum"), json!(["a", "a"])),
        ("info-contact", "/info/contact".to_owned(), Value::Null),
        ("info-description", "/info/description".to_owned(), json!("")),
        ("info-license", "/info/license".to_owned(), Value::Null),
        ("license-url", "/info/license/url".to_owned(), Value::Null),
        ("no-$ref-siblings", format!("{schema}/items"), json!({"$ref": "#/tags", "title": "x"})),
        ("no-eval-in-markdown", "/info/description".to_owned(), json!("eval(1)")),
        ("no-script-tags-in-markdown", "/info/title".to_owned(), json!("<script>")),
        ("oas3-api-servers", "/servers".to_owned(), json!([])),
        ("oas3-operation-security-defined", format!("{get}/security"), json!([{"lock": []}])),
        ("oas3-parameter-description", format!("{get}/parameters/0/description"), Value::Null),
        ("oas3-schema", "/info/title".to_owned(), json!(7)),
        ("oas3-server-not-example.com", "/servers/0/url".to_owned(), json!("http://example.com")),
        ("oas3-server-trailing-slash", "/servers/0/url".to_owned(), json!("http://shop/")),
        ("oas3-unused-component", format!("{get}/responses/200/content"), json!({})),
        ("openapi-tags", "/tags".to_owned(), json!([])),
        ("openapi-tags-alphabetical", "/tags".to_owned(), json!([{"name": "b"}, {"name": "a"}])),
        ("openapi-tags-uniqueness", "/tags".to_owned(), json!([{"name": "a"}, {"name": "a"}])),
        ("operation-description", format!("{get}/description"), json!("")),
        ("operation-operationId", format!("{get}/operationId"), Value::Null),
        (
            "operation-operationId-unique",
            "/paths/~1other".to_owned(),
            json!({"get": {"operationId": "order"}}),
        ),
        ("operation-operationId-valid-in-url", format!("{get}/operationId"), json!("a b")),
        (
            "operation-parameters",
            format!("{get}/parameters"),
            json!([{"in": "query", "name": "q"}, {"in": "query", "name": "q"}]),
        ),
        ("operation-singular-tag", format!("{get}/tags"), json!(["orders", "more"])),
        ("operation-success-response", format!("{get}/responses"), json!({"404": {}})),
        ("operation-tag-defined", format!("{get}/tags"), json!(["other"])),
        ("operation-tags", format!("{get}/tags"), json!([])),
        ("path-declarations-must-exist", "/paths/~1a~1{}".to_owned(), json!({})),
        ("path-keys-no-trailing-slash", "/paths/~1a~1".to_owned(), json!({})),
        ("path-not-include-query", "/paths/~1a?b".to_owned(), json!({})),
        ("path-params", format!("{get}/parameters"), json!([])),
        ("tag-description", "/tags/0/description".to_owned(), Value::Null),
        ("typed-enum", format!("{schema}/items/enum"), json!(["a", 1])),
    ] {
        let mut bad = good();
        let (parent, key) = at.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        let parent = bad.pointer_mut(parent).unwrap();
        if let Some(items) = parent.as_array_mut() {
            items[key.parse::<usize>().unwrap()] = value;
        } else {
            parent[key.as_str()] = value;
        }
        let inputs = json!({"document": {"inline": bad}, "enable": [rule], "fail_on": "warning"});
        let measured = run(inputs).await.unwrap();
        let found = measured.outputs.first.iter().any(|finding| finding.rule == rule);
        assert!(found && !measured.checks[0].pass, "{rule}: {:?}", measured.outputs.first);
        left.retain(|name| *name != rule);
    }
    assert!(left.is_empty(), "no case for {left:?}");
}

#[tokio::test]
async fn rules_are_chosen_by_name_and_an_unknown_one_is_refused() {
    let mut bad = good();
    bad["info"]["description"] = Value::Null;
    let document = json!({"inline": bad});
    let of = |extra: Value| {
        let mut inputs = json!({"document": document, "fail_on": "warning"});
        inputs.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        inputs
    };
    let pass = |measured: Result<Measured<Outputs>, Failure>| measured.unwrap().checks[0].pass;
    assert!(!pass(run(of(json!({}))).await));
    assert!(pass(run(of(json!({"disable": ["info-description", "oas3-schema"]}))).await));
    let failure = run(of(json!({"disable": ["no-such-rule"]}))).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidInput);
    assert!(failure.message.contains("no-such-rule") && failure.help.contains("typed-enum"));
}
