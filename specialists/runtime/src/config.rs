//! What a specialist's process is told: where the mesh is, how much to take on, which targets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use deadelus_mesh::config::{NatsConfig, TelemetryConfig};
use deadelus_proto::TargetName;
use serde::{Deserialize, Serialize};

/// The whole configuration. Unknown keys are errors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct Config<T> {
    /// Where the mesh is.
    pub nats: NatsConfig,
    /// Where spans and logs go.
    pub telemetry: TelemetryConfig,
    /// How much to take on.
    pub worker: WorkerConfig,
    /// The systems this specialist may look at and change, by name, with its own credentials.
    pub targets: BTreeMap<TargetName, T>,
    /// Those of them that are production.
    pub production: ProductionConfig,
}

/// Where a person agrees before anything is changed, whatever the plan says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductionConfig {
    /// Names of configured targets.
    pub targets: BTreeSet<TargetName>,
}

impl<T> Default for Config<T> {
    fn default() -> Self {
        Self {
            nats: NatsConfig::default(),
            telemetry: TelemetryConfig::default(),
            worker: WorkerConfig::default(),
            targets: BTreeMap::new(),
            production: ProductionConfig::default(),
        }
    }
}

/// How much one replica takes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Tasks in hand at once, at least 1.
    pub concurrency: usize,
    /// Seconds a draining replica may take to finish what it has in hand.
    pub drain_seconds: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { concurrency: 8, drain_seconds: 60 }
    }
}

impl WorkerConfig {
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}
