//! One change, as people and gates see it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the maintainers of `oasdiff` found reasonable to show.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// To be told.
    Info,
    /// Callers may break.
    Warning,
    /// Callers break.
    Error,
}

/// One change of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// By `oasdiff`'s catalogue, where it has one: `request-property-removed`.
    pub id: String,
    /// By the same catalogue.
    pub level: Level,
    /// Whether it could *not* be proved that every caller of the base can go on unchanged. Also
    /// changes of level info can be: an added security requirement, for one.
    pub breaking: bool,
    /// `POST /orders`; empty for what concerns no single operation.
    pub operation: String,
    /// Where in the operation: `request body application/json /lines/items/sku`; may be empty.
    pub at: String,
    /// JSON pointer of the place, in the revision; in the base for what is gone.
    pub pointer: String,
    /// In a sentence.
    pub text: String,
}
