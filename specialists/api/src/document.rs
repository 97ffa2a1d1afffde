//! An `OpenAPI` document: parsed once, and then a tree of JSON with places in it.
//!
//! Nothing outside of the document is ever read: a `$ref` that leads elsewhere is refused.

use deadelus_runtime::{ErrorClass, Failure};
use serde_json::Value;

/// A description this long is generated; the largest public ones are about as long.
pub const DOCUMENT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Values of a document once its YAML aliases are expanded: a few bytes each in an honest one.
const NODES_MAX: usize = 4_000_000;

/// References that lead to references; a longer chain is a circle.
const REFERENCES_MAX: usize = 32;

/// Which standard a document says it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 3.0.x: schemas are a dialect of their own.
    V3_0,
    /// 3.1.x: schemas are JSON Schema 2020-12.
    V3_1,
}

impl Version {
    /// `3.0`
    pub fn in_words(self) -> &'static str {
        match self {
            Self::V3_0 => "3.0",
            Self::V3_1 => "3.1",
        }
    }
}

/// A parsed document.
#[derive(Debug, Clone)]
pub struct Document {
    root: Value,
    version: Version,
}

impl Document {
    /// Reads JSON or YAML.
    ///
    /// # Errors
    /// `invalid_input` when it is neither, too large, or no `OpenAPI` document; `unsupported` for
    /// versions other than 3.0 and 3.1; `denied` for a `$ref` that leads out of the document.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, Failure> {
        let document = Self::from_value(name, value(name, text)?)?;
        let away = references(&document.root, String::new()).into_iter().find(|r| !r.local());
        match away {
            None => Ok(document),
            Some(Reference { at, to }) => {
                let text = format!("{name}#{at}: $ref {to:?} leads out of the document");
                Err(Failure::new(ErrorClass::Denied, text)
                    .help("bundle the document first: nothing else is fetched or read"))
            }
        }
    }

    /// Takes what is parsed already.
    ///
    /// # Errors
    /// As [`Document::parse`], except for references.
    pub fn from_value(name: &str, root: Value) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::new(ErrorClass::InvalidInput, text);
        if !within(&root, &mut NODES_MAX.clone()) {
            return Err(invalid(format!("{name}: over {NODES_MAX} values")));
        }
        if let Some(old) = root.get("swagger") {
            let text = format!("{name}: version {old} is not supported, only 3.0 and 3.1 are");
            return Err(Failure::new(ErrorClass::Unsupported, text).help("convert it to 3.1"));
        }
        let said = root.get("openapi").and_then(Value::as_str).ok_or_else(|| {
            invalid(format!("{name}: no OpenAPI document: it has no string `openapi`"))
        })?;
        let version = match said.split('.').collect::<Vec<_>>()[..] {
            ["3", "0", ..] => Version::V3_0,
            ["3", "1", ..] => Version::V3_1,
            _ => {
                let text = format!("{name}: version {said:?}: only 3.0 and 3.1 are supported");
                return Err(Failure::new(ErrorClass::Unsupported, text));
            }
        };
        Ok(Self { root, version })
    }

    /// The whole tree.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// What it says it follows.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Follows `$ref`s from a value that stands at a JSON pointer, to what is meant and where that
    /// stands. A reference to nothing stays what it is.
    pub(crate) fn resolve<'a>(&'a self, at: &str, value: &'a Value) -> (String, &'a Value) {
        let (mut at, mut value) = (at.to_owned(), value);
        for _ in 0..REFERENCES_MAX {
            let Some(to) = reference(value).and_then(|to| to.strip_prefix('#')) else { break };
            let to = decode_percent(to);
            let Some(target) = self.root.pointer(&to) else { break };
            (at, value) = (to, target);
        }
        (at, value)
    }
}

/// The tree behind a text in JSON or YAML.
///
/// Keys are in the order of their bytes.
///
/// # Errors
/// `invalid_input` when it is neither, or too large.
pub(crate) fn value(name: &str, text: &[u8]) -> Result<Value, Failure> {
    let invalid = |text: String| Failure::new(ErrorClass::InvalidInput, text);
    if text.len() > DOCUMENT_MAX_BYTES {
        let text = format!("{name}: {} bytes, at most {DOCUMENT_MAX_BYTES}", text.len());
        return Err(invalid(text));
    }
    let text = std::str::from_utf8(text).map_err(|e| invalid(format!("{name}: {e}")))?;
    let mut value = parsed(text).map_err(|problem| invalid(format!("{name}: {problem}")))?;
    // They are sorted unless some crate of the build asks serde_json to keep them as they came.
    value.sort_all_objects();
    Ok(value)
}

fn parsed(text: &str) -> Result<Value, String> {
    // JSON is YAML too, but its own parser is ten times as fast.
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    json(serde_yaml_ng::from_str(text).map_err(|e| e.to_string())?)
}

/// YAML as JSON: keys such as `200:` become text, as every `OpenAPI` reader has it.
fn json(yaml: serde_yaml_ng::Value) -> Result<Value, String> {
    use serde_yaml_ng::Value as Yaml;
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => Value::Bool(b),
        Yaml::Number(n) => serde_json::to_value(n).map_err(|e| e.to_string())?,
        Yaml::String(s) => Value::String(s),
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(map) => {
            let entry = |(key, value): (Yaml, Yaml)| Ok((json_key(key)?, json(value)?));
            Value::Object(map.into_iter().map(entry).collect::<Result<_, String>>()?)
        }
        Yaml::Tagged(tagged) => return Err(format!("YAML tag {} is not allowed", tagged.tag)),
    })
}

fn json_key(key: serde_yaml_ng::Value) -> Result<String, String> {
    match json(key)? {
        Value::String(key) => Ok(key),
        Value::Number(key) => Ok(key.to_string()),
        Value::Bool(key) => Ok(key.to_string()),
        other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            Err(format!("{other} cannot be the key of an object"))
        }
    }
}

/// A `$ref` and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// JSON pointer of the object that holds it.
    pub(crate) at: String,
    /// What it says.
    pub(crate) to: String,
}

impl Reference {
    /// Whether it stays in the document.
    pub(crate) fn local(&self) -> bool {
        self.to.starts_with('#')
    }
}

/// Every `$ref` of a tree. What stands in an example is data and no reference.
pub(crate) fn references(value: &Value, at: String) -> Vec<Reference> {
    let mut found = vec![];
    let mut open = vec![(value, at)];
    while let Some((value, at)) = open.pop() {
        if let Some(to) = reference(value) {
            found.push(Reference { at: at.clone(), to: to.to_owned() });
        }
        let data = |key: &str| matches!(key, "example" | "default" | "const" | "enum" | "value");
        match value {
            Value::Object(map) => {
                let named = at.ends_with("/properties");
                let inner = map.iter().filter(|(key, _)| named || !data(key));
                open.extend(inner.map(|(key, inner)| (inner, child(&at, key))));
            }
            Value::Array(items) => {
                let inner = items.iter().enumerate();
                open.extend(inner.map(|(place, inner)| (inner, child(&at, &place.to_string()))));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

/// What a reference object refers to.
pub(crate) fn reference(value: &Value) -> Option<&str> {
    value.as_object()?.get("$ref")?.as_str()
}

/// The pointer of what stands under a key.
pub(crate) fn child(at: &str, key: &str) -> String {
    let mut pointer = String::with_capacity(at.len() + key.len() + 1);
    pointer.push_str(at);
    pointer.push('/');
    for c in key.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
    pointer
}

/// `%7B` in the fragment of a URI means `{`.
fn decode_percent(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            Some(_) | None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Whether a tree has no more values than are left.
fn within(value: &Value, left: &mut usize) -> bool {
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    match value {
        Value::Array(items) => items.iter().all(|item| within(item, left)),
        Value::Object(map) => map.values().all(|item| within(item, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests;
