//! What an operator configures about an API, checked once at the start.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use deadelus_runtime::{Context, ErrorClass, Failure, TargetCard, TargetName};
use serde::{Deserialize, Serialize};

/// An API under change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTarget {
    /// The folder of its documents. Absolute. No other file is ever read.
    pub folder: PathBuf,
}

/// Why a target cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("targets.{target}.{setting}: {problem}")]
pub struct InvalidTarget {
    /// Which target.
    pub target: TargetName,
    /// Which of its settings.
    pub setting: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// A checked target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) folder: PathBuf,
}

impl Target {
    fn check(config: ApiTarget) -> Result<Self, (&'static str, String)> {
        absolute(&config.folder).map_err(|problem| ("folder", problem))?;
        Ok(Self { folder: config.folder })
    }
}

fn absolute(path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(format!("{} is not absolute", path.display()))
}

/// All APIs of this process, shared by its capabilities.
#[derive(Debug, Clone)]
pub(crate) struct Targets(Arc<BTreeMap<TargetName, Target>>);

impl Targets {
    pub(crate) fn check(
        configured: BTreeMap<TargetName, ApiTarget>,
    ) -> Result<Self, InvalidTarget> {
        let mut targets = BTreeMap::new();
        for (name, config) in configured {
            let target = Target::check(config).map_err(|(setting, problem)| InvalidTarget {
                target: name.clone(),
                setting,
                problem,
            })?;
            targets.insert(name, target);
        }
        Ok(Self(Arc::new(targets)))
    }

    /// The target of a task.
    pub(crate) fn of(&self, cx: &Context) -> Result<&Target, Failure> {
        self.0.get(cx.target()).ok_or_else(|| {
            let text = format!("target {} is not configured here", cx.target());
            Failure::new(ErrorClass::InvalidInput, text)
                .help(format!("add [targets.{}] to this specialist's file", cx.target()))
        })
    }

    pub(crate) fn cards(&self) -> Vec<TargetCard> {
        let card = |name: &TargetName| TargetCard { name: name.clone(), facts: BTreeMap::new() };
        self.0.keys().map(card).collect()
    }
}
