//! The API specialist, in a team's words: API Admin, Feature Implementation.
//!
//! Its field is the published description of a service. It reads documents of the target's folder
//! and artefacts of earlier tasks, and nothing else: no `$ref` and no path leads it anywhere.
//!
//! | folder | what |
//! |---|---|
//! | `document.rs` | a parsed document, and following references in it |
//! | `source.rs`, `target.rs` | where documents come from; what an operator configures |
//! | `diff/` | what changed, and whether callers break |

mod diff;
mod document;
mod source;
mod target;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use deadelus_runtime::{Specialist, TargetName};

use crate::{diff::Diff, target::Targets};

pub use self::{
    diff::{Change, Level, Policy, Waiver, diff},
    document::{DOCUMENT_MAX_BYTES, Document, Version},
    source::{InFolder, Inline, Source},
    target::{ApiTarget, InvalidTarget},
};

/// The specialist for these APIs.
///
/// # Errors
/// [`InvalidTarget`] names the first setting that cannot work.
pub fn specialist(targets: BTreeMap<TargetName, ApiTarget>) -> Result<Specialist, InvalidTarget> {
    let targets = Targets::check(targets)?;
    let specialist = Specialist::new("api", env!("CARGO_PKG_VERSION")).read(Diff(targets.clone()));
    Ok(targets.cards().into_iter().fold(specialist, Specialist::target))
}
