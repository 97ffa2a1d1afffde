use deadelus_runtime::ErrorClass;
use serde_json::json;

use super::*;
use crate::testing::{Desk, POLICIES, SCHEMA, entities};

fn document() -> Value {
    json!({"openapi": "3.0.3", "paths": {
        "/orders": {"get": {"operationId": "listOrders"}, "post": {"operationId": "createOrder"}},
        "/orders/{id}": {"get": {"operationId": "readOrder"}, "delete": {"operationId": "cancelOrder"}},
        "/health": {"get": {}},
    }})
}

fn inputs() -> Value {
    let asks = |action: &str, resource: &str| json!({"action": format!("Action::{action:?}"), "resource": resource});
    json!({
        "policies": {"inline": POLICIES}, "schema": {"inline": SCHEMA},
        "entities": {"inline": entities()}, "document": {"inline": document()},
        "roles": {"owner": "User::\"ann\"", "stranger": "User::\"bob\"", "support": "User::\"sue\""},
        "operations": {
            "listOrders": asks("listOrders", "Shop::\"shop\""),
            "createOrder": asks("createOrder", "Shop::\"shop\""),
            "readOrder": asks("readOrder", "Order::\"1\""),
            "cancelOrder": asks("cancelOrder", "Order::\"1\""),
        },
        "public": ["GET /health"],
    })
}

async fn matrix(inputs: Value) -> Result<(Measured<Outputs>, String), Failure> {
    let cx = Context::detached("shop");
    let inputs = serde_json::from_value(inputs).unwrap();
    let measured = Matrix(Desk::new().targets()).perform(&cx, inputs).await?;
    let csv = cx.fetch(&measured.artefacts[1]).await.unwrap();
    Ok((measured, String::from_utf8(csv.to_vec()).unwrap()))
}

fn failed(measured: &Measured<Outputs>) -> Vec<&str> {
    measured.checks.iter().filter(|c| !c.pass).map(|c| &c.id[..]).collect()
}

#[tokio::test]
async fn every_role_stands_beside_every_operation() {
    let (measured, csv) = matrix(inputs()).await.unwrap();
    let expected = r#"operation,method,path,"owner","stranger","support"
"GET /health",GET,"/health",public,public,public
"listOrders",GET,"/orders",deny,deny,allow
"createOrder",POST,"/orders",deny,deny,deny
"readOrder",GET,"/orders/{id}",allow,deny,allow
"cancelOrder",DELETE,"/orders/{id}",allow,deny,deny
"#;
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&csv), sorted(expected));
    assert_eq!((measured.outputs.allowed, measured.outputs.denied), (4, 8));
    // Nobody can create an order.
    assert_eq!(failed(&measured), ["undecided"]);
    assert_eq!(measured.outputs.undecided, ["createOrder"]);
}

#[tokio::test]
async fn an_operation_that_asks_for_nothing_is_found() {
    let mut inputs = inputs();
    inputs["policies"]["inline"] = json!(format!(
        "{POLICIES} permit(principal, action == Action::\"createOrder\", resource);"
    ));
    assert!(failed(&matrix(inputs.clone()).await.unwrap().0).is_empty());
    inputs["operations"].as_object_mut().unwrap().remove("readOrder");
    let (measured, _) = matrix(inputs).await.unwrap();
    assert_eq!(
        (failed(&measured), &measured.outputs.unmapped[..]),
        (vec!["unmapped"], &["readOrder".to_owned()][..])
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    type Spoil = fn(&mut Value);
    let spoils: [(Spoil, &str); 6] = [
        (|i| i["public"] = json!(["GET /healht"]), "GET /healht"),
        (|i| i["public"] = json!(["readOrder"]), "readOrder"),
        (|i| i["roles"] = json!({}), "role"),
        (|i| i["document"] = json!({"inline": {"swagger": "2.0"}}), "OpenAPI"),
        (|i| i["operations"]["readOrder"]["action"] = json!("Action::\"reed\""), "reed"),
        (
            |i| {
                i["document"]["inline"]["paths"]["/x"] =
                    json!({"get": {"operationId": "readOrder"}})
            },
            "two",
        ),
    ];
    for (spoil, named) in spoils {
        let mut inputs = inputs();
        spoil(&mut inputs);
        let failure = matrix(inputs).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput, "{failure:?}");
        assert!(failure.message.contains(named), "{failure:?}");
    }
}
