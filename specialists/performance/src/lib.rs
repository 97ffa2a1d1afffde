//! The performance specialist: measures a service under load, says why it is slow, and judges
//! whether a change made it faster.
//!
//! It changes nothing. It must never believe a clock alone: a change is better when a counter of
//! work fell *and* the latency with it.

mod check_budget;
mod compare;
mod diagnose;
#[cfg(test)]
mod live;
mod load;
mod measure;
mod path;
mod run;
#[cfg(test)]
mod samples;
mod sql;
mod statistics;
mod target;
mod targets;
mod usage;

pub use check_budget::{BudgetInputs, BudgetReport, Line, LineVerdict};
pub use compare::{CompareInputs, Comparison, CounterChange, CounterChoice, Side, Verdict};
pub use diagnose::{Cause, DiagnoseInputs, Diagnosis, Finding, FullScan, Plan};
pub use measure::MeasureInputs;
pub use path::PathError;
pub use run::{Counters, EndpointFigures, Latency, Measurement, Run, Statement};
pub use target::{Budget, DatabaseUrl, Endpoint, PerformanceTarget, Role, TargetError};

use std::{collections::BTreeMap, sync::Arc};

use deadelus_runtime::{Specialist, TargetName};

use crate::targets::Sites;

/// Why the specialist cannot start.
#[derive(Debug, thiserror::Error)]
#[error("target {target}")]
pub struct ConfigError {
    /// Which target.
    pub target: TargetName,
    /// What is wrong with it.
    #[source]
    pub problem: TargetError,
}

/// The specialist for these targets: `performance.measure`, `diagnose`, `compare`, `check_budget`.
///
/// # Errors
/// When a target's configuration cannot be used; it says which and why.
pub fn specialist(
    targets: BTreeMap<TargetName, PerformanceTarget>,
) -> Result<Specialist, ConfigError> {
    let mut sites = BTreeMap::new();
    for (name, target) in targets {
        let site =
            target.check().map_err(|problem| ConfigError { target: name.clone(), problem })?;
        sites.insert(name, site);
    }
    let sites = Arc::new(Sites(sites));
    let specialist = Specialist::new("performance", env!("CARGO_PKG_VERSION"))
        .read(measure::Measure(Arc::clone(&sites)))
        .read(diagnose::Diagnose(Arc::clone(&sites)))
        .read(compare::Compare)
        .read(check_budget::CheckBudget(Arc::clone(&sites)));
    Ok(sites.cards().fold(specialist, Specialist::target))
}
