//! `deployment.smoke`: a few questions to the service as its customers see it, each with the answer
//! that is expected. It only asks (`GET`), and nowhere but at the target's own address.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use hyper::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    health::{Page, Prober},
    target::{Targets, Way},
};

/// More cases than this are an acceptance test: `testing.replay`.
const CASES_MAX: usize = 32;

/// Of one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// All cases one after the other, each with its longest answer.
const SMOKE_TIMEOUT: Duration = Duration::from_secs(180);

/// The capability.
pub(crate) struct Smoke(pub(crate) Targets);

/// What to ask.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// 1 to 32.
    pub(crate) cases: Vec<Case>,
}

/// One question and its answer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Of the target's own address: `/checkout/1`.
    pub(crate) path: String,
    /// Expected.
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// Expected somewhere in the body.
    #[serde(default)]
    pub(crate) contains: Option<String>,
    /// Expected among the headers, with exactly these values: `{"x-revision": "v2"}`.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

fn ok() -> u16 {
    200
}

/// What was answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// In the order of the cases.
    pub(crate) answers: Vec<Answer>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Answer {
    /// What was asked for.
    pub(crate) path: String,
    /// Null when there was no answer.
    pub(crate) status: Option<u16>,
    /// Why it is not the expected one; null when it is.
    pub(crate) problem: Option<String>,
    /// The first characters of the body.
    pub(crate) body: String,
}

impl ReadCapability for Smoke {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "smoke",
            role: "Deployment",
            summary: "Asks a service a few questions as its customers do, and compares the answers.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("failed_cases", "no answer is other than expected")],
            undo: None,
            timeout: SMOKE_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let origin = match &target.way {
            Way::File(service) => origin(service.prober.url()),
            Way::Fleet(fleet) => fleet.origin.clone(),
        };
        let urls = urls(&origin, &inputs.cases)?;
        let mut answers = vec![];
        for (case, url) in inputs.cases.iter().zip(urls) {
            answers.push(answer(case, Prober::new(url, ANSWER_WITHIN).page().await));
        }
        let failed: Vec<String> = answers
            .iter()
            .filter_map(|a| a.problem.as_ref().map(|problem| format!("{}: {problem}", a.path)))
            .collect();
        let json = serde_json::json!({ "answers": answers });
        let kept = cx.keep("smoke.json", "application/json", Bytes::from(json.to_string())).await?;
        let check = Check::equal("failed_cases", failed.len(), 0)
            .note(if failed.is_empty() {
                format!("of {}", answers.len())
            } else {
                failed.join("; ")
            })
            .evidence(kept.clone());
        Ok(Measured::new(Outputs { answers }, vec![check]).artefacts(vec![kept]))
    }
}

/// `http://127.0.0.1:8080`
fn origin(url: &Uri) -> String {
    let authority = url.authority().map(ToString::to_string).unwrap_or_default();
    format!("http://{authority}")
}

fn urls(origin: &str, cases: &[Case]) -> Result<Vec<Uri>, Failure> {
    let invalid = |text: String| Failure::new(ErrorClass::InvalidInput, text);
    if cases.is_empty() || cases.len() > CASES_MAX {
        return Err(invalid(format!("cases: {} of them, use 1 to {CASES_MAX}", cases.len())));
    }
    let url = |case: &Case| {
        // What does not begin so could lead to another host: `@elsewhere`.
        if !case.path.starts_with('/') {
            return Err(invalid(format!("path: {:?} does not begin with /", case.path)));
        }
        format!("{origin}{}", case.path)
            .parse()
            .map_err(|e| invalid(format!("path: {:?}: {e}", case.path)))
    };
    cases.iter().map(url).collect()
}

/// The decision: what an answer is worth against its case.
fn answer(case: &Case, page: Result<Page, String>) -> Answer {
    let path = case.path.clone();
    let page = match page {
        Ok(page) => page,
        Err(reason) => {
            return Answer { path, status: None, problem: Some(reason), body: String::new() };
        }
    };
    let header = |(name, wanted): (&String, &String)| {
        let found = page.headers.get(name).and_then(|v| v.to_str().ok());
        (found != Some(wanted)).then(|| format!("{name} is {found:?}, wanted {wanted:?}"))
    };
    let problem = if page.status == case.status {
        let missing = case.contains.as_ref().filter(|text| !page.text.contains(text.as_str()));
        missing
            .map(|text| format!("{text:?} is not in the body"))
            .or_else(|| case.headers.iter().find_map(header))
    } else {
        Some(format!("status {}, wanted {}", page.status, case.status))
    };
    Answer { path, status: Some(page.status), problem, body: page.shown() }
}

#[cfg(test)]
mod tests;
