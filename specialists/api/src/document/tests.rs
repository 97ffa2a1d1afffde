use serde_json::json;

use super::*;

fn parse(text: &str) -> Result<Document, Failure> {
    Document::parse(&Text::new("a.yaml", text)?)
}

#[test]
fn yaml_and_json_are_the_same_tree() {
    let yaml = parse("openapi: 3.0.3\nresponses:\n  200: {description: ok}").unwrap();
    let json = parse(r#"{"openapi": "3.0.3", "responses": {"200": {"description": "ok"}}}"#);
    assert_eq!(yaml.root(), json.unwrap().root());
    assert_eq!(yaml.version(), Version::V3_0);
    assert_eq!(parse("openapi: 3.1.1").unwrap().version(), Version::V3_1);
}

#[test]
fn junk_is_refused_by_name() {
    let layers = (1..26).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        text + &format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1)
    });
    let bomb = format!("openapi: 3.0.3\n{layers}");
    let deep = format!("openapi: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    for text in ["", "[]", "a: [", "openapi: 3", "openapi: !x 3.0.3", "? [a]\n: b", &bomb, &deep] {
        let failure = parse(text).unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput, "{failure}");
        assert!(failure.message.starts_with("a.yaml: "), "{failure}");
    }
}

#[test]
fn references_stay_inside_and_circles_end() {
    let text = "openapi: 3.0.3\na: {$ref: '#/b'}\nb: {$ref: '#/a'}\nc: {$ref: '#/d~1e/%7Bf%7D'}\n\
        d/e: {'{f}': {x: 1}}\nz: {$ref: '#/nothing'}";
    let document = parse(text).unwrap();
    let resolve = |key: &str| document.resolve(&child("", key), &document.root()[key]);
    assert_eq!(resolve("c"), ("/d~1e/{f}".to_owned(), &json!({"x": 1})));
    assert!(reference(resolve("a").1).is_some());
    assert_eq!(resolve("z").0, "/z");
    for away in ["http://example.org/x", "other.yaml", "../up.yaml#/a", "file:///etc/passwd"] {
        let text = format!("openapi: 3.0.3\nx: {{$ref: '{away}'}}");
        let failure = parse(&text).unwrap_err();
        assert_eq!(failure.class, ErrorClass::Denied);
        assert!(failure.message.contains(&format!("#/x: $ref {away:?}")), "{failure}");
    }
    // In an example it is data; a property may have the name of a keyword.
    assert!(parse("openapi: 3.0.3\nexample: {$ref: 'x.yaml'}").is_ok());
    assert!(parse("openapi: 3.0.3\nproperties: {example: {$ref: 'x.yaml'}}").is_err());
}
