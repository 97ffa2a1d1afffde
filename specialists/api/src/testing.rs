//! A target with a folder of its own, for the tests of this crate.

use std::{fs, path::PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::target::{self, Targets};

/// The folder of the target `shop`.
#[derive(Debug)]
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn targets(&self) -> Targets {
        self.targets_at(None)
    }

    /// With a service at an address.
    pub(crate) fn targets_at(&self, base_url: Option<&str>) -> Targets {
        let config = json!({"folder": self.folder.path(), "base_url": base_url});
        let config = serde_json::from_value(config).unwrap();
        target::checked([("shop".parse().unwrap(), config)].into()).unwrap()
    }
}
