//! One value, one text: what a digest is taken of, whatever build takes it.

use serde_json::Value;

/// JSON without spaces, every object's keys in the order of their bytes.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string());
        }
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            // serde_json sorts unless some crate of the build asks it to keep the order.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (n, (key, item)) in entries.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_and_the_spaces_of_the_text_do_not_matter() {
        let one: Value =
            serde_json::from_str(r#"{"b": [1, {"d": "ä\n", "c": 1.5}], "a": null}"#).unwrap();
        let other: Value =
            serde_json::from_str(r#"{"a":null,"b":[1,{"c":1.5,"d":"\u00e4\n"}]}"#).unwrap();
        assert_eq!(text(&one), r#"{"a":null,"b":[1,{"c":1.5,"d":"ä\n"}]}"#);
        assert_eq!(text(&one), text(&other));
    }
}
