//! `testing.replay`: the requests of a Postman collection, sent to the live service in their order.
//!
//! Only the configured address is asked, and requests that may change something are sent only where
//! the target's configuration allows writing; what they make stays there. No script is executed.

mod collection;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
    Source,
};
use hyper::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::collection::{Step, filled, steps, variables};
use crate::{
    client::{Address, Answer, Ask},
    target::Targets,
};

/// The most requests, at a few milliseconds each, and room for slow ones.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(600);

/// A larger collection is replayed folder by folder.
const STEPS_MAX: usize = 500;

/// Requests without any answer, one after the other, that mean that nobody is there.
const SILENCE_MAX: usize = 3;

/// The capability.
#[derive(Debug)]
pub(crate) struct Replay(pub(crate) Targets);

/// What to replay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The collection, schema v2.1.
    collection: Source,
    /// One of its outermost folders, by name; without it all of them.
    #[serde(default)]
    folder: Option<String>,
    /// The variable that stands for the service's address: `APIURL`. Every URL must begin with it.
    address_variable: String,
    /// Values of other variables; no secrets: they are part of the plan.
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// Variables that an answer brings, by name: what a script would have remembered.
    #[serde(default)]
    captures: BTreeMap<String, Capture>,
    /// Go on where scripts test more than the status: those tests are listed and not made.
    #[serde(default)]
    ignore_scripts: bool,
}

/// Where the value of a variable comes from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capture {
    /// The request, with its folders: `Auth / Login`.
    request: String,
    /// JSON pointer into its answer: `/user/token`.
    pointer: String,
}

/// What was seen; the artefact `replay.json` has every request.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Requests that were sent.
    requests: usize,
    /// Those that were not answered as they should be, and why.
    failed: Vec<String>,
    /// Requests whose scripts test more than was tested here.
    scripts_ignored: Vec<String>,
}

/// One request and what came of it.
#[derive(Debug, Clone, Serialize)]
struct Replayed {
    name: String,
    status: Option<u16>,
    /// None when it was answered as it should be.
    problem: Option<String>,
}

impl ReadCapability for Replay {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "replay",
            role: "Validation",
            summary: "Sends the requests of a Postman collection to the live service; where the \
                      configuration allows writing, what they make stays there.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("requests_sent", "at least one request was sent"),
                ("requests_failed", "every answer has the tested status, else one of success"),
            ],
            undo: None,
            timeout: REPLAY_TIMEOUT,
            locks: &["service:{target}"],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let (address, may_write) = target.service()?;
        let folder = target.folder_of(&inputs.collection)?;
        let tree = inputs.collection.text(cx, folder).await?.tree()?;
        let steps = steps(&tree, inputs.folder.as_deref())?;
        check(&steps, &tree, &inputs, may_write)?;
        let mut known = variables(&tree);
        known.extend(inputs.variables.clone());
        // The address is in the URL's place already.
        known.insert(inputs.address_variable.clone(), String::new());
        let all = replay(&address, &steps, known, &inputs.captures).await?;
        let json = json!({"address": address.to_string(), "requests": all}).to_string();
        let kept = cx.keep("replay.json", "application/json", json.into()).await?;
        let failed: Vec<String> = all
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.name, one.problem.as_ref()?)))
            .collect();
        let checks = vec![
            Check::at_least("requests_sent", all.len(), 1),
            Check::equal("requests_failed", failed.len(), 0)
                .note(failed.first().cloned().unwrap_or_default())
                .evidence(kept.clone()),
        ];
        let ignored = steps.iter().filter(|step| !step.not_understood.is_empty());
        let scripts_ignored = ignored.map(|step| step.name.clone()).collect();
        let outputs = Outputs { requests: all.len(), failed, scripts_ignored };
        Ok(Measured::new(outputs, checks).artefacts(vec![kept]))
    }
}

/// Refuses what cannot be replayed, before anything is sent.
fn check(steps: &[Step], tree: &Value, inputs: &Inputs, may_write: bool) -> Result<(), Failure> {
    let invalid = |text: String| Err(Failure::new(ErrorClass::InvalidInput, text));
    if steps.len() > STEPS_MAX {
        return invalid(format!("{} requests, at most {STEPS_MAX}", steps.len()));
    }
    let own = variables(tree);
    let known = |name: &str| {
        name == inputs.address_variable
            || own.contains_key(name)
            || inputs.variables.contains_key(name)
            || inputs.captures.contains_key(name)
    };
    for (name, capture) in &inputs.captures {
        if !steps.iter().any(|step| step.name == capture.request) {
            return invalid(format!("captures.{name}: there is no request {:?}", capture.request));
        }
    }
    for step in steps {
        if let Some(name) = step.variables().into_iter().find(|name| !known(name)) {
            return invalid(format!("{}: variable {name:?} has no value", step.name));
        }
        let prefix = format!("{{{{{}}}}}/", inputs.address_variable);
        if !step.url.starts_with(&prefix) {
            let text = format!("{}: {:?} does not begin with {prefix}", step.name, step.url);
            return Err(Failure::new(ErrorClass::Denied, text)
                .help("only the service of the target is asked"));
        }
        if !may_write && !matches!(step.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            let text = format!("{}: {} may change the service", step.name, step.method);
            return Err(Failure::new(ErrorClass::Denied, text)
                .help("set service.may_write for a service that exists for tests"));
        }
        if let (Some(line), false) = (step.not_understood.first(), inputs.ignore_scripts) {
            let text = format!("{}: a script is not executed: {line}", step.name);
            return Err(Failure::new(ErrorClass::Unsupported, text)
                .help("give ignore_scripts to test the status alone"));
        }
    }
    Ok(())
}

async fn replay(
    address: &Address,
    steps: &[Step],
    mut known: BTreeMap<String, String>,
    captures: &BTreeMap<String, Capture>,
) -> Result<Vec<Replayed>, Failure> {
    let (mut all, mut silence) = (vec![], 0);
    for step in steps {
        let lacks = step.variables().into_iter().find(|name| !known.contains_key(*name));
        let (status, problem) = match lacks {
            Some(name) => (None, Some(format!("no earlier answer brought {name:?}: not sent"))),
            None => match address.send(&ask(step, &known)).await {
                Err(reason) => {
                    silence += 1;
                    if silence >= SILENCE_MAX {
                        let text = format!("{address}: {reason}");
                        return Err(Failure::new(ErrorClass::Unavailable, text)
                            .help("start the service, or correct service.base_url"));
                    }
                    (None, Some(reason))
                }
                Ok(answer) => {
                    silence = 0;
                    let of = captures.iter().filter(|(_, capture)| capture.request == step.name);
                    known.extend(of.filter_map(|(name, c)| captured(name, c, &answer)));
                    (Some(answer.status), problem(&step.statuses, answer.status))
                }
            },
        };
        all.push(Replayed { name: step.name.clone(), status, problem });
    }
    Ok(all)
}

fn ask(step: &Step, known: &BTreeMap<String, String>) -> Ask {
    let header = |(name, value): &(String, String)| (name.clone(), filled(value, known));
    Ask {
        method: step.method.clone(),
        path: filled(&step.url, known),
        headers: step.headers.iter().map(header).collect(),
        body: step.body.as_ref().map(|body| filled(body, known).into()),
    }
}

fn captured(name: &str, capture: &Capture, answer: &Answer) -> Option<(String, String)> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let value = match body.pointer(&capture.pointer)? {
        Value::String(text) => text.clone(),
        value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some((name.to_owned(), value))
}

/// A request without a test of its status has to succeed.
fn problem(statuses: &[u16], status: u16) -> Option<String> {
    match statuses.iter().find(|wanted| **wanted != status) {
        Some(wanted) => Some(format!("status {status}, wanted {wanted}")),
        None if statuses.is_empty() && !(200..300).contains(&status) => {
            Some(format!("status {status}, wanted success"))
        }
        None => None,
    }
}
