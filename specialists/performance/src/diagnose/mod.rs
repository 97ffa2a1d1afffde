//! `performance.diagnose`: what makes a measured target slow, ranked, with shares of the time.
//!
//! It looks at figures and touches nothing. It must never blame a missing index for time that
//! was spent waiting for something else: most wrong changes begin there.

mod attribution;
mod report;

use std::{sync::Arc, time::Duration};

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    run::{EndpointFigures, Measurement, Run, Statement, rounded},
    target::{Budget, Role},
    targets::Sites,
};

/// It divides a few numbers.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Where nobody said how fast is fast enough: below this no person notices the difference.
const FAST_ENOUGH_P95_MS: f64 = 10.0;
/// The shares are of one whole; what is further off was counted twice or not at all.
const SHARES_OFF_MAX: f64 = 0.05;

/// What `measure` and `db.explain` have found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiagnoseInputs {
    /// The outputs of `performance.measure`.
    pub measurement: Measurement,
    /// The plans of `db.explain`; without them no index is found missing.
    #[serde(default)]
    pub plans: Vec<Plan>,
    /// When it is met there is nothing to look for. The target's own, unless given.
    #[serde(default)]
    pub budget: Option<Budget>,
}

/// What the database says it does for a statement. Other keys are the database specialist's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Plan {
    /// The text that was explained.
    pub statement: String,
    /// Tables it reads from end to end.
    #[serde(default)]
    pub full_scans: Vec<FullScan>,
}

/// A table that is read from end to end.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct FullScan {
    /// Its name.
    pub table: String,
    /// What it is searched by; empty when every row is wanted.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Rows that are in it, as far as the database knows.
    #[serde(default)]
    pub rows_estimate: Option<f64>,
}

/// Why it is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A statement reads a large table from end to end for a few of its rows.
    MissingIndex,
    /// One statement for each row of another.
    NPlusOne,
    /// Somebody else holds a lock.
    LockWait,
    /// Requests queue for a database connection that does no slow statement.
    PoolExhausted,
    /// Another service is waited for.
    SlowExternal,
    /// Work: of the database on statements that need it, or of the service itself.
    Cpu,
    /// Time that passes outside of the database, in the service or on the way.
    NotDb,
    /// It is fast enough.
    None,
    /// Nothing was counted, so that nothing can be said.
    Unattributed,
}

/// The outputs of `performance.diagnose`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Diagnosis {
    /// The one with the greatest share.
    pub cause: Cause,
    /// All that took time, the greatest share first.
    pub causes: Vec<Finding>,
    /// What the cause is about, when it is about a statement.
    pub statement: Option<Statement>,
}

/// One cause.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Finding {
    /// Which.
    pub cause: Cause,
    /// Of the mean latency without the generator's lag, 0 to 1.
    pub share: f64,
    /// The figures it stands on.
    pub evidence: String,
    /// What a person or the next task can do about it.
    pub advice: String,
    /// The statement with the greatest part in it, where it is about statements.
    pub statement: Option<Statement>,
}

/// Finds the cause.
#[derive(Debug, Clone)]
pub(crate) struct Diagnose(pub(crate) Arc<Sites>);

impl ReadCapability for Diagnose {
    type Inputs = DiagnoseInputs;
    type Outputs = Diagnosis;

    fn about(&self) -> About {
        About {
            verb: "diagnose",
            role: "Performance Admin",
            summary: "Says what makes a measured target slow, with the share of each cause.",
            effect: Effect::Pure,
            idempotency: Idempotency::Natural,
            checks: &[
                (
                    "shares_add_up",
                    "the shares of all causes are the whole latency, within a twentieth",
                ),
                ("cause_has_evidence", "every cause names the figures it stands on"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: DiagnoseInputs,
    ) -> Result<Measured<Diagnosis>, Failure> {
        let configured = self.0.site(cx.target())?.budget.clone();
        let budget = inputs.budget.or(configured).unwrap_or_default();
        let diagnosis = diagnose(&inputs.measurement, &inputs.plans, &budget);
        let checks = checks(&diagnosis);
        Ok(Measured::new(diagnosis, checks))
    }
}

fn diagnose(measurement: &Measurement, plans: &[Plan], budget: &Budget) -> Diagnosis {
    let causes = if is_fast_enough(measurement, budget) {
        vec![report::nothing(measurement)]
    } else if measurement.latency.db_ms.is_none() && measurement.runs_have_no_handler() {
        vec![report::unattributed(measurement)]
    } else {
        attribution::causes(measurement, plans)
    };
    let first = causes.first();
    Diagnosis {
        cause: first.map_or(Cause::None, |finding| finding.cause),
        statement: first.and_then(|finding| finding.statement.clone()),
        causes,
    }
}

/// A request that fails is not fast, however soon.
fn is_fast_enough(measurement: &Measurement, budget: &Budget) -> bool {
    let limit = budget.p95_ms.unwrap_or(FAST_ENOUGH_P95_MS);
    let write_limit = budget.write_p95_ms.unwrap_or(f64::INFINITY);
    let may_fail = budget.error_rate.unwrap_or(0.0);
    let within = |limit: f64| move |e: &EndpointFigures| e.requests == 0 || e.p95_ms <= limit;
    let fast = |run: &Run| {
        run.judged().all(within(limit))
            && run.of(Role::Write).all(within(write_limit))
            && run.error_rate() <= may_fail
    };
    !measurement.runs.is_empty() && measurement.runs.iter().all(fast)
}

fn checks(diagnosis: &Diagnosis) -> Vec<Check> {
    let sum: f64 = diagnosis.causes.iter().map(|finding| finding.share).sum();
    let silent = diagnosis.causes.iter().filter(|finding| finding.evidence.is_empty()).count();
    let off = (sum - 1.0).abs();
    vec![
        Check::at_most("shares_add_up", rounded(off), SHARES_OFF_MAX).note(format!(
            "the shares are {sum:.3} together; more than 1 means that the counters hold the \
             time of other requests, or of statements that ran side by side"
        )),
        Check::equal("cause_has_evidence", silent, 0),
    ]
}

impl Measurement {
    fn runs_have_no_handler(&self) -> bool {
        self.runs.iter().all(|run| run.counters.handler_ms.is_none())
    }
}

#[cfg(test)]
mod tests;
