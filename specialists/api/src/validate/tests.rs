use deadelus_runtime::Context;
use serde_json::{Value, json};

use super::*;
use crate::testing::Desk;

async fn validate(text: &str) -> (Vec<(String, bool)>, Value) {
    let desk = Desk::new();
    desk.write("openapi.yaml", text);
    let inputs = serde_json::from_value(json!({"document": {"file": "openapi.yaml"}})).unwrap();
    let measured =
        Validate(desk.targets()).perform(&Context::detached("shop"), inputs).await.unwrap();
    let checks = measured.checks.iter().map(|check| (check.id.clone(), check.pass)).collect();
    (checks, serde_json::to_value(measured.outputs).unwrap())
}

const GOOD: &str = "
openapi: 3.0.3
info: {title: Shop, version: 1.0.0}
paths:
  /orders/{id}:
    parameters: [{$ref: '#/components/parameters/id'}]
    get:
      operationId: order
      responses:
        200: {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Node'}}}}
components:
  parameters: {id: {in: path, name: id, required: true, schema: {type: string}}}
  schemas:
    Node: {type: object, properties: {next: {$ref: '#/components/schemas/Node'}}}
";

#[tokio::test]
async fn both_versions_and_circles_are_well() {
    for version in ["3.0.3", "3.1.0"] {
        let (checks, outputs) = validate(&GOOD.replace("3.0.3", version)).await;
        assert!(checks.iter().all(|(_, pass)| *pass), "{version}: {outputs}");
        assert_eq!(outputs["operations"], 1);
        assert!(version.starts_with(outputs["version"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn every_problem_has_its_place() {
    let second = "    put: {operationId: order, responses: {200: {description: ok}}}\ncomponents:";
    for (from, to, check, pointer) in [
        ("title: Shop, ", "", "follows_the_standard", "/info"),
        ("{type: object,", "{type: 7,", "follows_the_standard", "/components/schemas/Node"),
        (
            "$ref: '#/components/parameters/id'",
            "$ref: '#/nowhere'",
            "references_resolve",
            "/paths/~1orders~1{id}/parameters/0",
        ),
        ("components:", second, "agrees_with_itself", "/paths/~1orders~1{id}/put"),
        ("name: id", "name: other", "agrees_with_itself", "/paths/~1orders~1{id}/get"),
    ] {
        for version in ["3.0.3", "3.1.0"] {
            let text = GOOD.replacen(from, to, 1).replace("3.0.3", version);
            let (checks, outputs) = validate(&text).await;
            let failed = checks.iter().any(|(id, pass)| id == check && !pass);
            let first = outputs["first"].as_array().unwrap();
            let there = first.iter().any(|problem| {
                problem["check"] == check
                    && problem["pointer"].as_str().unwrap().starts_with(pointer)
            });
            assert!(failed && there, "{version}: {to}: {outputs}");
        }
    }
}
