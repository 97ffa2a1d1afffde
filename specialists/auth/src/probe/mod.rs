//! `auth.probe`: whether a running service refuses what it must refuse.
//!
//! Only the configured address is asked, only with GET, and redirects are not followed. Tokens stand
//! in the configuration; what is told is which attempt got which status. A service that refused
//! everything would pass, so it has to answer what is allowed too.

mod attempt;
mod client;
mod forge;

use std::{collections::BTreeMap, time::Duration};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured,
    ReadCapability, invalid,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::attempt::{Attempt, Kind};
use crate::{
    served,
    target::{AuthTarget, ProbeTarget, Targets},
    token::KeySet,
};

pub(crate) use self::client::Client;

/// A few hundred requests, one after the other.
const PROBE_TIMEOUT: Duration = Duration::from_secs(300);

/// Paths of each list; each that is allowed is asked a dozen times.
const PATHS_MAX: usize = 50;

/// Openings told in a check's note.
const NOTED_MAX: usize = 3;

/// The capability.
pub(crate) struct Probe(pub(crate) Targets);

/// What to try.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// What each role may read. Without a good token none of it may be answered.
    allowed: Vec<Cell>,
    /// What each role may not read: other roles' operations, and other tenants' objects.
    denied: Vec<Cell>,
}

/// One role and one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cell {
    /// One of those that have a token in the target's configuration.
    pub(crate) role: String,
    /// With its slash: `/orders/1`.
    pub(crate) path: String,
}

/// What was seen; the artefact `probe.json` has every attempt.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Requests that were answered.
    answered: usize,
    /// Attempts that should have been refused and were not; the first 20.
    open: Vec<Seen>,
}

/// Of the outputs: all of them are in the artefact.
const OPEN_TOLD_MAX: usize = 20;

/// One attempt and its answer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Seen {
    /// What was tried.
    attempt: &'static str,
    /// Whose token it was made of; none for an attempt without one.
    role: Option<String>,
    /// Where.
    path: String,
    /// Of the answer.
    status: u16,
    #[serde(skip)]
    kind: Kind,
}

impl ReadCapability for Probe {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "probe",
            role: crate::ROLE,
            summary: "Tries what a running service must refuse: forged, expired and others' rights.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("allowed", "what a role may read is answered with success"),
                ("anonymous", "without a token it is refused with 401 or 403"),
                ("forged", "with a forged token it is refused: alg none, confusion, tampering"),
                ("expired", "with an expired token it is refused"),
                ("wrong_audience", "with a token for somebody else it is refused"),
                ("denied", "what a role may not read is refused with 401, 403 or 404"),
            ],
            undo: None,
            timeout: PROBE_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let probe = target.probe()?;
        let attempts = attempts(&inputs, probe, &keys(target).await?)?;
        let client = Client::of(probe);
        let mut seen = vec![];
        for attempt in attempts {
            if cx.cancelled() {
                return Err(Failure::new(ErrorClass::Unavailable, "cancelled between attempts"));
            }
            let status = client.get(&attempt.path, attempt.token.as_deref()).await?;
            let Attempt { name, role, path, kind, token: _ } = attempt;
            seen.push(Seen { attempt: name, role, path, status, kind });
        }
        let json = serde_json::json!({ "attempts": seen }).to_string();
        let kept = cx.keep("probe.json", "application/json", json.into()).await?;
        Ok(measured(&seen, &kept).artefacts(vec![kept]))
    }
}

/// The public keys, where a file of them is configured: a forger has them too.
async fn keys(target: &AuthTarget) -> Result<KeySet, Failure> {
    if target.keys.is_none() {
        return Ok(KeySet::default());
    }
    let served = target.served(served::Kind::Keys)?;
    let text = String::from_utf8(served.now().await?.unwrap_or_default()).unwrap_or_default();
    if text.is_empty() {
        return Ok(KeySet::default());
    }
    KeySet::parse(&text).map_err(|e| invalid(format!("{}: {e}", served.path.display())))
}

fn attempts(inputs: &Inputs, probe: &ProbeTarget, keys: &KeySet) -> Result<Vec<Attempt>, Failure> {
    for (list, cells) in [("allowed", &inputs.allowed), ("denied", &inputs.denied)] {
        if !(1..=PATHS_MAX).contains(&cells.len()) {
            return Err(invalid(format!("{list}: {} paths, 1 to {PATHS_MAX}", cells.len())));
        }
        for Cell { role, path } in cells {
            if !path.starts_with('/') || path.starts_with("//") {
                let text = format!("{path:?} is no path: only the configured address is asked");
                return Err(Failure::new(ErrorClass::Denied, text));
            }
            if !probe.tokens.contains_key(role) {
                let known: Vec<&String> = probe.tokens.keys().collect();
                return Err(invalid(format!("role {role:?} has no token; there is {known:?}")));
            }
        }
    }
    let mut attempts = vec![];
    for cell in &inputs.allowed {
        attempts.extend(attempt::on_allowed(cell, probe, keys).map_err(invalid)?);
    }
    attempts.extend(inputs.denied.iter().map(|cell| attempt::on_denied(cell, probe)));
    Ok(attempts)
}

fn measured(seen: &[Seen], kept: &Artefact) -> Measured<Outputs> {
    let by_kind = |kind: Kind| seen.iter().filter(move |seen| seen.kind == kind);
    let wrong: BTreeMap<Kind, Vec<&Seen>> = Kind::ALL
        .map(|kind| (kind, by_kind(kind).filter(|seen| !kind.accepts(seen.status)).collect()))
        .into();
    let checks = Kind::ALL
        .map(|kind| {
            if by_kind(kind).next().is_none() {
                let reason =
                    format!("no token for it: name {} in the configuration", kind.setting());
                return Check::not_measured(kind.check(), 0, &reason);
            }
            let first = wrong[&kind].iter().take(NOTED_MAX);
            let first: Vec<_> =
                first.map(|s| format!("{} {}: {}", s.attempt, s.path, s.status)).collect();
            Check::equal(kind.check(), wrong[&kind].len(), 0)
                .note(first.join("; "))
                .evidence(kept.clone())
        })
        .into();
    let open = wrong.iter().filter(|(kind, _)| **kind != Kind::Allowed);
    let open = open.flat_map(|(_, seen)| seen).take(OPEN_TOLD_MAX).map(|s| (*s).clone()).collect();
    Measured::new(Outputs { answered: seen.len(), open }, checks)
}

#[cfg(test)]
mod tests;
