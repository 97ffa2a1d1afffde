//! A Postman collection (schema v2.1) as a list of requests. Nothing of it is executed: of a script
//! `pm.response.to.have.status(n)` is read, and every other line is told of.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_runtime::{ErrorClass, Failure, invalid};
use hyper::Method;
use serde_json::Value;

/// Folders in folders; a deeper collection is none.
const DEPTH_MAX: usize = 16;

/// One request; in its texts `{{name}}` stands for a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// `Auth / Login`
    pub(super) name: String,
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    /// Each is a test of its own.
    pub(super) statuses: Vec<u16>,
    /// Lines of its scripts that say something else.
    pub(super) not_understood: Vec<String>,
}

impl Step {
    /// The names of the variables in its texts.
    pub(super) fn variables(&self) -> BTreeSet<&str> {
        let headers = self.headers.iter().map(|(_, value)| value.as_str());
        let texts = headers.chain([self.url.as_str()]).chain(self.body.as_deref());
        texts
            .flat_map(|text| text.split("{{").skip(1))
            .filter_map(|rest| rest.split_once("}}").map(|(name, _)| name))
            .collect()
    }
}

/// The requests of a collection, or of one of its folders, in their order.
///
/// # Errors
/// `invalid_input` for what is no collection or has no such folder; `unsupported` for requests that
/// cannot be sent as they are meant.
pub(super) fn steps(collection: &Value, folder: Option<&str>) -> Result<Vec<Step>, Failure> {
    let items = collection.get("item").and_then(Value::as_array);
    let items = items.ok_or_else(|| invalid("no Postman collection: it has no list `item`"))?;
    let mut steps = vec![];
    match folder {
        None => {
            authless("the collection", collection)?;
            for item in items {
                walk(item, "", 0, &mut steps)?;
            }
        }
        Some(folder) => {
            let named = items.iter().find(|item| item.get("name") == Some(&Value::from(folder)));
            let item = named.ok_or_else(|| invalid(format!("there is no folder {folder:?}")))?;
            walk(item, "", 0, &mut steps)?;
        }
    }
    Ok(steps)
}

/// The variables of the collection itself.
pub(super) fn variables(collection: &Value) -> BTreeMap<String, String> {
    let list = collection.get("variable").and_then(Value::as_array);
    let entry = |variable: &Value| {
        let value = text(variable, "value").unwrap_or_default();
        Some((text(variable, "key")?, value))
    };
    list.into_iter().flatten().filter_map(entry).collect()
}

/// A text with its variables filled in; those that are not known stay as they are.
pub(super) fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let known =
            after.split_once("}}").and_then(|(name, rest)| Some((variables.get(name)?, rest)));
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn walk(item: &Value, within: &str, depth: usize, steps: &mut Vec<Step>) -> Result<(), Failure> {
    let name = text(item, "name").unwrap_or_else(|| "(no name)".to_owned());
    let name = if within.is_empty() { name } else { format!("{within} / {name}") };
    if depth >= DEPTH_MAX {
        return Err(invalid(format!("{name}: more than {DEPTH_MAX} folders deep")));
    }
    authless(&name, item)?;
    if let Some(items) = item.get("item").and_then(Value::as_array) {
        return items.iter().try_for_each(|item| walk(item, &name, depth + 1, steps));
    }
    steps.push(step(name, item)?);
    Ok(())
}

fn step(name: String, item: &Value) -> Result<Step, Failure> {
    let Some(request) = item.get("request").filter(|request| request.is_object()) else {
        return Err(invalid(format!("{name}: has no request")));
    };
    authless(&name, request)?;
    let url = request.get("url");
    let url = url.and_then(|url| url.as_str().map(str::to_owned).or_else(|| text(url, "raw")));
    let url = url.ok_or_else(|| invalid(format!("{name}: has no url")))?;
    let method = text(request, "method").unwrap_or_else(|| "GET".to_owned());
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| invalid(format!("{name}: method {method:?}")))?;
    let body = match request.get("body").filter(|body| !body.is_null()) {
        None => None,
        Some(body) => match body.get("mode").and_then(Value::as_str) {
            None => None,
            Some("raw") => text(body, "raw").filter(|raw| !raw.is_empty()),
            Some(mode) => return Err(unsupported(&format!("{name}: a body of mode {mode:?}"))),
        },
    };
    let headers = request.get("header").and_then(Value::as_array).into_iter().flatten();
    let headers = headers
        .filter(|header| header.get("disabled") != Some(&Value::Bool(true)))
        .filter_map(|header| Some((text(header, "key")?, text(header, "value")?)))
        .collect();
    let (statuses, not_understood) = scripts(item);
    Ok(Step { name, method, url, headers, body, statuses, not_understood })
}

/// The statuses that the scripts of a request test for, and the lines that say something else.
fn scripts(item: &Value) -> (Vec<u16>, Vec<String>) {
    let events = item.get("event").and_then(Value::as_array).into_iter().flatten();
    let lines = events.flat_map(|event| match event.pointer("/script/exec") {
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => text.lines().collect(),
        Some(_) | None => vec![],
    });
    let (mut statuses, mut others) = (vec![], vec![]);
    for line in lines.map(str::trim) {
        match status(line) {
            Some(status) => statuses.push(status),
            None if frame(line) => {}
            None => others.push(line.to_owned()),
        }
    }
    (statuses, others)
}

/// `pm.response.to.have.status(201);`, also within its `pm.test(…)` on one line.
fn status(line: &str) -> Option<u16> {
    let (before, after) = line.split_once("pm.response.to.have.status(")?;
    let (number, after) = after.split_once(')')?;
    let whole = (before.is_empty() || frame(before.trim())) && frame(after.trim());
    number.trim().parse().ok().filter(|_| whole)
}

/// What stands around tests and tests nothing.
fn frame(line: &str) -> bool {
    let opens = line.starts_with("pm.test(") && line.ends_with('{') && !line.contains(';');
    let closes = line.chars().all(|c| matches!(c, '}' | ')' | ';' | ' '));
    opens || closes || line.starts_with("//")
}

/// Credentials of Postman's own kinds are not sent; without them the answer would mislead.
fn authless(name: &str, holder: &Value) -> Result<(), Failure> {
    match holder.pointer("/auth/type").and_then(Value::as_str) {
        None | Some("noauth") => Ok(()),
        Some(kind) => Err(unsupported(&format!("{name}: auth of type {kind:?}"))),
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn unsupported(text: &str) -> Failure {
    Failure::new(ErrorClass::Unsupported, text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_script(lines: &[&str]) -> (Vec<u16>, Vec<String>) {
        scripts(&json!({"event": [{"listen": "test", "script": {"exec": lines}}]}))
    }

    #[test]
    fn only_tests_of_the_status_are_understood() {
        let lines = [
            "// made",
            "pm.test('made', function () {",
            "  pm.response.to.have.status(201);",
            "});",
        ];
        assert_eq!(with_script(&lines), (vec![201], vec![]));
        let one = "pm.test('ok', () => { pm.response.to.have.status(200); });";
        assert_eq!(with_script(&[one]), (vec![200], vec![]));
        for other in [
            "pm.expect(1).to.equal(1);",
            "if (a) { pm.response.to.have.status(200); }",
            "pm.response.to.have.status(code);",
            "tests['a'] = true;",
        ] {
            assert_eq!(with_script(&[other]), (vec![], vec![other.to_owned()]));
        }
    }

    #[test]
    fn variables_are_filled_in_once() {
        let variables = [("a", "{{b}}"), ("b", "2")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(filled("{{a}}/{{b}}/{{c}}/{{", &variables), "{{b}}/2/{{c}}/{{");
    }

    #[test]
    fn what_cannot_be_sent_as_it_is_meant_is_refused() {
        let of = |item: Value| steps(&json!({"item": [item]}), None).unwrap_err().class;
        let auth = json!({"request": {"url": "/", "auth": {"type": "basic"}}});
        let form = json!({"request": {"url": "/", "body": {"mode": "formdata"}}});
        assert_eq!((of(auth), of(form)), (ErrorClass::Unsupported, ErrorClass::Unsupported));
        assert_eq!(of(json!({"request": {}})), ErrorClass::InvalidInput);
        let none = steps(&json!({"item": []}), Some("Auth")).unwrap_err();
        assert_eq!(none.class, ErrorClass::InvalidInput);
    }
}
