//! How a database means to answer a statement, in the words both engines share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A statement's plan, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The statement as it was given.
    pub statement: String,
    /// Whether the database would plan it.
    pub explainable: bool,
    /// Why not, in its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the planner expects it to cost, in the planner's unit; none on SQLite, which does not
    /// tell.
    pub cost: Option<f64>,
    /// Tables that would be read from end to end.
    pub full_scans: Vec<FullScan>,
    /// Indexes that would be used, by name.
    pub indexes: Vec<String>,
}

/// A table that a plan reads from end to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FullScan {
    /// Its name.
    pub table: String,
    /// Its columns that the statement filters or joins by.
    pub columns: Vec<String>,
    /// How many rows that is; none if nobody knows.
    pub rows_estimate: Option<i64>,
}

impl Plan {
    /// A statement that cannot be planned.
    pub(crate) fn impossible(statement: &str, reason: impl Into<String>) -> Self {
        Self {
            statement: statement.to_owned(),
            explainable: false,
            reason: Some(reason.into()),
            cost: None,
            full_scans: vec![],
            indexes: vec![],
        }
    }
}
