//! What an orchestrator is told.

use std::path::PathBuf;

use deadelus_mesh::config::{NatsConfig, TelemetryConfig};
use serde::{Deserialize, Serialize};

/// The whole configuration. Unknown keys are errors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the mesh is.
    pub nats: NatsConfig,
    /// Where spans and logs go.
    pub telemetry: TelemetryConfig,
    /// How much to take on.
    pub orchestrator: Settings,
}

/// How much one replica takes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Workflows that have not ended; further ones are refused until one has.
    pub open_workflows_max: usize,
    /// Whether this replica takes partitions. One that does not only answers questions: for whoever
    /// wants to look before anything goes on.
    pub take_over: bool,
    /// A folder with blueprints of one's own, read at the start; one with the name of a built-in
    /// one takes its place. The same for every replica: any of them may be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blueprints: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        // At some tens of KiB each this is a process of well under a gigabyte.
        Self { open_workflows_max: 20_000, take_over: true, blueprints: None }
    }
}
