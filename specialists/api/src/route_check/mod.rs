//! `api.route_check`: whether the live service has the routes that its document promises.
//!
//! Only safe methods are ever sent, only to the configured address, and redirects are not followed.
//! Of an operation with another method the path is asked with GET: a service that knows the path
//! and not the method says so, and with which methods it would answer.

mod client;
mod sample;
mod verdict;

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
    Source,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::verdict::{Seen, Standing};
use crate::{document::Document, operations::Operation, target::Targets};

pub(crate) use self::client::Address;

/// A thousand questions, a few milliseconds each; a dead service is found by the first few.
const ROUTE_CHECK_TIMEOUT: Duration = Duration::from_secs(300);

/// Operations of one check: each is a request.
const OPERATIONS_MAX: usize = 2_000;

/// Routes in the outputs; all of them are in the artefact.
const ROUTES_SHOWN_MAX: usize = 50;

/// Questions without any answer, one after the other, that mean that nobody is there.
const SILENCE_MAX: usize = 3;

/// The capability.
pub(crate) struct RouteCheck(pub(crate) Targets);

/// What to compare the service with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The document.
    document: Source,
}

/// What was seen; the artefact `routes.json` has all of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Operations of the document.
    operations: usize,
    /// Those whose route answers.
    answering: usize,
    /// Those that cannot be told without sending an unsafe method, or without knowing a resource.
    untold: usize,
    /// The first 50 that are missing, or that answered with what the document does not say.
    first: Vec<Route>,
}

/// What one operation's route answered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Route {
    /// `GET /orders/{id}`
    operation: String,
    /// What was sent: `GET /orders/1`.
    asked: String,
    /// Of HTTP; null when there was no answer.
    status: Option<u16>,
    /// What that means.
    standing: Standing,
    /// In a sentence.
    text: String,
}

impl ReadCapability for RouteCheck {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "route_check",
            role: "Feature Implementation",
            summary: "Asks the live service for every operation of its document, by safe methods.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("operations_answering", "at least one operation was seen to answer"),
                ("routes_missing", "no operation is unknown to the service"),
                ("answers_undocumented", "no answer has a status that the document does not name"),
            ],
            undo: None,
            timeout: ROUTE_CHECK_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let address = target.base_url.as_ref().ok_or_else(|| {
            let text = "this target has no base_url: there is no service to ask";
            Failure::new(ErrorClass::Denied, text)
                .help("add base_url to the target in this specialist's file")
        })?;
        let document = Document::load(&inputs.document, cx, &target.folder).await?;
        let routes = ask_all(address, &document).await?;
        let json = serde_json::json!({ "address": address.to_string(), "routes": routes });
        let kept = cx.keep("routes.json", "application/json", json.to_string().into()).await?;
        let count = |standing| routes.iter().filter(|r| r.standing == standing).count();
        let worst = |standing| {
            let first = routes.iter().find(|route| route.standing == standing);
            first.map(|r| format!("{}: {}", r.operation, r.text)).unwrap_or_default()
        };
        let (missing, other) = (Standing::Missing, Standing::Undocumented);
        let checks = vec![
            Check::at_least("operations_answering", count(Standing::Answering), 1),
            Check::equal("routes_missing", count(missing), 0)
                .note(worst(missing))
                .evidence(kept.clone()),
            Check::equal("answers_undocumented", count(other), 0).note(worst(other)),
        ];
        let outputs = Outputs {
            operations: routes.len(),
            answering: count(Standing::Answering),
            untold: count(Standing::Untold),
            first: routes
                .into_iter()
                .filter(|route| {
                    matches!(route.standing, Standing::Missing | Standing::Undocumented)
                })
                .take(ROUTES_SHOWN_MAX)
                .collect(),
        };
        Ok(Measured::new(outputs, checks).artefacts(vec![kept]))
    }
}

async fn ask_all(address: &Address, document: &Document) -> Result<Vec<Route>, Failure> {
    let operations: Vec<Operation<'_>> = document.operations().collect();
    if operations.len() > OPERATIONS_MAX {
        let text = format!("{} operations, at most {OPERATIONS_MAX}", operations.len());
        return Err(Failure::new(ErrorClass::Unsupported, text));
    }
    let (mut routes, mut silence) = (vec![], 0);
    for operation in &operations {
        let path = sample::path(document, operation);
        let method =
            if operation.method == "head" { hyper::Method::HEAD } else { hyper::Method::GET };
        let answer = address.ask(&method, &path).await;
        silence = if answer.is_err() { silence + 1 } else { 0 };
        if silence >= SILENCE_MAX {
            let reason = answer.err().unwrap_or_default();
            return Err(Failure::new(ErrorClass::Unavailable, format!("{address}: {reason}"))
                .help("start the service, or correct base_url"));
        }
        let seen = answer.map(|(status, allow)| Seen { status, allow });
        let status = seen.as_ref().ok().map(|seen| seen.status);
        let (standing, text) = verdict::of(document, operation, &seen);
        let name = format!("{} {}", operation.method.to_uppercase(), operation.path);
        routes.push(Route {
            operation: name,
            asked: format!("{method} {path}"),
            status,
            standing,
            text,
        });
    }
    Ok(routes)
}

#[cfg(test)]
mod tests;
