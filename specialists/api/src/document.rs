//! An `OpenAPI` document: parsed once, and then a tree of JSON with places in it.
//!
//! Nothing outside of the document is ever read: a `$ref` that leads elsewhere is refused.

use std::path::Path;

use deadelus_runtime::{Context, ErrorClass, Failure, Source, Text, blocking, invalid};
use serde_json::Value;

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
    /// Reads what a task names.
    ///
    /// # Errors
    /// Those of [`Source::text`] and [`Document::parse`].
    pub(crate) async fn load(
        source: &Source,
        cx: &Context,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let text = source.text(cx, folder).await?;
        blocking(move || Self::parse(&text)).await
    }

    /// Reads JSON or YAML.
    ///
    /// # Errors
    /// `invalid_input` when it is neither or no `OpenAPI` document; `unsupported` for versions
    /// other than 3.0 and 3.1; `denied` for a `$ref` that leads out of the document.
    pub fn parse(text: &Text) -> Result<Self, Failure> {
        let name = &text.name;
        let document = Self::from_value(name, text.tree()?)?;
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
