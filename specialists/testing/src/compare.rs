//! `testing.compare`: what a change did to a suite, of two runs that are kept.

use std::{collections::BTreeSet, time::Duration};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    results::{NAMES_SHOWN_MAX, Outcome, Results, Tests, first},
    run::judge::vanished,
};

/// Two artefacts are fetched.
const COMPARE_TIMEOUT: Duration = Duration::from_secs(60);

/// The capability.
#[derive(Debug)]
pub(crate) struct Compare;

/// Two runs of one suite.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// `results.json` of the run before the change.
    #[schemars(with = "Value")]
    before: Artefact,
    /// `results.json` of the run after it.
    #[schemars(with = "Value")]
    after: Artefact,
    /// Tests that were removed on purpose, by name.
    #[serde(default)]
    removed: BTreeSet<String>,
}

/// What differs; of each list the first 100, all of them in the artefact `comparison.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// They fail now and did not, or were not there.
    newly_failing: Vec<String>,
    /// They failed and hold now.
    fixed: Vec<String>,
    /// They were run and are not now.
    vanished: Vec<String>,
    /// They were not there.
    new: Vec<String>,
}

impl ReadCapability for Compare {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "compare",
            role: "Unit Testing",
            summary: "Compares two kept runs of a suite: newly failing, fixed, vanished, new.",
            effect: Effect::Pure,
            idempotency: Idempotency::Natural,
            checks: &[
                ("tests_newly_failing", "no test fails that did not fail before"),
                ("tests_vanished", "no test of the earlier run is missing"),
            ],
            undo: None,
            timeout: COMPARE_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let before = Results::fetch(cx, &inputs.before).await?;
        let after = Results::fetch(cx, &inputs.after).await?;
        before.comparable(&after)?;
        let mut differs = compare(&before.tests, &after.tests, &inputs.removed);
        let json = serde_json::json!(differs).to_string();
        let kept = cx.keep("comparison.json", "application/json", json.into()).await?;
        let none = |id: &str, names: &[String]| {
            Check::equal(id, names.len(), 0).note(first(names)).evidence(kept.clone())
        };
        let checks = vec![
            none("tests_newly_failing", &differs.newly_failing),
            none("tests_vanished", &differs.vanished),
        ];
        let Outputs { newly_failing, fixed, vanished, new } = &mut differs;
        for names in [newly_failing, fixed, vanished, new] {
            names.truncate(NAMES_SHOWN_MAX);
        }
        Ok(Measured::new(differs, checks).artefacts(vec![kept]))
    }
}

fn compare(before: &Tests, after: &Tests, removed: &BTreeSet<String>) -> Outputs {
    let now = |wanted: &dyn Fn(Option<Outcome>, Outcome) -> bool| {
        let differs = after.iter().filter(|(name, o)| wanted(before.get(*name).copied(), **o));
        differs.map(|(name, _)| name.clone()).collect()
    };
    let failed = |outcome: Option<Outcome>| outcome == Some(Outcome::Failed);
    Outputs {
        newly_failing: now(&|then, now| failed(Some(now)) && !failed(then)),
        fixed: now(&|then, now| failed(then) && now == Outcome::Passed),
        vanished: vanished(before, after, removed),
        new: now(&|then, _| then.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use deadelus_runtime::ErrorClass;

    use super::*;
    use crate::target::Runner;

    async fn kept(cx: &Context, suite: &str, told: &[(&str, Outcome)]) -> Artefact {
        let tests = told.iter().map(|(name, outcome)| ((*name).to_owned(), *outcome)).collect();
        let results = Results { suite: suite.to_owned(), runner: Runner::Cargo, tests };
        results.keep(cx).await.unwrap()
    }

    async fn of(
        cx: &Context,
        before: Artefact,
        after: Artefact,
    ) -> Result<Measured<Outputs>, Failure> {
        Compare.perform(cx, Inputs { before, after, removed: BTreeSet::new() }).await
    }

    #[tokio::test]
    async fn every_difference_has_its_name() {
        use Outcome::{Failed, Passed, Skipped};
        let cx = Context::detached("shop");
        let before = [
            ("breaks", Passed),
            ("fixed", Failed),
            ("gone", Passed),
            ("muted", Failed),
            ("red", Failed),
            ("same", Passed),
            ("woken", Skipped),
        ];
        let after = [
            ("breaks", Failed),
            ("fixed", Passed),
            ("muted", Skipped),
            ("new", Passed),
            ("red", Failed),
            ("same", Passed),
            ("unborn", Failed),
            ("woken", Passed),
        ];
        let before = kept(&cx, "unit", &before).await;
        let after = kept(&cx, "unit", &after).await;
        let told = of(&cx, before.clone(), after).await.unwrap();
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let expected = Outputs {
            newly_failing: names(&["breaks", "unborn"]),
            fixed: names(&["fixed"]),
            vanished: names(&["gone", "muted"]),
            new: names(&["new", "unborn"]),
        };
        assert_eq!(told.outputs, expected);
        assert!(told.checks.iter().all(|check| !check.pass && check.measured == "2"));
        let same = of(&cx, before.clone(), before).await.unwrap();
        assert!(same.checks.iter().all(|check| check.pass));
    }

    #[tokio::test]
    async fn what_cannot_be_compared_is_refused() {
        let cx = Context::detached("shop");
        let unit = kept(&cx, "unit", &[("a", Outcome::Passed)]).await;
        let live = kept(&cx, "live", &[("a", Outcome::Passed)]).await;
        let other = cx.keep("a.txt", "text/plain", "no results".into()).await.unwrap();
        for (before, after) in [(unit.clone(), live), (unit, other)] {
            let failure = of(&cx, before, after).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::InvalidInput, "{failure}");
        }
    }
}
