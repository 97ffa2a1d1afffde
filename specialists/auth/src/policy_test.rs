//! `auth.policy_test`: whether policies decide cases as they are meant to.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability, Source,
    blocking, invalid,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cedar::{Answer, Ask, Bundle, Decision, Sources},
    target::Targets,
};

/// A decision takes well under a millisecond.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Cases of one run: more are a task of their own.
const CASES_MAX: usize = 10_000;

/// Cases told in the outputs; all of them are in the artefact.
const CASES_TOLD_MAX: usize = 100;

/// The capability.
pub(crate) struct PolicyTest(pub(crate) Targets);

/// What to try on what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// Cedar's text, or its JSON.
    policies: Source,
    /// A list of `{name, expect: allow | deny, request: {principal, action, resource, context},
    /// because: [policies]}`; JSON or YAML. `because` may be left out.
    cases: Source,
    /// What policies, entities and requests are about: Cedar's text, or its JSON.
    #[serde(default)]
    schema: Option<Source>,
    /// What templates are filled with: `[{template_id, link_id, args: {"?principal": …}}]`.
    #[serde(default)]
    links: Option<Source>,
    /// A list as Cedar has it.
    #[serde(default)]
    entities: Option<Source>,
    /// Whether entities and requests have to fit the schema.
    #[serde(default = "default_strict")]
    strict: bool,
}

/// A misspelt attribute would make a test say nothing.
fn default_strict() -> bool {
    true
}

/// A request and what should come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    expect: Decision,
    request: Ask,
    /// Exactly these policies decide it.
    #[serde(default)]
    because: Option<Vec<String>>,
}

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Tried {
    /// Of the case.
    name: String,
    /// What should have come of it.
    expected: Decision,
    /// What came of it.
    #[serde(flatten)]
    answer: Answer,
    /// Whether that is what was expected, for the reason that was expected.
    pass: bool,
}

/// What came of all; the artefact `policy_test.json` has every case.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// How many there were.
    cases: usize,
    /// How many went otherwise.
    failed: usize,
    /// The first 100 cases, those that went otherwise first.
    first: Vec<Tried>,
}

impl ReadCapability for PolicyTest {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "policy_test",
            role: crate::ROLE,
            summary: "Decides cases with Cedar policies and compares with what is expected.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("cases_as_expected", "every case is decided as expected, for the reason expected"),
                ("policies_evaluated", "no policy failed while a case was decided"),
            ],
            undo: None,
            timeout: TEST_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let folder = &self.0.of(cx)?.folder;
        let sources = Sources {
            policies: &inputs.policies,
            links: inputs.links.as_ref(),
            schema: inputs.schema.as_ref(),
            entities: inputs.entities.as_ref(),
            strict: inputs.strict,
        };
        let bundle = sources.load(cx, folder).await?;
        let cases = inputs.cases.text(cx, folder).await?.parse()?;
        let tried = blocking(move || try_all(&bundle, cases)).await?;
        let json = serde_json::json!({ "cases": tried }).to_string();
        let kept = cx.keep("policy_test.json", "application/json", json.into()).await?;
        Ok(measured(tried, &kept).artefacts(vec![kept]))
    }
}

fn try_all(bundle: &Bundle, cases: Vec<Case>) -> Result<Vec<Tried>, Failure> {
    if !(1..=CASES_MAX).contains(&cases.len()) {
        return Err(invalid(format!("{} cases: 1 to {CASES_MAX}", cases.len())));
    }
    cases.into_iter().map(|case| case.tried(bundle)).collect()
}

impl Case {
    fn tried(mut self, bundle: &Bundle) -> Result<Tried, Failure> {
        let mut answer = bundle.decide(&self.request);
        if let Err(failure) = &mut answer {
            failure.message = format!("case {:?}: {}", self.name, failure.message);
        }
        let answer = answer?;
        if let Some(because) = &mut self.because {
            because.sort();
        }
        let pass = answer.decision == self.expect
            && self.because.is_none_or(|because| because == answer.because);
        Ok(Tried { name: self.name, expected: self.expect, answer, pass })
    }
}

fn measured(mut tried: Vec<Tried>, kept: &deadelus_runtime::Artefact) -> Measured<Outputs> {
    let cases = tried.len();
    tried.sort_by_key(|case| case.pass);
    let failed = tried.iter().filter(|case| !case.pass).count();
    let otherwise = tried.first().filter(|case| !case.pass).map(|case| {
        let Tried { name, expected, answer: Answer { decision, because, .. }, .. } = case;
        format!("{name}: {decision}, not {expected}, because of {because:?}")
    });
    let errors: Vec<&String> = tried.iter().flat_map(|case| &case.answer.errors).collect();
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    let checks = vec![
        Check::equal("cases_as_expected", cases - failed, cases)
            .note(otherwise.unwrap_or_default())
            .evidence(kept.clone()),
        Check::equal("policies_evaluated", errors.len(), 0).note(first),
    ];
    tried.truncate(CASES_TOLD_MAX);
    Measured::new(Outputs { cases, failed, first: tried }, checks)
}

#[cfg(test)]
mod tests;
