//! The deployment specialist: which revision of a service is live, changing it, and going back.
//!
//! A release here is a release by configuration: the service follows a small file that names the
//! revision, and says over HTTP which one it serves. This specialist writes that file and believes
//! nothing but the service's own answers. It never builds, fetches or starts anything, and it asks
//! no address but the `health_url` of its configuration.
//!
//! | file | what |
//! |---|---|
//! | `release.rs`, `rollback.rs`, `status.rs` | the capabilities |
//! | `target.rs` | what an operator configures, checked once |
//! | `revision_file.rs` | reading and replacing the file |
//! | `health.rs` | one question to the service |
//! | `timeline.rs` | the judgement of a row of answers; no IO |
//! | `switch.rs` | asking until the judgement stands |

mod health;
mod release;
mod revision_file;
mod rollback;
mod status;
mod switch;
mod target;
mod timeline;

#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use deadelus_runtime::{Specialist, TargetName};

pub use target::{DeploymentTarget, InvalidTarget, Revision};

use crate::{release::Release, rollback::Rollback, status::Status, target::Targets};

/// The specialist for these services.
///
/// # Errors
/// [`InvalidTarget`] names the first setting that cannot work.
pub fn specialist(
    targets: BTreeMap<TargetName, DeploymentTarget>,
) -> Result<Specialist, InvalidTarget> {
    let targets = Targets::check(targets)?;
    let specialist = Specialist::new("deployment", env!("CARGO_PKG_VERSION"))
        .read(Status(targets.clone()))
        .change(Release(targets.clone()))
        .change(Rollback(targets.clone()));
    Ok(targets.cards().into_iter().fold(specialist, Specialist::target))
}
