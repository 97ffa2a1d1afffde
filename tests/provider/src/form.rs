//! Bodies and queries as Stripe's clients write them: `items[0][price]=price_1`.

use serde_json::{Map, Value};

/// The pairs of a form as nested objects; lists are objects whose keys are their indices, or arrive
/// as `name[]=…`. All values are text.
pub(crate) fn parse(text: &[u8]) -> Map<String, Value> {
    let mut form = Map::new();
    for (name, value) in form_urlencoded::parse(text) {
        let mut path = name.split('[').map(|part| part.trim_end_matches(']'));
        let first = path.next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = path.collect();
        put(&mut form, first, &rest, value.into_owned());
    }
    form
}

fn put(into: &mut Map<String, Value>, name: String, rest: &[&str], value: String) {
    let name = if name.is_empty() { into.len().to_string() } else { name };
    match rest {
        [] => {
            into.insert(name, Value::String(value));
        }
        [next, rest @ ..] => {
            let inner = into.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                put(inner, (*next).to_owned(), rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_nest() {
        for (text, expected) in [
            ("a=1&b=x%20y", r#"{"a":"1","b":"x y"}"#),
            (
                "items[0][price]=p&items[0][quantity]=2",
                r#"{"items":{"0":{"price":"p","quantity":"2"}}}"#,
            ),
            ("lookup_keys[]=a&lookup_keys[]=b", r#"{"lookup_keys":{"0":"a","1":"b"}}"#),
            ("metadata[a]=", r#"{"metadata":{"a":""}}"#),
            ("a=1&a[b]=2", r#"{"a":"1"}"#),
            ("", "{}"),
        ] {
            assert_eq!(Value::Object(parse(text.as_bytes())).to_string(), expected, "{text}");
        }
    }
}
