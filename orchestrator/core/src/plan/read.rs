//! From text to a [`Plan`]: the shape, judged by the schema that editors use too.

use std::sync::LazyLock;

use deadelus_proto::limits::PLAN_MAX_BYTES;
use jsonschema::Validator;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{FORMAT, Plan, Problems, tree};
use crate::limits::PLAN_PROBLEMS_MAX;

impl Plan {
    /// Reads a plan file; JSON when it begins with a brace, YAML otherwise.
    ///
    /// # Errors
    /// Every way in which the text has not the shape of a plan.
    pub fn read(text: &str) -> Result<Self, Problems> {
        Self::from_tree(read_tree(text)?)
    }

    /// Reads a plan that is already a JSON value.
    ///
    /// # Errors
    /// Every way in which the value has not the shape of a plan.
    pub fn from_tree(tree: Value) -> Result<Self, Problems> {
        match tree.get("deadelus").and_then(Value::as_u64) {
            Some(v) if v == u64::from(FORMAT) => {}
            Some(v) => {
                let what = format!("plan format {v} is not known here; this is format {FORMAT}");
                return Err(Problems::one("deadelus", what));
            }
            None => {
                let what = format!("is missing; a plan begins with \"deadelus: {FORMAT}\"");
                return Err(Problems::one("deadelus", what));
            }
        }
        shaped(tree, SHAPE.as_ref())
    }
}

/// The tree of a file that a person wrote, within bounds and without duplicate keys; JSON when it
/// begins with a brace, YAML otherwise.
///
/// # Errors
/// Why it is neither, or too large.
pub fn read_tree(text: &str) -> Result<Value, Problems> {
    if text.len() > PLAN_MAX_BYTES {
        let size = text.len();
        return Err(Problems::one("", format!("{size} bytes; at most {PLAN_MAX_BYTES}")));
    }
    let is_json = text.trim_start().starts_with('{');
    let tree = if is_json { tree::json(text) } else { tree::yaml(text) };
    tree.map_err(|e| Problems::one("", e))
}

/// The value of a tree that a schema allows.
///
/// # Errors
/// Every way in which the tree has not that shape, each with its place.
pub fn shaped<T: DeserializeOwned>(tree: Value, schema: Option<&Validator>) -> Result<T, Problems> {
    let mut problems = Problems::default();
    let errors = schema.iter().flat_map(|validator| validator.iter_errors(&tree));
    for error in errors.take(PLAN_PROBLEMS_MAX) {
        let what = crate::cut(&error.to_string(), 400);
        problems.add(place(error.instance_path().as_str()), what);
    }
    problems.or(())?;
    T::deserialize(tree).map_err(|e| Problems::one("", e))
}

/// The JSON Schema of the plan format, as `plan.schema.json` holds it.
pub fn schema() -> Value {
    schemars::schema_for!(Plan).to_value()
}

/// None only if our own schema were no schema, which a test rules out.
static SHAPE: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).ok());

/// `/tasks/measure0/needs/1` as `tasks.measure0.needs[1]`.
pub(crate) fn place(pointer: &str) -> String {
    let mut place = String::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if !place.is_empty() && token.bytes().all(|b| b.is_ascii_digit()) {
            place.push_str(&format!("[{token}]"));
        } else {
            if !place.is_empty() {
                place.push('.');
            }
            place.push_str(&token);
        }
    }
    place
}
