//! What an operator configures about an API, checked once at the start.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use deadelus_runtime::{InvalidTarget, Problem, TargetName};
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

/// A checked target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) folder: PathBuf,
    pub(crate) base_url: Option<Address>,
}

impl Target {
    fn check(config: ApiTarget) -> Result<Self, Problem> {
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
pub(crate) type Targets = deadelus_runtime::Targets<Target>;

/// # Errors
/// The first API whose configuration cannot work.
pub(crate) fn checked(
    configured: BTreeMap<TargetName, ApiTarget>,
) -> Result<Targets, InvalidTarget> {
    Targets::check(configured, Target::check)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(config: Value) -> Result<Targets, InvalidTarget> {
        let config: ApiTarget = serde_json::from_value(config).unwrap();
        checked(BTreeMap::from([("shop".parse().unwrap(), config)]))
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
