//! The requests that an operation is tried with: some that fit the document, and some of which each
//! breaks one rule of it. Makes them; sends none.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};

use super::{
    document::{Document, Operation, Place},
    sample::{breaking, fitting},
};
use crate::client::{Ask, encoded};

/// What the service itself told: by the path that answered and the name of the value.
pub(super) type Known = BTreeMap<(String, String), Value>;

/// A request and what is expected of its answer.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// What is wrong with it; none when nothing is.
    pub(super) breaks: Option<String>,
    pub(super) ask: Ask,
}

/// Everything that goes into a request.
#[derive(Debug, Clone, Default)]
struct Input {
    /// By where it stands (`path`, `query`, `header`) and its name.
    values: BTreeMap<(String, String), Value>,
    body: Option<Value>,
}

/// One request that fits, with what is required where `rng` is none, else with some of the rest.
///
/// # Errors
/// In words, when no value is found that its schema accepts.
pub(super) fn valid(
    document: &Document,
    operation: &Operation<'_>,
    known: &Known,
    mut rng: Option<fastrand::Rng>,
) -> Result<Case, String> {
    let input = input(document, operation, known, &mut rng)?;
    Ok(Case { breaks: None, ask: ask(operation, &input, None) })
}

/// Requests that fit but for one thing.
///
/// # Errors
/// As [`valid`].
pub(super) fn invalid(
    document: &Document,
    operation: &Operation<'_>,
    known: &Known,
) -> Result<Vec<Case>, String> {
    let good = input(document, operation, known, &mut None)?;
    let mut cases = vec![];
    let mut add = |what: String, input: &Input| {
        cases.push(Case { breaks: Some(what), ask: ask(operation, input, None) });
    };
    for parameter in document.parameters(operation) {
        let Some((key, required)) = identity(&parameter) else { continue };
        if required && key.0 != "path" {
            let mut input = good.clone();
            input.values.remove(&key);
            add(format!("without {} {}", key.0, key.1), &input);
        }
        let Some(schema) = document.get(&parameter, "schema") else { continue };
        let validator = document.validator(&schema)?;
        for (what, value) in breaking(schema.value, true) {
            let text = in_url(&value);
            let another_path = key.0 == "path" && text.is_empty();
            if !another_path && !validator.is_valid(&value) {
                let mut input = good.clone();
                input.values.insert(key.clone(), value);
                add(format!("{} {}: {what}", key.0, key.1), &input);
            }
        }
    }
    if let Some((schema, required)) = body(document, operation) {
        let validator = document.validator(&schema)?;
        for (what, body) in bodies(document, &schema, good.body.as_ref()) {
            if !validator.is_valid(&body) {
                add(format!("body: {what}"), &Input { body: Some(body), ..good.clone() });
            }
        }
        if required {
            add("without a body".to_owned(), &Input { body: None, ..good.clone() });
        }
        let broken = ask(operation, &good, Some("{\"no JSON"));
        cases.push(Case { breaks: Some("body: no JSON".to_owned()), ask: broken });
    }
    Ok(cases)
}

/// Bodies that each break one rule: of the whole, or of one property.
fn bodies(document: &Document, schema: &Place<'_>, good: Option<&Value>) -> Vec<(String, Value)> {
    let mut wrong = breaking(schema.value, false);
    let Some(good @ Value::Object(fields)) = good else { return wrong };
    for name in fields.keys() {
        let mut body = good.clone();
        body.as_object_mut().map(|fields| fields.remove(name));
        wrong.push((format!("without {name}"), body));
    }
    let mut more = good.clone();
    more["deadelus_no_such_property"] = json!(true);
    wrong.push(("a property that is not allowed".to_owned(), more));
    let Some(properties) = document.get(schema, "properties") else { return wrong };
    for name in properties.value.as_object().into_iter().flat_map(serde_json::Map::keys) {
        let Some(property) = document.get(&properties, name) else { continue };
        for (what, value) in breaking(property.value, false) {
            let mut body = good.clone();
            body[name] = value;
            wrong.push((format!("{name}: {what}"), body));
        }
    }
    wrong
}

fn input(
    document: &Document,
    operation: &Operation<'_>,
    known: &Known,
    rng: &mut Option<fastrand::Rng>,
) -> Result<Input, String> {
    let mut input = Input::default();
    for parameter in document.parameters(operation) {
        let Some((key, required)) = identity(&parameter) else { continue };
        let chosen = rng.as_mut().is_some_and(fastrand::Rng::bool);
        if !required && !chosen {
            continue;
        }
        let seen = (key.0 == "path").then(|| seen(operation.path, &key.1, known)).flatten();
        let value = match (seen, parameter.value.get("example"), document.get(&parameter, "schema"))
        {
            (Some(value), _, _) => value,
            (None, Some(example), _) => example.clone(),
            (None, None, Some(schema)) => {
                let value = fitting(document, &schema, rng, 0);
                fits(document, &schema, &value)?;
                value
            }
            (None, None, None) => json!("1"),
        };
        input.values.insert(key, value);
    }
    if let Some((schema, _)) = body(document, operation) {
        let example = document.get(&operation.place, "requestBody");
        let example =
            example.and_then(|body| json_content(document, &body)?.value.get("example").cloned());
        let value = match example.filter(|_| rng.is_none()) {
            Some(example) => example,
            None => fitting(document, &schema, rng, 0),
        };
        fits(document, &schema, &value)?;
        input.body = Some(value);
    }
    Ok(input)
}

fn fits(document: &Document, schema: &Place<'_>, value: &Value) -> Result<(), String> {
    let valid = document.validator(schema)?.is_valid(value);
    if valid { Ok(()) } else { Err(format!("no value was found for the schema at {}", schema.at)) }
}

/// Of `/orders/{id}`: the value of that name, or the `id`, that `/orders` answered with.
fn seen(path: &str, name: &str, known: &Known) -> Option<Value> {
    let before = path.split(&format!("/{{{name}}}")).next()?.to_owned();
    let of = |key: &str| known.get(&(before.clone(), key.to_owned())).cloned();
    of(name).or_else(|| of("id"))
}

fn ask(operation: &Operation<'_>, input: &Input, raw_body: Option<&str>) -> Ask {
    let mut path = operation.path.to_owned();
    let (mut query, mut headers) = (vec![], vec![]);
    for ((place, name), value) in &input.values {
        let text = in_url(value);
        match place.as_str() {
            "path" => path = path.replace(&format!("{{{name}}}"), &encoded(&text)),
            "query" => query.push(format!("{}={}", encoded(name), encoded(&text))),
            "header" => headers.push((name.clone(), text)),
            _ => {}
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let body = raw_body.map(str::to_owned).or_else(|| input.body.as_ref().map(Value::to_string));
    if body.is_some() {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    let method = Method::from_bytes(operation.method.to_uppercase().as_bytes()).unwrap_or_default();
    Ask { method, path, headers, body: body.map(Into::into) }
}

/// As it stands in a URL or a header.
fn in_url(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_url).collect::<Vec<_>>().join(","),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Where a parameter stands and its name, and whether it must be there. Cookies are not sent.
fn identity(parameter: &Place<'_>) -> Option<((String, String), bool)> {
    let text = |key: &str| parameter.value.get(key).and_then(Value::as_str).map(str::to_owned);
    let place = text("in").filter(|place| place != "cookie")?;
    let required = parameter.value.get("required") == Some(&Value::Bool(true)) || place == "path";
    Some(((place, text("name")?), required))
}

/// The schema of a JSON body, and whether there must be one.
fn body<'a>(document: &'a Document, operation: &Operation<'a>) -> Option<(Place<'a>, bool)> {
    let body = document.get(&operation.place, "requestBody")?;
    let required = body.value.get("required") == Some(&Value::Bool(true));
    let schema = document.get(&json_content(document, &body)?, "schema")?;
    Some((schema, required))
}

fn json_content<'a>(document: &'a Document, body: &Place<'a>) -> Option<Place<'a>> {
    document.get(&document.get(body, "content")?, "application/json")
}
