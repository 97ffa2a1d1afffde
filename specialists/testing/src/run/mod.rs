//! `testing.run`: a configured suite, run once, and believed only when everything agrees.

pub(crate) mod judge;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use deadelus_runtime::{
    About, Artefact, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::judge::{Asked, judge};
use crate::{
    execute::execute,
    results::{NAMES_SHOWN_MAX, Outcome, Results, Tests, count, named},
    target::Targets,
};

/// The longest suite that can be configured, and the time to keep what it found.
pub(crate) const RUN_TIMEOUT: Duration = Duration::from_secs(3_600);

/// The capability.
#[derive(Debug)]
pub(crate) struct Run(pub(crate) Targets);

/// What to run. How it is run is configured: nothing that is executed comes from here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The name of a configured suite.
    suite: String,
    /// Fewer tests than this are a failure; at least 1.
    #[serde(default = "default_min_tests")]
    #[schemars(range(min = 1))]
    min_tests: usize,
    /// `results.json` of an earlier run: no test of it may be missing.
    #[serde(default)]
    #[schemars(with = "Option<Value>")]
    earlier: Option<Artefact>,
    /// Tests that were removed on purpose, by name.
    #[serde(default)]
    removed: BTreeSet<String>,
}

/// A run without tests proves nothing.
fn default_min_tests() -> usize {
    1
}

/// What was found; the artefact `results.json` has every test, `output.txt` what was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Tests that held.
    passed: usize,
    /// Those that did not.
    failed: usize,
    /// Those that the suite chose not to run.
    skipped: usize,
    /// The first 100 that failed.
    failing: Vec<String>,
    /// For `testing.compare`, and for the next run's `earlier`.
    #[schemars(with = "Value")]
    results: Artefact,
}

impl ReadCapability for Run {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "run",
            role: "Unit Testing",
            summary: "Runs a configured test suite in its folder, as this specialist's user; \
                      what the suite itself changes there is its own.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("ended_in_time", "it ended by itself before its deadline"),
                ("tests_run", "at least as many tests ran as are wanted, never 0"),
                ("tests_failed", "no test failed"),
                ("exit_agrees", "the exit code says the same as the tests"),
                ("tests_vanished", "no test of the earlier run is missing, if one is given"),
            ],
            undo: None,
            timeout: RUN_TIMEOUT,
            locks: &["tests:{target}"],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let suite = self.0.of(cx)?.suite(&inputs.suite)?;
        let earlier = match &inputs.earlier {
            Some(artefact) => Some(Results::fetch(cx, artefact).await?),
            None => None,
        };
        let empty =
            Results { suite: inputs.suite.clone(), runner: suite.runner, tests: Tests::new() };
        if let Some(earlier) = &earlier {
            earlier.comparable(&empty)?;
        }
        let execution = execute(cx, suite).await?;
        let output = cx.keep("output.txt", "text/plain", execution.output.into()).await?;
        let asked = Asked {
            min_tests: inputs.min_tests,
            earlier: earlier.as_ref().map(|results| &results.tests),
            removed: &inputs.removed,
        };
        let checks = judge(execution.status, &execution.tests, &asked)
            .into_iter()
            .map(|check| check.evidence(output.clone()))
            .collect();
        let results = Results { tests: execution.tests.unwrap_or_default(), ..empty };
        let kept = results.keep(cx).await?;
        let tests = &results.tests;
        let mut failing = named(tests, Outcome::Failed);
        failing.truncate(NAMES_SHOWN_MAX);
        let outputs = Outputs {
            passed: count(tests, Outcome::Passed),
            failed: count(tests, Outcome::Failed),
            skipped: count(tests, Outcome::Skipped),
            failing,
            results: kept.clone(),
        };
        Ok(Measured::new(outputs, checks).artefacts(vec![kept, output]))
    }
}
