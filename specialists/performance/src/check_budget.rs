//! `performance.check_budget`: whether a measurement keeps its limits, line by line.
//!
//! It must never say "met" of a mean that happened to lie below the limit while its runs lie on
//! both sides of it.

use std::{sync::Arc, time::Duration};

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    run::{Counters, EndpointFigures, Measurement, Run, rounded},
    statistics::{Interval, RUNS_FOR_AN_INTERVAL, mean},
    target::{Budget, Role},
    targets::Sites,
};

/// It compares a few numbers.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Resampling is seeded, so that a verdict can be repeated.
const SEED: u64 = 0xb0d9_e700;

/// A measurement and its limits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetInputs {
    /// The outputs of `performance.measure`.
    pub measurement: Measurement,
    /// The target's own, unless given.
    #[serde(default)]
    pub budget: Option<Budget>,
}

/// The outputs of `performance.check_budget`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BudgetReport {
    /// The worst of the lines; a line that was not measured is missed.
    pub verdict: LineVerdict,
    /// One for each limit.
    pub lines: Vec<Line>,
}

/// One limit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Line {
    /// As the budget calls it: `p95_ms`.
    pub metric: String,
    /// What is allowed.
    pub limit: f64,
    /// Mean over the runs; null when it was not measured.
    pub measured: Option<f64>,
    /// Lower end of the 95 % interval of the mean; null with fewer than three runs.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What follows.
    pub verdict: LineVerdict,
}

/// What a limit got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LineVerdict {
    /// The whole interval keeps the limit.
    Met,
    /// The limit lies within the interval, or there are too few runs for one.
    Inconclusive,
    /// The whole interval is above the limit, or nothing was measured.
    Missed,
}

/// Holds a measurement to a budget.
#[derive(Debug, Clone)]
pub(crate) struct CheckBudget(pub(crate) Arc<Sites>);

impl ReadCapability for CheckBudget {
    type Inputs = BudgetInputs;
    type Outputs = BudgetReport;

    fn about(&self) -> About {
        About {
            verb: "check_budget",
            role: "Performance Admin",
            summary: "Holds a measurement to its limits and says of each with what confidence.",
            effect: Effect::Pure,
            idempotency: Idempotency::Natural,
            checks: &[
                ("p95_ms", "p95 of the slowest endpoint that reads, in milliseconds"),
                ("p99_ms", "p99 of the slowest endpoint that reads, in milliseconds"),
                ("write_p95_ms", "p95 of the slowest endpoint that writes, in milliseconds"),
                ("error_rate", "failed and dropped requests, of all that were due"),
                ("db_ms", "milliseconds in the database, per request"),
                ("statements", "statements per request"),
                ("blocks", "blocks per request"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: BudgetInputs,
    ) -> Result<Measured<BudgetReport>, Failure> {
        let configured = self.0.site(cx.target())?.budget.clone();
        let budget = inputs.budget.or(configured).unwrap_or_default();
        let lines = lines(&inputs.measurement.runs, &budget);
        let verdict = lines.iter().map(|line| line.verdict).max().ok_or_else(no_limits)?;
        let checks = lines.iter().map(check).collect();
        Ok(Measured::new(BudgetReport { verdict, lines }, checks))
    }
}

fn no_limits() -> Failure {
    Failure::new(ErrorClass::InvalidInput, "the budget has no limit to check")
        .help("give one, p95_ms for example, in the task or in the target's configuration")
}

fn lines(runs: &[Run], budget: &Budget) -> Vec<Line> {
    let counter = |of: fn(&Counters) -> Option<f64>| {
        runs.iter().map(|run| of(&run.counters)).collect::<Vec<_>>()
    };
    let worst = |of: fn(&EndpointFigures) -> f64| {
        runs.iter().map(|run| run.judged().map(of).max_by(f64::total_cmp)).collect::<Vec<_>>()
    };
    let writes = |run: &Run| {
        let asked = run.of(Role::Write).filter(|e| e.requests > 0);
        asked.map(|e| e.p95_ms).max_by(f64::total_cmp)
    };
    let all = [
        ("p95_ms", budget.p95_ms, worst(|e| e.p95_ms)),
        ("p99_ms", budget.p99_ms, worst(|e| e.p99_ms)),
        ("write_p95_ms", budget.write_p95_ms, runs.iter().map(writes).collect()),
        ("error_rate", budget.error_rate, runs.iter().map(|run| Some(run.error_rate())).collect()),
        ("db_ms", budget.db_ms, counter(|c| c.db_ms)),
        ("statements", budget.statements, counter(|c| c.statements)),
        ("blocks", budget.blocks, counter(|c| c.blocks)),
    ];
    all.into_iter()
        .filter_map(|(metric, limit, values)| Some(line(metric, limit?, values)))
        .collect()
}

/// What is missing in one run is not measured.
fn line(metric: &str, limit: f64, values: Vec<Option<f64>>) -> Line {
    let values: Vec<f64> = values.into_iter().collect::<Option<_>>().unwrap_or_default();
    let measured = (!values.is_empty()).then(|| rounded(mean(&values)));
    let interval = (values.len() >= RUNS_FOR_AN_INTERVAL).then(|| Interval::of_mean(&values, SEED));
    let verdict = match (measured, interval) {
        (None, _) => LineVerdict::Missed,
        (Some(_), None) => LineVerdict::Inconclusive,
        (Some(_), Some(interval)) if interval.high <= limit => LineVerdict::Met,
        (Some(_), Some(interval)) if interval.low > limit => LineVerdict::Missed,
        (Some(_), Some(_)) => LineVerdict::Inconclusive,
    };
    let (low, high) = (interval.map(|i| rounded(i.low)), interval.map(|i| rounded(i.high)));
    Line { metric: metric.to_owned(), limit, measured, low, high, verdict }
}

fn check(line: &Line) -> Check {
    let Some(measured) = line.measured else {
        return Check::not_measured(&line.metric, line.limit, "no run has a figure for it");
    };
    let mut check = Check::at_most(&line.metric, measured, line.limit);
    check.pass = line.verdict == LineVerdict::Met;
    check.note(match (line.verdict, line.low, line.high) {
        (LineVerdict::Met | LineVerdict::Missed, Some(low), Some(high)) => {
            format!("{low} to {high} with 95 % confidence")
        }
        (LineVerdict::Inconclusive, Some(low), Some(high)) => {
            format!("inconclusive: {low} to {high} with 95 % confidence; measure longer")
        }
        (LineVerdict::Met | LineVerdict::Inconclusive | LineVerdict::Missed, _, _) => {
            format!("inconclusive: fewer than {RUNS_FOR_AN_INTERVAL} runs")
        }
    })
}

#[cfg(test)]
mod tests;
