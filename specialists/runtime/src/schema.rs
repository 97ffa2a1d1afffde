//! A capability's JSON Schema, compiled once and asked on every task.

use deadelus_proto::{Body, ErrorClass, Failure};
use serde_json::Value;

/// More than this many problems tell a reader nothing new.
const PROBLEMS_SHOWN: usize = 8;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    validator: jsonschema::Validator,
}

impl Schema {
    /// Compiles what was derived from the capability's own types.
    #[expect(clippy::expect_used, reason = "derived from a Rust type; wrong is a program's defect")]
    pub(crate) fn new(schema: &Value) -> Self {
        let validator = jsonschema::validator_for(schema).expect("a schema derived from a type");
        Self { validator }
    }

    /// All that is wrong with some inputs, each with its place.
    pub(crate) fn check(&self, inputs: &Value) -> Result<(), Failure> {
        let problems: Vec<String> = self
            .validator
            .iter_errors(inputs)
            .take(PROBLEMS_SHOWN)
            .map(|e| format!("inputs{}: {e}", e.instance_path()))
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::new(ErrorClass::InvalidInput, problems.join("; ")))
    }

    /// Outputs that do not fit their own schema are the capability's defect; they are logged, and
    /// the tasks that read them fail by name. The effect is there either way.
    pub(crate) fn warn_about(&self, outputs: &Body) {
        if let Body::Inline(outputs) = outputs
            && let Some(error) = self.validator.iter_errors(outputs).next()
        {
            tracing::error!(place = %error.instance_path(), %error, "outputs against their schema");
        }
    }
}
