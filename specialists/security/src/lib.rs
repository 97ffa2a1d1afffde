//! The security specialist, in a team's words: Security Manager.
//!
//! Its field is the gate before a release: secrets, dependencies with known advisories, code, configuration and
//! response headers, and the waiver that has a reason and an end.
//!
//! It is part of the mesh from the start and says what it can do. So far that is nothing: a
//! capability that is not built is not announced, and a plan that asks for one is refused by name
//! before anything runs.

use std::collections::BTreeMap;

use deadelus_runtime::{Specialist, TargetName};
use serde::{Deserialize, Serialize};

/// A system this specialist could work on: none yet, so that configuring one is an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum NoTarget {}

/// The specialist, offering nothing.
pub fn specialist(_: BTreeMap<TargetName, NoTarget>) -> Specialist {
    Specialist::new("security", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_not_announced() {
        let card = specialist(BTreeMap::new()).card();
        assert_eq!(card.specialist.as_str(), "security");
        assert!(card.capabilities.is_empty() && card.targets.is_empty());
    }
}
