//! What an operator configures about an API, checked once at the start.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use deadelus_runtime::{Context, ErrorClass, Failure, TargetCard, TargetName};
use serde::{Deserialize, Serialize};

use crate::route_check::Address;

/// An API under change.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiTarget {
    /// The folder of its documents. Absolute. No other file is ever read.
    pub folder: PathBuf,
    /// Where the live service answers, `http://` only: the one address that is ever asked.
    #[serde(default)]
    pub base_url: Option<String>,
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
    pub(crate) base_url: Option<Address>,
}

impl Target {
    fn check(config: ApiTarget) -> Result<Self, (&'static str, String)> {
        absolute(&config.folder).map_err(|problem| ("folder", problem))?;
        let address = |text: String| Address::parse(&text).map_err(|problem| ("base_url", problem));
        let base_url = config.base_url.map(address).transpose()?;
        Ok(Self { folder: config.folder, base_url })
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(config: Value) -> Result<Targets, InvalidTarget> {
        let config: ApiTarget = serde_json::from_value(config).unwrap();
        Targets::check(BTreeMap::from([("shop".parse().unwrap(), config)]))
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(target(json!({"folder": "/srv", "base_url": "http://127.0.0.1:8080/"})).is_ok());
        for (setting, config) in [
            ("folder", json!({"folder": "srv"})),
            ("base_url", json!({"folder": "/srv", "base_url": "https://shop/"})),
            ("base_url", json!({"folder": "/srv", "base_url": "http://ops:secret@shop/"})),
            ("base_url", json!({"folder": "/srv", "base_url": "/orders"})),
        ] {
            let error = target(config).unwrap_err();
            assert_eq!(error.setting, setting);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let misspelt = serde_json::from_value::<ApiTarget>(json!({"folder": "/", "base_uri": ""}));
        assert!(misspelt.unwrap_err().to_string().contains("base_uri"));
    }
}
