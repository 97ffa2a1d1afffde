//! What an orchestrator is told.

use std::{collections::BTreeMap, fmt, num::NonZeroUsize, path::PathBuf, str::FromStr};

use deadelus_core::{Shared, Slot};
use deadelus_mesh::config::{NatsConfig, TelemetryConfig};
use deadelus_proto::{CapabilityName, SpecialistName, TargetName};
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
    /// How long to remember.
    pub retention: Retention,
    /// How much at once, over all workflows and replicas.
    pub limits: Limits,
    /// Answers people's programs over HTTP; none where the section is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<deadelus_gateway::Config>,
}

/// Tasks in flight at once, over all workflows and replicas; what is not named is not limited. A new
/// name concerns the workflows that begin after it, a new number everything at once. Every replica
/// is to say the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether a lock excludes the tasks of every workflow, and not of its own only. To be switched off
    /// while an orchestrator runs that does not know of it: it cannot read what is decided then.
    pub locks: bool,
    /// Of a specialist: `db = 4`.
    pub specialists: BTreeMap<SpecialistName, NonZeroUsize>,
    /// On a target: `shop = 2`.
    pub targets: BTreeMap<TargetName, NonZeroUsize>,
    /// Of a capability: `"db.migrate" = 1`.
    pub capabilities: BTreeMap<CapabilityName, NonZeroUsize>,
}

impl Default for Limits {
    fn default() -> Self {
        let (specialists, targets, capabilities) = Default::default();
        Self { locks: true, specialists, targets, capabilities }
    }
}

impl Limits {
    /// What is shared between workflows that begin now.
    pub(crate) fn shared(&self) -> Shared {
        Shared { locks: self.locks, limited: self.by_name().into_keys().collect() }
    }

    /// How many slots there are; none where nothing limits it.
    pub(crate) fn of(&self, slot: &Slot) -> Option<usize> {
        match slot {
            Slot::Lock(_) => Some(1),
            Slot::Limit(name) => self.by_name().get(name).copied(),
        }
    }

    fn by_name(&self) -> BTreeMap<String, usize> {
        let specialists = self.specialists.iter().map(|(n, max)| (format!("specialists.{n}"), max));
        let targets = self.targets.iter().map(|(n, max)| (format!("targets.{n}"), max));
        let of = |(n, max)| (format!("capabilities.{n}"), max);
        let all = specialists.chain(targets).chain(self.capabilities.iter().map(of));
        all.map(|(name, max)| (name, max.get())).collect()
    }
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

/// How long workflows that have ended are remembered. The same for every replica: any of them may
/// keep house.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// A log stays in its stream for so long after the end; then it is archived, one object each.
    pub keep_log: Keep,
    /// An archive is kept for so long after that; then the workflow is forgotten: its archive, its
    /// line in the list, and that there ever was one.
    pub archive_for: Keep,
}

impl Default for Retention {
    fn default() -> Self {
        // Whoever asks about last week's workflow has it at hand, and an audit the last quarter.
        let days = |days: i64| Keep::For { ms: days * 24 * 60 * 60 * 1_000 };
        Self { keep_log: days(7), archive_for: days(90) }
    }
}

/// How long something is kept: `7d`, `12h`, `30m`, `10s`, or `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Keep {
    /// For so long, in milliseconds.
    For {
        /// 0 or more.
        ms: i64,
    },
    /// Until somebody says otherwise.
    Forever,
}

/// What a unit of time comes to, the largest first.
const UNITS_MS: [(&str, i64); 4] =
    [("d", 24 * 60 * 60 * 1_000), ("h", 60 * 60 * 1_000), ("m", 60 * 1_000), ("s", 1_000)];

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let of = |(unit, unit_ms): (&str, i64)| {
            let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
            i64::from(number).checked_mul(unit_ms)
        };
        let ms = UNITS_MS.into_iter().find_map(of);
        let bad = || format!("{text:?} is not how long to keep it: write 7d, 12h, 30m or forever");
        ms.map(|ms| Self::For { ms }).ok_or_else(bad)
    }
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::For { ms } = *self else { return f.write_str("forever") };
        let whole = UNITS_MS.into_iter().find(|(_, unit_ms)| ms % unit_ms == 0);
        whole.map_or(Ok(()), |(unit, unit_ms)| write!(f, "{}{unit}", ms / unit_ms))
    }
}

impl From<Keep> for String {
    fn from(keep: Keep) -> Self {
        keep.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_is_a_number_and_a_unit_or_forever() {
        for text in ["7d", "12h", "30m", "10s", "forever"] {
            assert_eq!(text.parse::<Keep>().unwrap().to_string(), text);
        }
        assert_eq!("0s".parse(), Ok(Keep::For { ms: 0 }));
        for bad in ["", "7", "d", "-1d", "1w", "1.5h", "7 d", "99999999999d", "for ever"] {
            assert!(bad.parse::<Keep>().is_err(), "{bad:?}");
        }
        let printed = serde_json::to_string(&Retention::default()).unwrap();
        assert_eq!(printed, r#"{"keep_log":"7d","archive_for":"90d"}"#);
    }
}
