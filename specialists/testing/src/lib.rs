//! The testing specialist, in a team's words: Unit Testing, Validation.
//!
//! Its field is what proves a change. It runs what the target's configuration names and nothing
//! else; a task only chooses among it. What was not measured is never reported as passed.

mod client;
mod compare;
mod contract;
mod execute;
mod flaky;
mod junit;
mod libtest;
mod process;
mod replay;
mod results;
mod run;
mod target;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;

use deadelus_runtime::{Specialist, TargetName};

pub use self::target::{InvalidTarget, Runner, Service, Suite, TestingTarget};
use self::{compare::Compare, contract::Contract, flaky::Flaky, replay::Replay, run::Run};

/// The specialist for these systems.
///
/// # Errors
/// [`InvalidTarget`] names the first setting that cannot work.
pub fn specialist(
    targets: BTreeMap<TargetName, TestingTarget>,
) -> Result<Specialist, InvalidTarget> {
    let targets = target::checked(targets)?;
    let specialist = Specialist::new("testing", env!("CARGO_PKG_VERSION"))
        .read(Run(targets.clone()))
        .read(Compare)
        .read(Contract(targets.clone()))
        .read(Replay(targets.clone()))
        .read(Flaky(targets.clone()));
    Ok(targets.cards(TestingTarget::facts).fold(specialist, Specialist::target))
}
