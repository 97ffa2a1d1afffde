//! What a run of a suite found, test by test: kept as `results.json` and compared with later runs.

use std::collections::BTreeMap;

use deadelus_runtime::{Artefact, Context, ErrorClass, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::Runner;

/// Names in the outputs of a task; all of them are in its artefact.
pub(crate) const NAMES_SHOWN_MAX: usize = 100;

/// How one test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It held.
    Passed,
    /// It did not, or could not be run.
    Failed,
    /// Its suite chose not to run it.
    Skipped,
}

/// Every test and how it ended.
pub(crate) type Tests = BTreeMap<String, Outcome>;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
    /// Which of the target's suites.
    pub(crate) suite: String,
    /// What ran it: the names of tests are the runner's.
    pub(crate) runner: Runner,
    pub(crate) tests: Tests,
}

impl Results {
    /// What an earlier task kept.
    ///
    /// # Errors
    /// `invalid_input` when the artefact holds something else, `unavailable` when the store is.
    pub(crate) async fn fetch(cx: &Context, artefact: &Artefact) -> Result<Self, Failure> {
        let bytes = cx.fetch(artefact).await?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let text = format!("artefact {}: no results of a run: {e}", artefact.name);
            Failure::new(ErrorClass::InvalidInput, text)
                .help("name the results.json of an earlier testing.run")
        })
    }

    /// Keeps it for later tasks.
    ///
    /// # Errors
    /// As [`Context::keep`].
    pub(crate) async fn keep(&self, cx: &Context) -> Result<Artefact, Failure> {
        let json = serde_json::to_vec(self).map_err(|e| {
            Failure::new(ErrorClass::InvalidInput, format!("results.json cannot be written: {e}"))
        })?;
        cx.keep("results.json", "application/json", json.into()).await
    }

    /// Whether two runs can be compared at all.
    ///
    /// # Errors
    /// `invalid_input` when they are of different suites or runners.
    pub(crate) fn comparable(&self, other: &Self) -> Result<(), Failure> {
        if self.suite == other.suite && self.runner == other.runner {
            return Ok(());
        }
        let Self { suite, runner, .. } = self;
        let text = format!(
            "suite {suite:?} run by {runner:?} cannot be compared with suite {:?} run by {:?}",
            other.suite, other.runner
        );
        Err(Failure::new(ErrorClass::InvalidInput, text))
    }
}

/// How many ended like this.
pub(crate) fn count(tests: &Tests, outcome: Outcome) -> usize {
    tests.values().filter(|o| **o == outcome).count()
}

/// The names of those that ended like this.
pub(crate) fn named(tests: &Tests, outcome: Outcome) -> Vec<String> {
    tests.iter().filter(|(_, o)| **o == outcome).map(|(name, _)| name.clone()).collect()
}

/// Adds a test; a second one of the same name gets a number, so that neither hides the other.
pub(crate) fn add(tests: &mut Tests, name: &str, outcome: Outcome) {
    let mut unique = name.to_owned();
    let mut number = 1;
    while tests.contains_key(&unique) {
        number += 1;
        unique = format!("{name} #{number}");
    }
    tests.insert(unique, outcome);
}

/// The first names of a list, for a sentence.
pub(crate) fn first(names: &[String]) -> String {
    /// More than a person reads in a sentence.
    const SENTENCE_NAMES_MAX: usize = 5;
    let mut text = names.iter().take(SENTENCE_NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SENTENCE_NAMES_MAX {
        text.push_str(", …");
    }
    text
}
