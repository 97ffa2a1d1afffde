//! A target with a folder of its own, for the tests of this crate.

use std::ops::Deref;

use deadelus_tests::folder::Folder;
use serde_json::json;

use crate::target::{self, Targets};

/// The folder of the target `shop`.
#[derive(Debug)]
pub(crate) struct Desk(Folder);

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self(Folder::empty())
    }

    pub(crate) fn targets(&self) -> Targets {
        self.targets_at(None)
    }

    /// With a service at an address.
    pub(crate) fn targets_at(&self, base_url: Option<&str>) -> Targets {
        let config = json!({"folder": self.root(), "base_url": base_url});
        let config = serde_json::from_value(config).unwrap();
        target::checked([("shop".parse().unwrap(), config)].into()).unwrap()
    }
}
