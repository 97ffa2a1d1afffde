//! The operations of an `OpenAPI` document.

use deadelus_runtime::{Failure, invalid};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Methods a path can have.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// One operation and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Operation {
    /// Its `operationId`; `GET /orders` where it has none.
    #[serde(rename = "operation")]
    pub(crate) name: String,
    /// `GET`
    pub(crate) method: String,
    /// `/orders/{id}`
    pub(crate) path: String,
}

/// Every operation, path by path.
///
/// # Errors
/// `invalid_input` for what is no such document, and for two operations of one name.
pub(crate) fn operations(document: &Value) -> Result<Vec<Operation>, Failure> {
    let version = document.get("openapi").and_then(Value::as_str);
    if !version.is_some_and(|version| version.starts_with("3.")) {
        return Err(invalid("document: it is no OpenAPI document of version 3"));
    }
    let mut operations: Vec<Operation> = vec![];
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        if item.get("$ref").is_some() {
            return Err(invalid(format!("document: {path} is a $ref: bundle the document first")));
        }
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let method = method.to_uppercase();
            let id = operation.get("operationId").and_then(Value::as_str);
            let name = id.map_or_else(|| format!("{method} {path}"), str::to_owned);
            if operations.iter().any(|other| other.name == name) {
                return Err(invalid(format!("document: two operations are called {name}")));
            }
            operations.push(Operation { name, method, path: path.clone() });
        }
    }
    Ok(operations)
}
