//! JSON and YAML as one tree of JSON.

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;

/// The tree behind a text, keys in the order of their bytes; or what is wrong with the text.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut tree = read(text)?;
    // They are sorted unless some crate of the build asks serde_json to keep them as they came.
    tree.sort_all_objects();
    Ok(tree)
}

fn read(text: &str) -> Result<Value, String> {
    // JSON is YAML too, but its own parser is ten times as fast.
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    json(serde_yaml_ng::from_str(text).map_err(|e| e.to_string())?)
}

/// Keys such as `200:` become text.
fn json(yaml: Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => Value::Bool(b),
        Yaml::Number(n) => serde_json::to_value(n).map_err(|e| e.to_string())?,
        Yaml::String(s) => Value::String(s),
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(map) => {
            let entry = |(name, value): (Yaml, Yaml)| Ok((key(name)?, json(value)?));
            Value::Object(map.into_iter().map(entry).collect::<Result<_, String>>()?)
        }
        Yaml::Tagged(tagged) => return Err(format!("YAML tag {} is not allowed", tagged.tag)),
    })
}

fn key(key: Yaml) -> Result<String, String> {
    match json(key)? {
        Value::String(key) => Ok(key),
        Value::Number(key) => Ok(key.to_string()),
        Value::Bool(key) => Ok(key.to_string()),
        other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err(format!("{other} cannot be the key of an object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_notations_give_one_tree() {
        let tree = json!({"b": [1.5, null], "responses": {"200": {}, "true": "x"}});
        for text in [
            r#" {"responses": {"true": "x", "200": {}}, "b": [1.5, null]}"#,
            "{responses: {200: {}, true: x}, b: [1.5, ~]}",
            "responses:\n  200: {}\n  true: x\nb: [1.5, null]",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), tree.to_string(), "{text}");
        }
    }

    #[test]
    fn what_json_cannot_say_is_named() {
        for (text, named) in [
            ("a: !ref x", "YAML tag !ref is not allowed"),
            ("{[1]: x}", "[1] cannot be the key"),
            ("a: [", "flow"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(named), "{problem}");
        }
    }
}
