//! A manifest: what it is for, and its text.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// `kubernetes.yaml`
    pub(crate) name: String,
    /// For whom.
    pub(crate) kind: Kind,
    /// All of it.
    pub(crate) text: String,
    /// Of the text; where it is given, the text must be that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

/// Whom a manifest is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A Compose file.
    Compose,
    /// Kubernetes objects, one document each.
    Kubernetes,
    /// `haproxy.cfg`
    Haproxy,
}

impl Kind {
    pub(crate) fn all() -> BTreeSet<Self> {
        BTreeSet::from([Self::Compose, Self::Kubernetes, Self::Haproxy])
    }

    pub(crate) fn file_name(self) -> &'static str {
        match self {
            Self::Compose => "compose.yaml",
            Self::Kubernetes => "kubernetes.yaml",
            Self::Haproxy => "haproxy.cfg",
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Compose | Self::Kubernetes => "application/yaml",
            Self::Haproxy => "text/plain",
        }
    }
}
