//! Paths, operations, parameters, bodies, responses, security, webhooks.

use serde_json::{Value, json};

use super::{changes, ids, with_operation, yaml};

/// The ids of a change of the only operation.
fn operation(from: &str, to: &str) -> String {
    ids(&changes(with_operation(yaml(from)), with_operation(yaml(to)))).join(" ")
}

#[test]
fn of_parameters_and_bodies() {
    let q = |rest: &str| format!("{{parameters: [{{in: query, name: q{rest}}}]}}");
    let json = |name: &str| format!("{{requestBody: {{content: {{{name}: {{}}}}}}}}");
    for (from, to, expected) in [
        ("{}".to_owned(), q(""), "new-optional-request-parameter"),
        ("{}".to_owned(), q(", required: true"), "!new-required-request-parameter"),
        (q(""), "{}".to_owned(), "!request-parameter-removed"),
        (q(""), q(", required: true"), "!request-parameter-became-required"),
        (
            q(", schema: {type: integer}"),
            q(", schema: {type: string}"),
            "request-parameter-type-generalized",
        ),
        (
            q(", schema: {type: string}"),
            q(", schema: {type: integer}"),
            "!request-parameter-type-changed",
        ),
        (q(", explode: true"), q(", explode: false"), "!request-parameter-style-changed"),
        (q(""), q(", schema: {maxLength: 1}"), "!request-parameter-max-length-set"),
        ("{}".to_owned(), "{requestBody: {content: {}}}".to_owned(), "request-body-added-optional"),
        (
            "{}".to_owned(),
            "{requestBody: {required: true}}".to_owned(),
            "!request-body-added-required",
        ),
        ("{requestBody: {}}".to_owned(), "{}".to_owned(), "!request-body-removed"),
        (
            json("a/b"),
            json("a/c"),
            "!request-body-media-type-removed request-body-media-type-added",
        ),
    ] {
        assert_eq!(operation(&from, &to), expected, "{from} -> {to}");
    }
}

#[test]
fn of_responses_security_and_life() {
    let status = |list: &str| format!("{{responses: {{{list}}}}}");
    for (from, to, expected) in [
        (
            status("200: {}"),
            status("201: {}"),
            "!response-success-status-added !response-success-status-removed",
        ),
        (
            status("404: {}"),
            status("409: {}"),
            "response-non-success-status-added response-non-success-status-removed",
        ),
        (
            status("default: {}"),
            status("200: {}"),
            "!response-success-status-added !response-success-status-removed",
        ),
        (
            status("200: {headers: {A: {required: true}}}"),
            status("200: {}"),
            "!required-response-header-removed",
        ),
        (
            status("200: {headers: {A: {required: true}}}"),
            status("200: {headers: {a: {}}}"),
            "!response-header-became-optional",
        ),
        (
            status("200: {content: {a/atom+xml: {}}}"),
            status("200: {content: {a/xml: {}}}"),
            "!response-media-type-name-generalized",
        ),
        ("{}".to_owned(), "{security: [{k: []}]}".to_owned(), "!api-security-added"),
        (
            "{security: [{k: []}]}".to_owned(),
            "{security: [{k: []}, {o: []}]}".to_owned(),
            "api-security-added",
        ),
        (
            "{security: [{k: []}, {o: []}]}".to_owned(),
            "{security: [{k: []}]}".to_owned(),
            "!api-security-removed",
        ),
        ("{security: [{k: []}]}".to_owned(), "{security: []}".to_owned(), "api-security-removed"),
        (
            "{security: [{k: []}]}".to_owned(),
            "{security: [{k: [w]}]}".to_owned(),
            "!api-security-scope-added",
        ),
        ("{}".to_owned(), "{deprecated: true}".to_owned(), "!api-deprecated-sunset-missing"),
        (
            "{}".to_owned(),
            "{deprecated: true, x-sunset: '2099-01-01'}".to_owned(),
            "endpoint-deprecated-with-sunset",
        ),
        (
            "{x-stability-level: stable}".to_owned(),
            "{x-stability-level: beta}".to_owned(),
            "!api-stability-decreased",
        ),
        (
            "{callbacks: {c: {u: {post: {}}}}}".to_owned(),
            "{callbacks: {c: {u: {}}}}".to_owned(),
            "!webhook-removed",
        ),
    ] {
        assert_eq!(operation(&from, &to), expected, "{from} -> {to}");
    }
}

fn paths(paths: &str) -> Value {
    json!({"openapi": "3.0.3", "info": {"title": "x", "version": "1.0.0"}, "paths": yaml(paths)})
}

#[test]
fn of_paths() {
    for (from, to, expected) in [
        ("{/a: {get: {}}}", "{}", "!api-path-removed-without-deprecation"),
        ("{/a: {get: {}, put: {}}}", "{/a: {get: {}}}", "!api-removed-without-deprecation"),
        ("{/a: {get: {deprecated: true}}}", "{}", "api-path-removed-with-deprecation"),
        (
            "{/a: {get: {deprecated: true, x-sunset: '2099-01-01'}}}",
            "{/a: {}}",
            "!api-removed-before-sunset",
        ),
        ("{}", "{/a: {get: {}}}", "endpoint-added"),
        // The name of a path's parameter is not on the wire.
        (
            "{'/a/{x}': {get: {parameters: [{in: path, name: x}]}}}",
            "{'/a/{y}': {get: {parameters: [{in: path, name: y}]}}}",
            "",
        ),
    ] {
        let found = changes(paths(from), paths(to));
        let told = found.iter().filter(|change| !change.id.contains("version-not-bumped"));
        assert_eq!(ids(told).join(" "), expected, "{from} -> {to}");
    }
}

#[test]
fn what_a_webhook_sends_is_read_like_a_response() {
    let hook = |kind: &str| {
        yaml(&format!(
            "{{openapi: 3.1.0, webhooks: {{paid: {{post: {{requestBody: {{content:
            {{a/json: {{schema: {{type: {kind}}}}}}}}}}}}}}}}}"
        ))
    };
    let widened = changes(hook("integer"), hook("number"));
    assert_eq!(ids(&widened), ["!response-body-type-generalized"]);
    assert_eq!(widened[0].operation, "webhook paid");
    assert_eq!(ids(&changes(hook("number"), hook("integer"))), ["response-body-type-specialized"]);
    // And what it expects back like a request.
    let answers = |kind: &str| {
        yaml(&format!(
            "{{openapi: 3.1.0, webhooks: {{paid: {{post: {{responses: {{200: {{content:
            {{a/json: {{schema: {{$ref: '#/x'}}}}}}}}}}}}}}}}, x: {{type: {kind}}}}}"
        ))
    };
    let narrowed = changes(answers("number"), answers("integer"));
    assert_eq!(ids(&narrowed), ["!request-body-type-changed"]);
    assert_eq!(narrowed[0].at, "answer 200 a/json");
}

#[test]
fn the_version_is_asked_to_keep_step() {
    let at = |version: &str, paths: &str| json!({"openapi": "3.0.3", "info": {"version": version}, "paths": yaml(paths)});
    let told = |from: Value, to: Value| ids(&changes(from, to)).join(" ");
    let breaking = told(at("1.2.0", "{/a: {get: {}}}"), at("1.3.0", "{}"));
    assert!(breaking.ends_with(" api-major-version-not-bumped"), "{breaking}");
    let added = told(at("1.2.0", "{}"), at("1.2.0", "{/a: {get: {}}}"));
    assert_eq!(added, "api-version-not-bumped endpoint-added");
    assert_eq!(told(at("1.2.0", "{}"), at("1.1.9", "{}")), "api-version-decreased");
}
