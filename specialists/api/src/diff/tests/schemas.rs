//! Schemas: the same change in a request and in a response.

use serde_json::{Value, json};

use super::{changes, ids, with_operation, yaml};

/// A property `p` of this schema in the request's body and in the response's.
fn around(schema: &Value) -> Value {
    let body = json!({"content": {"application/json": {"schema":
        {"type": "object", "required": ["p"], "properties": {"p": schema}}}}});
    with_operation(json!({"requestBody": body, "responses": {"200": body}}))
}

/// What changed from one to the other, in the request and in the response, without the prefix and
/// `request-property` and `response-property`.
fn both(from: &str, to: &str) -> (String, String) {
    let changes = changes(around(&yaml(from)), around(&yaml(to)));
    let side = |at: &str, prefix: &str| {
        let here = changes.iter().filter(|change| change.at.starts_with(at));
        ids(here).join(" ").replace(&format!("{prefix}-property-"), "")
    };
    (side("request", "request"), side("response", "response"))
}

#[test]
fn what_narrows_breaks_requests_and_what_widens_breaks_responses() {
    for (from, to, request, response) in [
        ("{type: string}", "{type: string, title: T}", "", ""),
        ("{type: integer}", "{type: number}", "type-generalized", "!type-generalized"),
        ("{type: number}", "{type: integer}", "!type-changed", "type-specialized"),
        ("{type: string}", "{type: boolean}", "!type-changed", "!type-changed"),
        ("{type: string}", "{}", "type-generalized", "!type-changed"),
        ("{type: string}", "{type: [string, 'null']}", "became-nullable", "!became-nullable"),
        ("{type: string}", "{type: string, format: date}", "!type-changed", "type-specialized"),
        ("{type: string}", "{type: string, maxLength: 5}", "!max-length-set", "max-length-set"),
        ("{maxLength: 5}", "{maxLength: 9}", "max-length-increased", "!max-length-increased"),
        ("{minLength: 5}", "{}", "min-length-decreased", "!min-length-decreased"),
        ("{minimum: 1}", "{minimum: 2}", "!min-increased", "min-increased"),
        ("{maximum: 9}", "{}", "max-unset", "!max-unset"),
        (
            "{maximum: 9007199254740993}",
            "{maximum: 9007199254740992}",
            "!keyword-changed",
            "!keyword-changed",
        ),
        ("{minItems: 1}", "{minItems: 0}", "min-items-unset", "!min-items-unset"),
        ("{multipleOf: 2}", "{multipleOf: 4}", "!multiple-of-changed", "!multiple-of-changed"),
        ("{}", "{uniqueItems: true}", "!unique-items-set", "unique-items-set"),
        ("{}", "{pattern: a}", "!pattern-added", "pattern-added"),
        ("{pattern: a}", "{pattern: b}", "!pattern-changed", "!pattern-changed"),
        ("{pattern: a}", "{pattern: '.*'}", "pattern-generalized", "!pattern-changed"),
        ("{}", "{enum: [a]}", "!became-enum", "became-enum"),
        ("{enum: [a]}", "{}", "enum-removed", "!enum-removed"),
        (
            "{enum: [a, b]}",
            "{enum: [b, c]}",
            "!enum-value-removed enum-value-added",
            "!enum-value-added enum-value-removed",
        ),
        ("{const: a}", "{const: b}", "!const-changed", "!const-changed"),
        (
            "{additionalProperties: false}",
            "{}",
            "additional-properties-widened",
            "!additional-properties-widened",
        ),
        (
            "{additionalProperties: {type: integer}}",
            "{additionalProperties: {type: number}}",
            "type-generalized",
            "!type-generalized",
        ),
        ("{items: {type: string}}", "{items: {type: integer}}", "!type-changed", "!type-changed"),
        ("{}", "{items: {type: integer}}", "!items-added", "items-added"),
        (
            "{not: {type: string}}",
            "{not: {type: number}}",
            "!not-changed !type-changed",
            "!not-changed !type-changed",
        ),
        (
            "{if: {minLength: 2}}",
            "{if: {minLength: 1}}",
            "!if-changed min-length-decreased",
            "!if-changed !min-length-decreased",
        ),
        ("{unknown: 1}", "{unknown: 2}", "!keyword-changed", "!keyword-changed"),
        ("true", "false", "!type-changed", "!type-changed"),
        ("{x-note: 1}", "{x-note: 2, description: d}", "", ""),
    ] {
        assert_eq!(both(from, to), (request.to_owned(), response.to_owned()), "{from} -> {to}");
    }
}

#[test]
fn alternatives() {
    let a = "{type: object, properties: {a: {type: string}}}";
    let b = "{type: object, properties: {b: {type: string}}}";
    for (from, to, request, response) in [
        (
            format!("{{allOf: [{a}]}}"),
            format!("{{allOf: [{a}, {b}]}}"),
            "!all-of-added",
            "all-of-added",
        ),
        (
            format!("{{allOf: [{a}]}}"),
            format!("{{allOf: [{a}, {{title: T}}]}}"),
            "all-of-added-annotation-only",
            "all-of-added-annotation-only",
        ),
        (
            format!("{{anyOf: [{a}]}}"),
            format!("{{anyOf: [{b}, {a}]}}"),
            "any-of-added",
            "!any-of-added",
        ),
        // Both may match, and then oneOf refuses.
        (
            format!("{{oneOf: [{a}]}}"),
            format!("{{oneOf: [{b}, {a}]}}"),
            "!one-of-added",
            "!one-of-added",
        ),
        (
            format!("{{oneOf: [{a}]}}"),
            format!("{{oneOf: [{a}, {{type: string, minLength: 1}}]}}"),
            "one-of-added",
            "!one-of-added",
        ),
        (
            format!("{{oneOf: [{a}, {b}]}}"),
            format!("{{oneOf: [{b}]}}"),
            "!one-of-removed",
            "one-of-removed",
        ),
        // A list where there was none refuses what it does not name.
        ("{}".to_owned(), format!("{{anyOf: [{a}, {b}]}}"), "!any-of-added", "any-of-added"),
        (
            a.to_owned(),
            format!("{{oneOf: [{a}, {b}]}}"),
            "!wrapped-in-one-of",
            "!wrapped-in-one-of",
        ),
        (
            a.to_owned(),
            format!("{{anyOf: [{a}, {{type: 'null'}}]}}"),
            "became-nullable",
            "!became-nullable",
        ),
        (
            "{oneOf: [{type: string}, {type: integer}]}".to_owned(),
            "{type: string}".to_owned(),
            "!list-of-types-narrowed",
            "list-of-types-narrowed",
        ),
        (
            format!(
                "{{oneOf: [{a}, {b}], discriminator: {{propertyName: k, mapping: {{x: '#/a'}}}}}}"
            ),
            format!("{{oneOf: [{a}, {b}], discriminator: {{propertyName: k}}}}"),
            "!discriminator-mapping-deleted",
            "discriminator-mapping-deleted",
        ),
    ] {
        assert_eq!(both(&from, &to), (request.to_owned(), response.to_owned()), "{from} -> {to}");
    }
}

#[test]
fn properties() {
    let object = |inside: &str| format!("{{type: object, {inside}}}");
    let plain = object("properties: {a: {type: string}}");
    let check = |from: &str, to: &str, request: &str, response: &str| {
        let found = changes(around(&yaml(from)), around(&yaml(to)));
        let side =
            |at: &str| ids(found.iter().filter(|change| change.at.starts_with(at))).join(" ");
        assert_eq!((side("request"), side("response")), (request.to_owned(), response.to_owned()));
    };
    let two = object("properties: {a: {type: string}, b: {type: string}}");
    check(&plain, &two, "new-optional-request-property", "response-optional-property-added");
    check(&two, &plain, "!request-property-removed", "!response-optional-property-removed");
    let required = object("required: [b], properties: {a: {type: string}, b: {type: string}}");
    check(
        &two,
        &required,
        "!request-property-became-required",
        "response-property-became-required",
    );
    check(
        &required,
        &two,
        "request-property-became-optional",
        "!response-property-became-optional",
    );
    check(&plain, &required, "!new-required-request-property", "response-required-property-added");
    let shown = object("required: [b], properties: {a: {type: string}, b: {readOnly: true}}");
    check(&plain, &shown, "new-optional-request-property", "response-required-property-added");
    let hidden = object("properties: {a: {type: string, writeOnly: true}}");
    check(
        &plain,
        &hidden,
        "request-optional-property-became-write-only",
        "!response-optional-property-became-write-only",
    );
    // Who admitted nothing else may refuse what is new.
    let closed = object("additionalProperties: false, properties: {a: {type: string}}");
    let more = object("additionalProperties: false, properties: {a: {type: string}, b: {}}");
    check(&closed, &more, "new-optional-request-property", "!response-optional-property-added");
    check(
        &object("required: [z]"),
        &object("allOf: [{title: T}]"),
        "request-property-all-of-added-annotation-only request-property-became-optional",
        "!response-property-became-optional response-property-all-of-added-annotation-only",
    );
}

/// A list whose items are lists of itself, and a change deep in the circle.
#[test]
fn circles_end_and_every_operation_is_told() {
    let document = |kind: &str| {
        let text = format!(
            "{{openapi: 3.0.3, paths: {{/a: {{get: {{responses: {{200: {{content: {{j/json: {{schema:
            {{$ref: '#/components/schemas/A'}}}}}}}}}}}}}}, /b: {{get: {{responses: {{200: {{content:
            {{j/json: {{schema: {{$ref: '#/components/schemas/B'}}}}}}}}}}}}}}}}, components: {{schemas: {{
            A: {{properties: {{b: {{$ref: '#/components/schemas/B'}}}}}},
            B: {{properties: {{a: {{$ref: '#/components/schemas/A'}}, x: {{type: {kind}}}}}}}}}}}}}"
        );
        yaml(&text)
    };
    let found = changes(document("string"), document("integer"));
    let places: Vec<_> = found.iter().map(|c| (c.operation.as_str(), c.at.as_str())).collect();
    // B is the whole of one body, and a part of both.
    let expected = [
        ("GET /a", "response 200 j/json /b/x"),
        ("GET /b", "response 200 j/json /a/b/x"),
        ("GET /b", "response 200 j/json /x"),
    ];
    assert_eq!(places, expected);
    assert!(found.iter().all(|c| c.pointer == "/components/schemas/B/properties/x"));
    assert!(changes(document("string"), document("string")).is_empty());
}

/// Any keyword that comes, goes or changes is told, on at least one side as breaking.
#[test]
fn nothing_is_silent() {
    for (keyword, values) in [
        ("type", ["string", "integer"]),
        ("format", ["date", "uuid"]),
        ("enum", ["[a]", "[b]"]),
        ("pattern", ["a", "b"]),
        ("maximum", ["1", "2"]),
        ("exclusiveMinimum", ["1", "2"]),
        ("maxLength", ["1", "2"]),
        ("minLength", ["1", "2"]),
        ("maxProperties", ["1", "2"]),
        ("minProperties", ["1", "2"]),
        ("multipleOf", ["2", "3"]),
        ("items", ["{minLength: 1}", "{minLength: 2}"]),
        ("prefixItems", ["[{type: string}]", "[{type: integer}]"]),
        ("contains", ["{minLength: 1}", "{minLength: 2}"]),
        ("propertyNames", ["{minLength: 1}", "{minLength: 2}"]),
        ("patternProperties", ["{a: {minLength: 1}}", "{a: {minLength: 2}}"]),
        ("dependentSchemas", ["{a: {minLength: 1}}", "{a: {minLength: 2}}"]),
        ("dependentRequired", ["{a: [b]}", "{a: [c]}"]),
        ("unevaluatedProperties", ["false", "{minLength: 2}"]),
        ("contentEncoding", ["base64", "base32"]),
        ("contentMediaType", ["a/b", "a/c"]),
        ("$dynamicRef", ["'#a'", "'#b'"]),
        ("default", ["a", "b"]),
    ] {
        let with = |value: &str| format!("{{{keyword}: {value}}}");
        let pairs = [
            ("{}".to_owned(), with(values[0])),
            (with(values[0]), "{}".to_owned()),
            (with(values[0]), with(values[1])),
        ];
        for (from, to) in pairs {
            let (request, response) = both(&from, &to);
            assert!(format!("{request} {response}").contains('!'), "{from} -> {to}");
        }
    }
}
