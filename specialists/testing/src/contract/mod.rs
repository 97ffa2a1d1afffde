//! `testing.contract`: the live service, held to its `OpenAPI` document by requests that fit it and
//! requests that each break one rule of it.
//!
//! Only the configured address is asked. Requests that may change something are sent only where the
//! target's configuration allows writing; what they make stays there.

mod cases;
mod document;
mod sample;
#[cfg(test)]
mod tests;
mod verdict;

use std::{collections::BTreeSet, time::Duration};

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
    Source,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::{
    cases::{Case, Known},
    document::{Document, Operation},
    verdict::Fault,
};
use crate::{
    client::{Address, Answer},
    target::Targets,
};

/// The most requests, at a few milliseconds each, and room for slow ones.
const CONTRACT_TIMEOUT: Duration = Duration::from_secs(900);

/// More requests than this are a job of their own.
const REQUESTS_MAX: usize = 5_000;

/// Requests without any answer, one after the other, that mean that nobody is there.
const SILENCE_MAX: usize = 3;

/// Requests per operation that fit, besides the plainest one.
const VARIATIONS: u64 = 3;

/// Findings in the outputs; more are in the artefact.
const FINDINGS_SHOWN_MAX: usize = 20;

/// A service that gets everything wrong is found out by fewer.
const FINDINGS_KEPT_MAX: usize = 1_000;

/// The capability.
#[derive(Debug)]
pub(crate) struct Contract(pub(crate) Targets);

/// What to hold the service to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The `OpenAPI` document, 3.0 or 3.1.
    document: Source,
    /// The same seed makes the same requests.
    #[serde(default)]
    seed: u64,
    /// The most requests that are sent; 1 to 5,000.
    #[serde(default = "default_max_requests")]
    #[schemars(range(min = 1, max = 5000))]
    max_requests: usize,
    /// Try only GET, HEAD and OPTIONS, and list the other operations as not tried.
    #[serde(default)]
    safe_only: bool,
}

/// Enough for some twenty operations.
fn default_max_requests() -> usize {
    500
}

/// What was seen; the artefact `contract.json` has every finding with a command that shows it again.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Operations of the document.
    operations: usize,
    /// Requests that were sent.
    requests: usize,
    /// Requests that did not fit into `max_requests`.
    left_out: usize,
    /// Operations that never succeeded, or were not tried, and why: nothing is proved of these.
    unproved: Vec<String>,
    /// The first 20.
    first: Vec<Finding>,
}

/// One answer that is not as it should be.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Finding {
    /// `GET /orders/{id}`
    operation: String,
    fault: Fault,
    /// In a sentence.
    text: String,
    /// Shows it again.
    curl: String,
}

impl ReadCapability for Contract {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "contract",
            role: "Validation",
            summary: "Tries every operation of an OpenAPI document on the live service; where \
                      the configuration allows writing, what the requests make stays there.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("operations_succeeding", "at least one operation answered with success"),
                ("operations_missing", "no operation that was tried is unknown to the service"),
                ("server_errors", "no request broke the service"),
                ("answers_undocumented", "no answer is other than the document says"),
                ("bad_input_accepted", "no request against the document was taken"),
            ],
            undo: None,
            timeout: CONTRACT_TIMEOUT,
            locks: &["service:{target}"],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let (address, may_write) = target.service()?;
        if !(1..=REQUESTS_MAX).contains(&inputs.max_requests) {
            let text = format!("max_requests: {}: 1 to {REQUESTS_MAX}", inputs.max_requests);
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        let text = inputs.document.text(cx, target.folder_of(&inputs.document)?).await?;
        let document = Document::new(text.tree()?)?;
        let operations = document.operations();
        if !may_write
            && !inputs.safe_only
            && let Some(unsafe_one) = operations.iter().find(|operation| !operation.safe())
        {
            let text = format!("{} may change the service", unsafe_one.name());
            return Err(Failure::new(ErrorClass::Denied, text).help(
                "set service.may_write for a service that exists for tests, or give safe_only",
            ));
        }
        let mut trial = Trial::new(&address, &document, inputs.max_requests);
        for operation in &operations {
            if inputs.safe_only && !operation.safe() {
                trial.unproved.insert(format!("{}: not safe", operation.name()));
                continue;
            }
            trial.plainest(operation).await?;
        }
        for operation in &operations {
            if !inputs.safe_only || operation.safe() {
                trial.others(operation, inputs.seed).await?;
            }
        }
        report(cx, &operations, trial).await
    }
}

impl Operation<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    fn safe(&self) -> bool {
        matches!(self.method, "get" | "head" | "options")
    }
}

/// What has been tried so far.
struct Trial<'a> {
    address: &'a Address,
    document: &'a Document,
    known: Known,
    findings: Vec<Finding>,
    succeeding: BTreeSet<String>,
    unproved: BTreeSet<String>,
    requests: usize,
    left: usize,
    left_out: usize,
    silence: usize,
}

impl<'a> Trial<'a> {
    fn new(address: &'a Address, document: &'a Document, left: usize) -> Self {
        Self {
            address,
            document,
            known: Known::new(),
            findings: vec![],
            succeeding: BTreeSet::new(),
            unproved: BTreeSet::new(),
            requests: 0,
            left,
            left_out: 0,
            silence: 0,
        }
    }

    /// The request with what is required and nothing else.
    async fn plainest(&mut self, operation: &Operation<'_>) -> Result<(), Failure> {
        match cases::valid(self.document, operation, &self.known, None) {
            Ok(case) => self.send(operation, &case).await,
            Err(problem) => {
                self.unproved.insert(format!("{}: {problem}", operation.name()));
                Ok(())
            }
        }
    }

    /// Those with more, and those that break a rule. What cannot be made was told of already.
    async fn others(&mut self, operation: &Operation<'_>, seed: u64) -> Result<(), Failure> {
        let mut all = vec![];
        for number in 0..VARIATIONS {
            let rng = fastrand::Rng::with_seed(seed.wrapping_add(number));
            all.extend(cases::valid(self.document, operation, &self.known, Some(rng)));
        }
        let invalid = cases::invalid(self.document, operation, &self.known);
        all.extend(invalid.unwrap_or_default());
        for case in &all {
            self.send(operation, case).await?;
        }
        Ok(())
    }

    async fn send(&mut self, operation: &Operation<'_>, case: &Case) -> Result<(), Failure> {
        if self.left == 0 {
            self.left_out += 1;
            return Ok(());
        }
        self.left -= 1;
        self.requests += 1;
        match self.address.send(&case.ask).await {
            Err(reason) => {
                self.silence += 1;
                if self.silence >= SILENCE_MAX {
                    let text = format!("{}: {reason}", self.address);
                    return Err(Failure::new(ErrorClass::Unavailable, text)
                        .help("start the service, or correct service.base_url"));
                }
                self.find(operation, case, Fault::Missing, reason);
            }
            Ok(answer) => {
                self.silence = 0;
                let breaks = case.breaks.as_deref();
                for (fault, text) in verdict::of(self.document, operation, breaks, &answer) {
                    self.find(operation, case, fault, text);
                }
                if case.breaks.is_none() && (200..400).contains(&answer.status) {
                    self.succeeding.insert(operation.name());
                    self.remember(operation, &answer);
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, operation: &Operation<'_>, case: &Case, fault: Fault, text: String) {
        let (operation, curl) = (operation.name(), self.address.curl(&case.ask));
        self.findings.push(Finding { operation, fault, text, curl });
    }

    /// Values for the paths below this one: of the answer itself, or of the first in its list.
    fn remember(&mut self, operation: &Operation<'_>, answer: &Answer) {
        let Ok(value) = serde_json::from_slice::<Value>(&answer.body) else { return };
        let first = value.get(0).cloned().unwrap_or(value);
        for (name, value) in first.as_object().into_iter().flatten() {
            if value.is_string() || value.is_number() {
                let key = (operation.path.to_owned(), name.clone());
                self.known.entry(key).or_insert_with(|| value.clone());
            }
        }
    }
}

async fn report(
    cx: &Context,
    operations: &[Operation<'_>],
    trial: Trial<'_>,
) -> Result<Measured<Outputs>, Failure> {
    let Trial { findings, succeeding, mut unproved, requests, left_out, .. } = trial;
    let mut silent: BTreeSet<String> = operations.iter().map(Operation::name).collect();
    silent.retain(|name| {
        !succeeding.contains(name) && !unproved.iter().any(|told| told.starts_with(name))
    });
    unproved.extend(silent.into_iter().map(|name| format!("{name}: never succeeded")));
    let kept: Vec<&Finding> = findings.iter().take(FINDINGS_KEPT_MAX).collect();
    let json = json!({"requests": requests, "unproved": unproved, "findings": kept}).to_string();
    let kept = cx.keep("contract.json", "application/json", json.into()).await?;
    let none = |id: &str, fault: Fault| {
        let mut of = findings.iter().filter(|finding| finding.fault == fault);
        let first = of.clone().next().map(|f| format!("{}: {}", f.operation, f.text));
        Check::equal(id, of.by_ref().count(), 0)
            .note(first.unwrap_or_default())
            .evidence(kept.clone())
    };
    let checks = vec![
        Check::at_least("operations_succeeding", succeeding.len(), 1),
        none("operations_missing", Fault::Missing),
        none("server_errors", Fault::ServerError),
        none("answers_undocumented", Fault::Undocumented),
        none("bad_input_accepted", Fault::BadInputAccepted),
    ];
    let outputs = Outputs {
        operations: operations.len(),
        requests,
        left_out,
        unproved: unproved.into_iter().collect(),
        first: findings.iter().take(FINDINGS_SHOWN_MAX).cloned().collect(),
    };
    Ok(Measured::new(outputs, checks).artefacts(vec![kept]))
}
