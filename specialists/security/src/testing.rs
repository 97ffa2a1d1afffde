//! What the tests of several capabilities share.

use crate::target::{SecurityTarget, Targets};

/// One configured system, named `shop`.
pub(crate) fn targets(target: SecurityTarget) -> Targets {
    Targets::new([("shop".parse().unwrap(), target)].into()).unwrap()
}
