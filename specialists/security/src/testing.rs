//! What the tests of several capabilities share.

use crate::target::{self, SecurityTarget, Targets};

/// One configured system, named `shop`.
pub(crate) fn targets(target: SecurityTarget) -> Targets {
    target::checked([("shop".parse().unwrap(), target)].into()).unwrap()
}
