//! The deployment specialist: which revision of a service is live, changing it, and going back.
//!
//! There are two ways. A service that follows a small file is released by writing that file. A fleet
//! is released by starting processes and telling the proxy before them. Either way nothing is
//! believed but the service's own answers, at the addresses of the configuration. It never builds or
//! fetches anything, and starts nothing but the declared commands.
//!
//! | file | what |
//! |---|---|
//! | `release.rs`, `rollback.rs` | the change and its way back, by file and by fleet |
//! | `commit.rs` | the end of the way back: what was kept warm is stopped |
//! | `status.rs`, `smoke.rs` | the capabilities that only look |
//! | `descriptor.rs`, `render.rs`, `validate.rs` | manifests written, and read strictly |
//! | `target.rs`, `fleet.rs` | what an operator configures, checked once |
//! | `fleet/` | bringing processes up, and bringing a table back |
//! | `processes/` | one process: its holder, its note, found again, stopped |
//! | `routing/` | the proxy, ours or another, and its tables |
//! | `rollout.rs` | from one table to another in steps, and their judgement; no IO |
//! | `revision_file.rs` | reading and replacing the file |
//! | `health.rs`, `witness.rs` | one question to the service; a customer of our own |
//! | `timeline.rs` | the judgement of a row of answers; no IO |
//! | `switch.rs` | asking until the judgement stands |

mod commit;
mod descriptor;
mod fleet;
mod health;
mod manifest;
mod processes;
mod release;
mod render;
mod revision_file;
mod rollback;
mod rollout;
mod routing;
mod smoke;
mod status;
mod switch;
mod target;
mod timeline;
mod validate;
mod witness;

#[cfg(test)]
mod testing;

use std::{collections::BTreeMap, ffi::OsString, process::ExitCode};

pub use deadelus_runtime::InvalidTarget;
use deadelus_runtime::{Specialist, TargetName};

pub use fleet::{Processes, ProxyConfig};
pub use target::{DeploymentTarget, Revision};

use crate::{
    commit::Commit, processes::holder, release::Release, render::Render, rollback::Rollback,
    smoke::Smoke, status::Status, target::Target, validate::Validate,
};

/// Becomes the holder of a process when the command line says so: `hold` and what follows it. A
/// holder knows no mesh and reads no configuration.
pub fn holder(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    (words.next()?.to_str() == Some(holder::HOLD)).then(|| holder::main(words))
}

/// The specialist for these services.
///
/// # Errors
/// [`InvalidTarget`] names the first setting that cannot work.
pub fn specialist(
    targets: BTreeMap<TargetName, DeploymentTarget>,
) -> Result<Specialist, InvalidTarget> {
    let targets = target::checked(targets)?;
    let specialist = Specialist::new("deployment", env!("CARGO_PKG_VERSION"))
        .change(Commit(targets.clone()))
        .read(Render)
        .read(Smoke(targets.clone()))
        .read(Status(targets.clone()))
        .read(Validate)
        .change(Release(targets.clone()))
        .change(Rollback(targets.clone()));
    Ok(targets.cards(Target::facts).fold(specialist, Specialist::target))
}
