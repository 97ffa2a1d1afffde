//! `security.check_http`: what a live service's answers give away, and what they leave unsaid to a
//! browser. Only the configured address is asked, and redirects are not followed.

mod answer;
mod judge;

use std::time::Duration;

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured,
    ReadCapability,
};
use hyper::{Uri, http::uri::PathAndQuery};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{answer::Asker, judge::Problem};
use crate::{
    finding::{Finding, Level},
    gate::{self, Findings, Scan},
    target::{HttpTarget, Targets},
};

/// A few hundred requests, one after the other.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Paths of one request; the tour of a whole API is the work of its contract test.
const PATHS_MAX: usize = 200;
/// Of no site, by RFC 2606: a service that trusts it trusts everybody.
const STRANGER: &str = "https://stranger.invalid";
/// What no handler expects, as the last part of a path and as a query.
const MALFORMED: &str = "%ff%27%22%3C?id=%00%27%22%5B%5D";

/// What to ask for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inputs {
    /// Of the service, each with its `/`; `/` when there are none. Asked with GET.
    pub paths: Vec<String>,
    /// Findings from this level on count; `error` when it is not given.
    pub fail_on: Level,
    /// `check_http.sarif` of an earlier run: what it has is known and does not count.
    pub baseline: Option<Artefact>,
}

/// What was found; all of it as the artefact `check_http.sarif`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// What counts, and how much else there is.
    #[serde(flatten)]
    pub found: Findings,
    /// How many requests were answered.
    pub answered: usize,
}

/// `security.check_http`
#[derive(Debug, Clone)]
pub struct CheckHttp {
    targets: Targets,
}

impl CheckHttp {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for CheckHttp {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "check_http",
            role: crate::ROLE,
            summary: "Looks at a live service's headers, cookies, CORS, redirects and errors.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("no_new_weakness", "nothing at or above the level, neither waived nor known"),
                ("every_request_answered", "each path was answered, also when asked for nonsense"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.targets.of(cx)?;
        let http = target.http()?;
        let paths = paths(&inputs)?;
        let asker = Asker::new(http.timeout());
        let (mut findings, mut answered) = (vec![], 0);
        for path in &paths {
            let answer = asker.get(at(http, path)?, STRANGER).await?;
            answered += 1;
            findings.extend(judge::answer(&answer, http, STRANGER).map(|p| finding(p, path)));
            let nonsense = format!("{}/{MALFORMED}", path.path().trim_end_matches('/'));
            let nonsense: PathAndQuery = nonsense.parse().map_err(|_| no_path(&nonsense))?;
            let answer = asker.get(at(http, &nonsense)?, STRANGER).await?;
            answered += 1;
            findings.extend(judge::nonsense(&answer).map(|problem| finding(problem, path)));
        }
        let scan = Scan {
            verb: "check_http",
            check: "no_new_weakness",
            findings,
            baseline: inputs.baseline.as_ref(),
            fail_on: inputs.fail_on,
        };
        let verdict = gate::conclude(cx, target, scan).await?;
        let outputs = Outputs { found: verdict.findings, answered };
        let all = Check::equal("every_request_answered", answered, paths.len() * 2);
        Ok(Measured::new(outputs, vec![verdict.check, all]).artefacts(vec![verdict.report]))
    }
}

fn paths(inputs: &Inputs) -> Result<Vec<PathAndQuery>, Failure> {
    if inputs.paths.len() > PATHS_MAX {
        let text = format!("paths: {}, at most {PATHS_MAX}", inputs.paths.len());
        return Err(Failure::new(ErrorClass::InvalidInput, text));
    }
    let root = ["/".to_owned()];
    let paths = if inputs.paths.is_empty() { &root[..] } else { &inputs.paths };
    paths.iter().map(|path| parse(path)).collect()
}

/// A path cannot lead to another address: it has a slash first and is set behind the authority.
fn parse(path: &str) -> Result<PathAndQuery, Failure> {
    if !path.starts_with('/') {
        let text = format!("{path:?} is no path: only the configured address is asked");
        return Err(Failure::new(ErrorClass::Denied, text)
            .help("give paths as /products; another address is another target"));
    }
    path.parse().map_err(|_| no_path(path))
}

fn no_path(path: &str) -> Failure {
    Failure::new(ErrorClass::InvalidInput, format!("{path:?} is no path of a URL"))
}

fn at(http: &HttpTarget, path: &PathAndQuery) -> Result<Uri, Failure> {
    let authority = http.authority();
    Uri::builder()
        .scheme("http")
        .authority(authority.as_ref().map_or("", |authority| authority.as_str()))
        .path_and_query(path.clone())
        .build()
        .map_err(|e| Failure::new(ErrorClass::InvalidInput, format!("{path}: {e}")))
}

fn finding(problem: Problem, path: &PathAndQuery) -> Finding {
    let Problem { rule, level, subject, message } = problem;
    let place = format!("GET {}", path.path());
    let fingerprint = Finding::fingerprint(rule, &place, &subject);
    let rule = rule.to_owned();
    Finding { rule, level, place, line: 0, column: 0, message, fingerprint }
}

#[cfg(test)]
mod tests;
