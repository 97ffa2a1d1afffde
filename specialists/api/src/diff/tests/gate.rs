//! The capability: its check, its waivers, its evidence.

use deadelus_runtime::{Context, ErrorClass, Failure, Measured, ReadCapability as _};
use serde_json::{Value, json};

use super::super::{Diff, capability::Outputs};
use crate::testing::Desk;

async fn run(inputs: Value) -> Result<Measured<Outputs>, Failure> {
    let desk = Desk::new();
    desk.write("base.yaml", "{openapi: 3.0.3, paths: {/a: {get: {}, put: {}}}}");
    desk.write("next.yaml", "{openapi: 3.0.3, paths: {/a: {get: {}}}}");
    desk.write("away.yaml", "{openapi: 3.0.3, x: {$ref: 'http://example.org/a'}}");
    let inputs = serde_json::from_value(inputs).unwrap();
    Diff(desk.targets()).perform(&Context::detached("shop"), inputs).await
}

fn inputs(waivers: Value) -> Value {
    json!({"base": {"file": "base.yaml"}, "revision": {"file": "next.yaml"}, "waivers": waivers})
}

#[tokio::test]
async fn a_breaking_change_fails_the_check_and_a_waiver_passes_it() {
    let measured = run(inputs(json!([]))).await.unwrap();
    assert!(!measured.checks[0].pass);
    assert!(measured.checks[0].note.contains("PUT /a"), "{:?}", measured.checks);
    let names: Vec<_> = measured.artefacts.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["diff.json", "changelog.md"]);
    let id = "api-removed-without-deprecation";
    let waiver = |operation: &str, expires: &str| {
        let reason = "nobody called it";
        json!({"id": id, "operation": operation, "reason": reason, "expires": expires})
    };
    for (waiver, passes) in [
        (waiver("PUT /a", "2999-01-01"), true),
        (waiver("GET /a", "2999-01-01"), false),
        (waiver("PUT /a", "2001-01-01"), false),
    ] {
        let measured = run(inputs(json!([waiver]))).await.unwrap();
        let outputs = serde_json::to_value(&measured.outputs).unwrap();
        assert_eq!(measured.checks[0].pass, passes, "{waiver}");
        assert_eq!(outputs["waived"], u8::from(passes));
        assert_eq!(outputs["idle_waivers"], if passes { json!([]) } else { json!([0]) });
    }
}

#[tokio::test]
async fn bad_input_says_what_and_where() {
    let with = |key: &str, value: Value| {
        let mut inputs = inputs(json!([]));
        inputs[key] = value;
        inputs
    };
    let waiver = |id: &str, expires: &str, reason: &str| {
        with("waivers", json!([{"id": id, "expires": expires, "reason": reason}]))
    };
    let inline = |text: &str| json!({"inline": super::yaml(text)});
    for (inputs, class, said) in [
        (with("base", json!({"file": "../x"})), ErrorClass::Denied, "folder"),
        (with("base", json!({"file": "away.yaml"})), ErrorClass::Denied, "away.yaml#/x"),
        (with("revision", json!({"file": "no.yaml"})), ErrorClass::InvalidInput, "no.yaml"),
        (with("base", inline("{swagger: '2.0'}")), ErrorClass::Unsupported, "2.0"),
        (with("base", inline("{openapi: 3.2.0}")), ErrorClass::Unsupported, "3.2.0"),
        (with("base", inline("{a: b}")), ErrorClass::InvalidInput, "openapi"),
        (waiver("no-such-id", "2999-01-01", "why"), ErrorClass::InvalidInput, "no-such-id"),
        (waiver("api-tag-removed", "soon", "why"), ErrorClass::InvalidInput, "soon"),
        (waiver("api-tag-removed", "2999-01-01", " "), ErrorClass::InvalidInput, "reason"),
    ] {
        let failure = run(inputs).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.message.contains(said), "{failure}");
    }
}
