//! The API specialist, in a team's words: API Admin, Feature Implementation.
//!
//! Its field is the published description of a service: checking an OpenAPI document, telling which
//! changes of it break callers, applying an overlay, publishing it and pointing back to the old one.
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
    Specialist::new("api", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_not_announced() {
        let card = specialist(BTreeMap::new()).card();
        assert_eq!(card.specialist.as_str(), "api");
        assert!(card.capabilities.is_empty() && card.targets.is_empty());
    }
}
