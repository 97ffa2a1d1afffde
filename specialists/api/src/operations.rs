//! The operations of a document.

use serde_json::Value;

use crate::document::{Document, child};

/// Methods a path can have, in both versions of the standard.
pub(crate) const METHODS: [&str; 8] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One operation and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Operation<'a> {
    /// `post`
    pub(crate) method: &'static str,
    /// `/orders/{id}`
    pub(crate) path: &'a str,
    pub(crate) pointer: String,
    pub(crate) value: &'a Value,
    item: &'a Value,
}

impl<'a> Operation<'a> {
    /// The names in braces, in their order.
    pub(crate) fn names(&self) -> Vec<&'a str> {
        path_parameters(self.path)
    }

    /// Its parameters, and those of its path that it does not replace.
    pub(crate) fn parameters(&self, document: &'a Document) -> Vec<&'a Value> {
        let list = |holder: &'a Value| -> Vec<&'a Value> {
            let list = holder.get("parameters").and_then(Value::as_array);
            list.into_iter().flatten().map(|value| document.resolve("", value).1).collect()
        };
        let same =
            |a: &Value, b: &Value| a.get("in") == b.get("in") && a.get("name") == b.get("name");
        let mut all = list(self.value);
        for shared in list(self.item) {
            if !all.iter().any(|own| same(own, shared)) {
                all.push(shared);
            }
        }
        all
    }
}

impl Document {
    /// Every operation, path by path.
    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.root().get("paths").and_then(Value::as_object);
        paths.into_iter().flatten().flat_map(move |(path, item)| {
            let (at, item) = self.resolve(&child("/paths", path), item);
            METHODS.iter().filter_map(move |method| {
                let value = item.get(method)?;
                Some(Operation { method, path, pointer: child(&at, method), value, item })
            })
        })
    }
}

/// A path without the names of its parameters: they are not on the wire.
pub(crate) fn template(path: &str) -> String {
    let mut bare = String::new();
    let mut inside = false;
    for c in path.chars() {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        bare.push(c);
    }
    bare
}

/// The names in braces, in their order.
pub(crate) fn path_parameters(path: &str) -> Vec<&str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}
