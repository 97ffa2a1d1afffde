//! `performance.compare`: whether a change made a service faster, without making writes dearer.
//!
//! Counters before clocks: on a machine that others use too, a clock alone says "better" by
//! chance. It must never call a change better that fails more requests, however fast they fail.

mod judge;

use std::time::Duration;

use deadelus_runtime::{
    About, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    run::{Counters, Run},
    statistics::RUNS_FOR_AN_INTERVAL,
    target::Role,
};

/// It resamples a few numbers.
const TIMEOUT: Duration = Duration::from_secs(30);
/// An index takes away nearly all of a scan; what takes away less than half was not the cause.
const MIN_COUNTER_DROP_PERCENT: f64 = 50.0;
/// A smaller difference of two p95 is what a quiet machine shows between two runs.
const MIN_EFFECT_PERCENT: f64 = 20.0;
/// What writes may lose for what reads win.
const MAX_WRITE_REGRESSION_PERCENT: f64 = 10.0;
/// Intended rates that differ by more are two different questions.
const RATE_OFF_MAX: f64 = 0.01;

/// Runs of the same load before and after one change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareInputs {
    /// `runs` of the measurement before.
    pub before: Vec<Run>,
    /// `runs` of the measurement after.
    pub after: Vec<Run>,
    /// Which counter must have fallen.
    #[serde(default)]
    pub counter: CounterChoice,
    /// By how much at least.
    #[serde(default = "min_counter_drop_percent")]
    pub min_counter_drop_percent: f64,
    /// By how much the p95 of reads must have fallen at least.
    #[serde(default = "min_effect_percent")]
    pub min_effect_percent: f64,
    /// By how much writes may have become slower, or dearer in blocks or steps.
    #[serde(default = "max_write_regression_percent")]
    pub max_write_regression_percent: f64,
}

/// A counter of [`Counters`], per read request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CounterChoice {
    /// Of scan steps, blocks and statements the one that fell most.
    #[default]
    Auto,
    /// Rows stepped over by scans.
    ScanSteps,
    /// Blocks of the database.
    Blocks,
    /// Virtual machine operations of the database.
    VmSteps,
    /// Statements.
    Statements,
    /// Milliseconds in statements.
    DbMs,
    /// Milliseconds waiting for a connection: for a change of the pool.
    PoolWaitMs,
    /// Milliseconds waiting for locks.
    LockWaitMs,
    /// Milliseconds waiting for other services.
    ExternalMs,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The counter and the p95 fell enough, writes hold, no more requests fail.
    Better,
    /// Reads or writes got slower or dearer, or more requests fail.
    Worse,
    /// Too little difference to keep a change for.
    NoChange,
    /// The runs differ too much among themselves to tell.
    Noisy,
}

/// The outputs of `performance.compare`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Comparison {
    /// Only `better` is worth keeping.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
    /// Requests with the role `read`.
    pub read: Side,
    /// Requests with the role `write`; null when there are none.
    pub write: Option<Side>,
}

/// Requests of one role, before and after.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Side {
    /// Mean over the runs of their p95.
    pub p95_before_ms: f64,
    /// Likewise.
    pub p95_after_ms: f64,
    /// After minus before: lower end of the 95 % interval.
    pub delta_low_ms: f64,
    /// Upper end.
    pub delta_high_ms: f64,
    /// How much the p95 fell, in per cent of before; negative when it rose.
    pub effect_percent: f64,
    /// The counter that decides for this side; null when none was measured on both sides.
    pub counter: Option<CounterChange>,
}

/// One counter before and after, per request of the side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct CounterChange {
    /// Which.
    pub counter: CounterChoice,
    /// Mean over the runs.
    pub before: f64,
    /// Likewise.
    pub after: f64,
    /// How much it fell, in per cent of before; negative when it rose.
    pub drop_percent: f64,
}

/// Compares two measurements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compare;

impl ReadCapability for Compare {
    type Inputs = CompareInputs;
    type Outputs = Comparison;

    fn about(&self) -> About {
        About {
            verb: "compare",
            role: "Performance Admin",
            summary: "Says whether a change made reads faster without making writes dearer.",
            effect: Effect::Pure,
            idempotency: Idempotency::Natural,
            checks: judge::KINDS,
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(
        &self,
        _: &Context,
        inputs: CompareInputs,
    ) -> Result<Measured<Comparison>, Failure> {
        comparable(&inputs)?;
        let (comparison, checks) = judge::judge(&inputs);
        Ok(Measured::new(comparison, checks))
    }
}

/// Three runs a side, of one load, with something to get faster.
fn comparable(inputs: &CompareInputs) -> Result<(), Failure> {
    let refuse =
        |text: String, help: &str| Err(Failure::new(ErrorClass::InvalidInput, text).help(help));
    let (before, after) = (&inputs.before, &inputs.after);
    if before.len().min(after.len()) < RUNS_FOR_AN_INTERVAL {
        let text = format!("{} runs before and {} after", before.len(), after.len());
        return refuse(text, "measure at least three times a side");
    }
    let percents = [
        inputs.min_counter_drop_percent,
        inputs.min_effect_percent,
        inputs.max_write_regression_percent,
    ];
    if percents.iter().any(|percent| !(0.0..=1_000.0).contains(percent)) {
        return refuse("a percentage is negative or above 1000".to_owned(), "correct it");
    }
    let first = &before[0];
    let names =
        |run: &Run| run.endpoints.iter().map(|e| (e.name.clone(), e.role)).collect::<Vec<_>>();
    let off = |run: &Run| (run.intended_rate_per_s / first.intended_rate_per_s - 1.0).abs();
    let same_rate = |run: &Run| off(run) <= RATE_OFF_MAX;
    let mut all = before.iter().chain(after);
    if all.any(|run| names(run) != names(first) || !same_rate(run)) {
        let text = "the runs are not of one load: their endpoints or rates differ".to_owned();
        return refuse(text, "measure both sides with the same scenario and rate");
    }
    if before.iter().chain(after).any(|run| run.requests(Role::Read) == 0) {
        let text = "a run sent no request with the role read, and those are what is to get faster";
        return refuse(text.to_owned(), "give the endpoint in question the role read");
    }
    Ok(())
}

impl CounterChoice {
    /// The candidates of [`CounterChoice::Auto`].
    const WORK: [Self; 3] = [Self::ScanSteps, Self::Blocks, Self::Statements];

    /// Its value; none when it was not measured, and for `Auto`, which is none.
    fn of(self, counters: &Counters) -> Option<f64> {
        match self {
            Self::Auto => None,
            Self::ScanSteps => counters.scan_steps,
            Self::Blocks => counters.blocks,
            Self::VmSteps => counters.vm_steps,
            Self::Statements => counters.statements,
            Self::DbMs => counters.db_ms,
            Self::PoolWaitMs => counters.pool_wait_ms,
            Self::LockWaitMs => counters.lock_wait_ms,
            Self::ExternalMs => counters.external_ms,
        }
    }

    /// As inputs and reports spell it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::ScanSteps => "scan_steps",
            Self::Blocks => "blocks",
            Self::VmSteps => "vm_steps",
            Self::Statements => "statements",
            Self::DbMs => "db_ms",
            Self::PoolWaitMs => "pool_wait_ms",
            Self::LockWaitMs => "lock_wait_ms",
            Self::ExternalMs => "external_ms",
        }
    }
}

impl Verdict {
    /// As reports spell it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoChange => "no_change",
            Self::Noisy => "noisy",
        }
    }
}

fn min_counter_drop_percent() -> f64 {
    MIN_COUNTER_DROP_PERCENT
}

fn min_effect_percent() -> f64 {
    MIN_EFFECT_PERCENT
}

fn max_write_regression_percent() -> f64 {
    MAX_WRITE_REGRESSION_PERCENT
}

#[cfg(test)]
mod tests;
