//! `testing.flaky`: the same suite many times, and which tests do not always end alike.

use std::collections::BTreeMap;

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured,
    ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    execute::execute,
    results::{NAMES_SHOWN_MAX, Outcome, Tests, first},
    run::RUN_TIMEOUT,
    target::Targets,
};

/// Fewer repetitions find only what fails all the time.
const REPEATS_MIN: u32 = 5;

/// More are a job for a night, not a task.
const REPEATS_MAX: u32 = 50;

/// The capability.
#[derive(Debug)]
pub(crate) struct Flaky(pub(crate) Targets);

/// What to repeat.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The name of a configured suite.
    suite: String,
    /// How often; 5 to 50.
    #[schemars(range(min = 5, max = 50))]
    repeats: u32,
}

/// What was seen; the artefact `flaky.json` has every test.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Tests that held every time.
    stable_passing: usize,
    /// Tests that failed every time: broken, not flaky.
    stable_failing: usize,
    /// The first 100 that differ, least reliable first.
    flaky: Vec<Rate>,
    /// For people.
    #[schemars(with = "Value")]
    details: Artefact,
}

/// How often a test held.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Rate {
    test: String,
    passed: u32,
    /// Also counts the runs that skipped it or did not have it.
    runs: u32,
    /// Wilson's interval at 95 % of how often it holds, 0 to 1.
    low: f64,
    high: f64,
}

impl ReadCapability for Flaky {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "flaky",
            role: "Unit Testing",
            summary: "Runs a configured suite again and again and names the tests that differ; \
                      what the suite itself changes in its folder is its own.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("runs_read", "every run ended in time and told of every test"),
                ("tests_seen", "at least one test ran"),
                ("tests_flaky", "no test ended differently from one run to the next"),
            ],
            undo: None,
            timeout: RUN_TIMEOUT,
            locks: &["tests:{target}"],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let suite = self.0.of(cx)?.suite(&inputs.suite)?;
        if !(REPEATS_MIN..=REPEATS_MAX).contains(&inputs.repeats) {
            let text = format!("repeats: {}: {REPEATS_MIN} to {REPEATS_MAX}", inputs.repeats);
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        let (mut runs, mut problem) = (vec![], String::new());
        for done in 0..inputs.repeats {
            let part = f64::from(done) / f64::from(inputs.repeats);
            cx.progress(&format!("run {} of {}", done + 1, inputs.repeats), Some(part)).await;
            match execute(cx, suite).await?.tests {
                Ok(tests) => runs.push(tests),
                // The next one would take as long, and tell as little.
                Err(why) => {
                    problem = why;
                    break;
                }
            }
        }
        let seen = seen(&runs);
        let json = json!({"suite": inputs.suite, "runs": runs.len(), "tests": seen}).to_string();
        let details = cx.keep("flaky.json", "application/json", json.into()).await?;
        let flaky = rates(&seen);
        let names: Vec<String> = flaky.iter().map(|rate| rate.test.clone()).collect();
        let always = |outcome| seen.values().filter(|seen| seen.always(outcome)).count();
        let checks = vec![
            Check::equal("runs_read", runs.len(), inputs.repeats as usize).note(problem),
            Check::at_least("tests_seen", ran(&seen), 1),
            Check::equal("tests_flaky", flaky.len(), 0)
                .note(first(&names))
                .evidence(details.clone()),
        ];
        let outputs = Outputs {
            stable_passing: always(Outcome::Passed),
            stable_failing: always(Outcome::Failed),
            flaky: flaky.into_iter().take(NAMES_SHOWN_MAX).collect(),
            details: details.clone(),
        };
        Ok(Measured::new(outputs, checks).artefacts(vec![details]))
    }
}

/// How one test ended, over all runs.
#[derive(Debug, Default, Serialize)]
struct Seen {
    passed: u32,
    failed: u32,
    skipped: u32,
    /// In runs that did not have it.
    absent: u32,
}

impl Seen {
    fn runs(&self) -> u32 {
        self.passed + self.failed + self.skipped + self.absent
    }

    fn always(&self, outcome: Outcome) -> bool {
        let often = match outcome {
            Outcome::Passed => self.passed,
            Outcome::Failed => self.failed,
            Outcome::Skipped => self.skipped,
        };
        often == self.runs()
    }

    fn differs(&self) -> bool {
        ![Outcome::Passed, Outcome::Failed, Outcome::Skipped].into_iter().any(|o| self.always(o))
    }
}

fn seen(runs: &[Tests]) -> BTreeMap<String, Seen> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for name in runs.iter().flat_map(Tests::keys) {
        if seen.contains_key(name) {
            continue;
        }
        let mut of = Seen::default();
        for run in runs {
            match run.get(name) {
                Some(Outcome::Passed) => of.passed += 1,
                Some(Outcome::Failed) => of.failed += 1,
                Some(Outcome::Skipped) => of.skipped += 1,
                None => of.absent += 1,
            }
        }
        seen.insert(name.clone(), of);
    }
    seen
}

fn ran(seen: &BTreeMap<String, Seen>) -> usize {
    seen.values().filter(|seen| seen.passed + seen.failed > 0).count()
}

/// Those that differ, least reliable first.
fn rates(seen: &BTreeMap<String, Seen>) -> Vec<Rate> {
    let mut rates: Vec<Rate> = seen
        .iter()
        .filter(|(_, seen)| seen.differs())
        .map(|(test, seen)| {
            let (passed, runs) = (seen.passed, seen.runs());
            let (low, high) = wilson(passed, runs);
            Rate { test: test.clone(), passed, runs, low, high }
        })
        .collect();
    rates.sort_by_key(|rate| rate.passed);
    rates
}

/// Wilson's score interval at 95 %: honest also for few runs, and for none or all that hold.
/// (Wilson 1927, "Probable inference, the law of succession, and statistical inference".)
fn wilson(passed: u32, runs: u32) -> (f64, f64) {
    const Z: f64 = 1.96;
    let n = f64::from(runs.max(1));
    let p = f64::from(passed) / n;
    let divisor = 1.0 + Z * Z / n;
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    (((middle - half) / divisor).max(0.0), ((middle + half) / divisor).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::targets;

    /// A suite whose runner is a shell script.
    async fn repeat(script: &str, repeats: u32) -> Result<Measured<Outputs>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let targets = targets(json!({"suites": {"unit": {
            "folder": folder.path(), "runner": "command", "program": "sh",
            "arguments": ["-c", script, "sh", "{report}"],
        }}}));
        let inputs = Inputs { suite: "unit".to_owned(), repeats };
        Flaky(targets).perform(&Context::detached("shop"), inputs).await
    }

    /// The second test fails in every run but the first.
    const SECOND_FAILS: &str = r#"
        test -e ran && broken='<failure/>'; touch ran
        echo "<testsuite><testcase name='a'/><testcase name='b'>$broken</testcase>
            <testcase name='c'><failure/></testcase></testsuite>" > "$1"; exit 1"#;

    #[tokio::test]
    async fn what_differs_is_named_and_what_is_broken_is_not_flaky() {
        let told = repeat(SECOND_FAILS, 5).await.unwrap();
        let [rate] = &told.outputs.flaky[..] else { panic!("{:?}", told.outputs) };
        assert_eq!((rate.test.as_str(), rate.passed, rate.runs), ("b", 1, 5));
        assert_eq!((told.outputs.stable_passing, told.outputs.stable_failing), (1, 1));
        let failing: Vec<&Check> = told.checks.iter().filter(|check| !check.pass).collect();
        assert_eq!((failing.len(), failing[0].id.as_str()), (1, "tests_flaky"));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_no_proof() {
        let told = repeat("true", 5).await.unwrap();
        let failing = told.checks.iter().filter(|check| !check.pass).map(|c| c.id.as_str());
        assert_eq!(failing.collect::<Vec<_>>(), ["runs_read", "tests_seen"]);
        for repeats in [0, 4, 51] {
            let refused = repeat("true", repeats).await.unwrap_err();
            assert_eq!(refused.class, ErrorClass::InvalidInput);
        }
    }

    /// Of none that hold its upper end is z²/(n + z²), and around a half it is symmetric.
    #[test]
    fn the_interval_is_wilsons() {
        let (low, high) = wilson(0, 10);
        assert!(
            low.abs() < 1e-12 && (high - 1.96 * 1.96 / (10.0 + 1.96 * 1.96)).abs() < 1e-12,
            "{low} {high}"
        );
        let (low, high) = wilson(5, 10);
        assert!(low > 0.2 && (low + high - 1.0).abs() < 1e-12, "{low} {high}");
    }
}
