//! The API specialist, in a team's words: API Admin, Feature Implementation.
//!
//! Its field is the published description of a service. It reads documents of the target's folder
//! and artefacts of earlier tasks, and nothing else: no `$ref` and no path leads it anywhere. It
//! writes in the folder `published` there, and asks the configured service by safe methods only.
//!
//! | folder | what |
//! |---|---|
//! | `document.rs` | a parsed document, and following references in it |
//! | `target.rs` | what an operator configures |
//! | `operations.rs` | the operations of a document |
//! | `validate/` | whether a document follows its standard and agrees with itself |
//! | `lint/` | whether people can work with it, by Spectral's rules |
//! | `diff/` | what changed, and whether callers break |
//! | `apply/` | a new document of an old one and an overlay or a patch |
//! | `publish/` | what is published, and pointing back to what was |
//! | `route_check/` | what the live service has of it |

mod apply;
mod diff;
mod document;
mod lint;
mod operations;
mod publish;
mod route_check;
mod target;
#[cfg(test)]
mod testing;
mod validate;

use std::collections::BTreeMap;

pub use deadelus_runtime::InvalidTarget;
use deadelus_runtime::{Specialist, TargetName};

use crate::{
    apply::Apply,
    diff::Diff,
    lint::Lint,
    publish::{Publish, repoint::Repoint},
    route_check::RouteCheck,
    validate::Validate,
};

pub use self::{
    diff::{Change, Level, Policy, Waiver, diff},
    document::{Document, Version},
    target::ApiTarget,
};

/// The specialist for these APIs.
///
/// # Errors
/// [`InvalidTarget`] names the first setting that cannot work.
pub fn specialist(targets: BTreeMap<TargetName, ApiTarget>) -> Result<Specialist, InvalidTarget> {
    let targets = target::checked(targets)?;
    let specialist = Specialist::new("api", env!("CARGO_PKG_VERSION"))
        .read(Validate(targets.clone()))
        .read(Lint(targets.clone()))
        .read(Diff(targets.clone()))
        .read(Apply(targets.clone()))
        .read(RouteCheck(targets.clone()))
        .change(Publish(targets.clone()))
        .change(Repoint(targets.clone()));
    Ok(targets.cards(|_| BTreeMap::new()).fold(specialist, Specialist::target))
}
