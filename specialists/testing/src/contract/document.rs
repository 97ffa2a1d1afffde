//! An `OpenAPI` document as far as a live service can be held to it.

use deadelus_runtime::{ErrorClass, Failure};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::encoded;

/// References that lead to references; a longer chain is a circle.
const REFERENCES_MAX: usize = 32;

/// Methods in the order that they are tried: what makes something comes before what reads it.
const METHODS: [&str; 7] = ["post", "get", "head", "options", "put", "patch", "delete"];

/// A document whose schemas are JSON Schema, whatever its version says.
#[derive(Debug)]
pub(super) struct Document(Value);

/// A value and the JSON pointer of where it stands.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub(super) at: String,
    pub(super) value: &'a Value,
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation<'a> {
    /// `post`
    pub(super) method: &'static str,
    /// `/orders/{id}`
    pub(super) path: &'a str,
    pub(super) place: Place<'a>,
    item: Place<'a>,
}

impl Document {
    /// # Errors
    /// `invalid_input` for what is no `OpenAPI` document, `unsupported` for versions other than 3,
    /// `denied` when it refers to anything outside of it.
    pub(super) fn new(mut root: Value) -> Result<Self, Failure> {
        match root.get("openapi").and_then(Value::as_str) {
            Some(version) if version.starts_with("3.0") => modern(&mut root),
            Some(version) if version.starts_with("3.1") => {}
            Some(version) => {
                let text = format!("OpenAPI {version} is not supported, only 3.0 and 3.1 are");
                return Err(Failure::new(ErrorClass::Unsupported, text));
            }
            None => {
                let text = "no OpenAPI document: it has no string `openapi`";
                return Err(Failure::new(ErrorClass::InvalidInput, text));
            }
        }
        if let Some(away) = away(&root) {
            let text = format!("$ref {away:?} leads out of the document");
            return Err(Failure::new(ErrorClass::Denied, text).help("bundle the document first"));
        }
        Ok(Self(root))
    }

    /// What stands under a key of a value, through references.
    pub(super) fn get<'a>(&'a self, place: &Place<'a>, key: &str) -> Option<Place<'a>> {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Some(self.resolve(format!("{}/{escaped}", place.at), place.value.get(key)?))
    }

    /// What stands at a place of a list, through references.
    pub(super) fn get_item<'a>(&'a self, list: &Place<'a>, place: usize) -> Option<Place<'a>> {
        Some(self.resolve(format!("{}/{place}", list.at), list.value.get(place)?))
    }

    /// The operations, in the order that they are tried: makers first, removers last.
    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.get(&Place { at: String::new(), value: &self.0 }, "paths");
        let Some(paths) = paths else { return vec![] };
        let names = paths.value.as_object().into_iter().flat_map(serde_json::Map::keys);
        let mut operations: Vec<Operation<'_>> = names
            .filter_map(|path| Some((path, self.get(&paths, path)?)))
            .flat_map(|(path, item)| {
                METHODS.iter().filter_map(move |method| {
                    let place = self.get(&item, method)?;
                    Some(Operation { method, path, place, item: item.clone() })
                })
            })
            .collect();
        let rank = |method| METHODS.iter().position(|known| *known == method);
        operations.sort_by_key(|operation| {
            let depth = operation.path.matches('{').count();
            (operation.method == "delete", depth, rank(operation.method))
        });
        operations
    }

    /// The parameters of an operation, and those of its path that it does not replace.
    pub(super) fn parameters<'a>(&'a self, operation: &Operation<'a>) -> Vec<Place<'a>> {
        let list = |holder: &Place<'a>| -> Vec<Place<'a>> {
            let Some(list) = self.get(holder, "parameters") else { return vec![] };
            (0..).map_while(|n| self.get_item(&list, n)).collect()
        };
        let mut all = list(&operation.place);
        for shared in list(&operation.item) {
            let same = |own: &Place<'_>| {
                ["in", "name"].iter().all(|key| own.value.get(key) == shared.value.get(key))
            };
            if !all.iter().any(same) {
                all.push(shared);
            }
        }
        all
    }

    /// Whether whoever has no credentials may be turned away.
    pub(super) fn secured(&self, operation: &Operation<'_>) -> bool {
        let own = operation.place.value.get("security").or_else(|| self.0.get("security"));
        own.and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    }

    /// A validator of the schema at a place; formats are checked.
    pub(super) fn validator(&self, schema: &Place<'_>) -> Result<Validator, String> {
        // The schema is asked for by its place, so that its own references find their targets.
        let mut root = json!({"$ref": format!("#{}", percent(&schema.at))});
        for part in ["components", "paths"] {
            if let Some(value) = self.0.get(part) {
                root[part] = value.clone();
            }
        }
        jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .build(&root)
            .map_err(|e| format!("the schema at {}: {e}", schema.at))
    }

    /// A reference to nothing stays what it is.
    fn resolve<'a>(&'a self, at: String, value: &'a Value) -> Place<'a> {
        let mut place = Place { at, value };
        for _ in 0..REFERENCES_MAX {
            let Some(to) = place.value.get("$ref").and_then(Value::as_str) else { break };
            let Some(to) = to.strip_prefix('#') else { break };
            let Some(value) = self.0.pointer(to) else { break };
            place = Place { at: to.to_owned(), value };
        }
        place
    }
}

/// A pointer as the fragment of a URI: braces of a path are not allowed there.
fn percent(pointer: &str) -> String {
    pointer.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// Schemas of 3.0 are a dialect: `nullable`, and limits that are excluded by a flag.
fn modern(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true)) {
                if let Some(one @ Value::String(_)) = map.get("type").cloned() {
                    map.insert("type".to_owned(), json!([one, "null"]));
                }
                if let Some(Value::Array(values)) = map.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            for (flag, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")]
            {
                match map.get(flag) {
                    Some(Value::Bool(true)) => {
                        if let Some(limit) = map.remove(limit) {
                            map.insert(flag.to_owned(), limit);
                        }
                    }
                    Some(Value::Bool(false)) => {
                        map.remove(flag);
                    }
                    Some(_) | None => {}
                }
            }
            map.values_mut().for_each(modern);
        }
        Value::Array(items) => items.iter_mut().for_each(modern),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The first reference that leads out of the document.
fn away(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str).filter(|to| !to.starts_with('#'));
            own.map(str::to_owned).or_else(|| map.values().find_map(away))
        }
        Value::Array(items) => items.iter().find_map(away),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
