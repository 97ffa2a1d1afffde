//! `db.rehearse`: up, down and up again on a database of its own with the same schema, watching what
//! each statement does to those who would work beside it.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    database::Seen,
    fault::{Fault, Reason},
    migration::{self, Migration, Script, Step},
    sql::Statement,
    target::Targets,
    transition::{Outcome, Trace, Transition},
};

/// Making a shadow takes seconds, the statements run on no rows.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A rewrite of more rows than this stops everybody for longer than a client waits.
const REWRITTEN_ROWS_MAX: i64 = 100_000;

/// What to rehearse: one of the two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Those that were applied before are skipped.
    #[serde(default)]
    pub migrations: Vec<Migration>,
    /// A change that is no numbered migration: building an index.
    #[serde(default)]
    pub migration: Option<ThereAndBack>,
}

/// A change and its opposite.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThereAndBack {
    /// There.
    pub up: String,
    /// Back.
    pub down: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Of the schema it began with: the target's.
    pub fingerprint_before: String,
    /// Of the schema with the change; none if that could not be made.
    pub fingerprint_after: Option<String>,
    /// One for each statement of the way there.
    pub trace: Vec<Trace>,
    /// Which of them would stop everybody who reads or writes a table, for as long as they run.
    pub blocking: Vec<String>,
}

/// `db.rehearse`
#[derive(Debug, Clone)]
pub struct Rehearse {
    targets: Targets,
}

impl Rehearse {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for Rehearse {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "rehearse",
            role: "DB Architect",
            summary: "Runs migrations up, down and up again on a shadow of the schema.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("up_runs", "every statement of the way there is accepted"),
                ("down_brings_back", "the way back ends with the fingerprint of before"),
                ("up_again_is_the_same", "the way there can be gone once more, to the same end"),
                ("no_large_rewrite", "no table of many rows is written anew"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let db = self.targets.open(cx)?;
        let steps = steps(cx, &inputs).await?;
        let history = db.history().await.map_err(|f| f.untouched("reading the history"))?;
        let pending = match inputs.migration {
            Some(_) => steps.iter().collect(),
            None => migration::pending(&history, &steps)?,
        };
        let seen = db.see().await.map_err(|fault| fault.untouched("reading the schema"))?;
        let way = Way::of(&pending);
        let outcomes = db
            .rehearse(way.transitions())
            .await
            .map_err(|fault| fault.untouched("making a shadow"))?;
        if let Some(Err(fault)) = outcomes.last()
            && !matches!(fault.reason(), Some(Reason::Statement | Reason::Duplicate))
        {
            return Err(Failure::new(ErrorClass::Unavailable, format!("rehearsing: {fault}")));
        }
        let ups = outcomes.iter().take(way.up.len()).filter_map(|outcome| outcome.as_ref().ok());
        let trace: Vec<Trace> = ups.flat_map(|outcome| outcome.trace.clone()).collect();
        let checks = checks(&seen, &way, &outcomes, &trace);
        let outputs = outputs(&seen, &way, &outcomes, trace);
        let json = serde_json::to_vec_pretty(&outputs.trace)
            .map_err(|e| Failure::new(ErrorClass::Unsupported, format!("trace as JSON: {e}")))?;
        let trace = cx.keep("trace.json", "application/json", json.into()).await?;
        Ok(Measured::new(outputs, checks).artefacts(vec![trace]))
    }
}

async fn steps(cx: &Context, inputs: &Inputs) -> Result<Vec<Step>, Failure> {
    match (&inputs.migration, inputs.migrations.is_empty()) {
        (Some(one), true) => {
            let one = Migration {
                version: 0,
                name: "change".to_owned(),
                up: Script::Inline(one.up.clone()),
                down: Some(Script::Inline(one.down.clone())),
                irreversible: None,
            };
            migration::read(cx, &[one]).await
        }
        (None, false) => migration::read(cx, &inputs.migrations).await,
        (None, true) | (Some(_), false) => {
            let text = "use either migrations or migration";
            Err(Failure::new(ErrorClass::InvalidInput, text))
        }
    }
}

/// What is run, one migration after the other and each in a transaction of its own: what an earlier
/// one made is not new to a later one.
struct Way {
    up: Vec<Vec<Statement>>,
    /// The last comes first. None if one of them is irreversible.
    down: Option<Vec<Vec<Statement>>>,
}

impl Way {
    fn of(pending: &[&Step]) -> Self {
        Self {
            up: pending.iter().map(|step| step.up.clone()).collect(),
            down: pending.iter().rev().map(|step| step.down.clone()).collect(),
        }
    }

    /// There; and back and there again, if there is a way back.
    fn transitions(&self) -> Vec<Transition> {
        let back = self.down.iter().flat_map(|down| down.iter().chain(&self.up));
        let watched = |statements: &Vec<Statement>| Transition {
            statements: statements.clone(),
            trace: true,
            ..Transition::default()
        };
        self.up.iter().chain(back).map(watched).collect()
    }
}

type Outcomes = [Result<Outcome, Fault>];

/// The fingerprint after so many transitions, counted from 1.
fn fingerprint(outcomes: &Outcomes, after: usize) -> Option<String> {
    let outcome = outcomes.get(after.checked_sub(1)?)?.as_ref().ok()?;
    Some(outcome.after.fingerprint())
}

fn checks(seen: &Seen, way: &Way, outcomes: &Outcomes, trace: &[Trace]) -> Vec<Check> {
    let ups = way.up.len();
    // The first that failed is the last there is.
    let up =
        if outcomes.len() >= ups { outcomes.get(ups.saturating_sub(1)) } else { outcomes.last() };
    let mut checks = vec![match ups {
        0 => Check::equal("up_runs", "ran", "ran").note("everything was applied before"),
        _ => ran("up_runs", up),
    }];
    if way.down.is_some() && ups > 0 {
        let before = outcomes.first().and_then(|o| o.as_ref().ok());
        let before = before.map(|outcome| outcome.before.fingerprint());
        let (back, again) = (fingerprint(outcomes, 2 * ups), fingerprint(outcomes, 3 * ups));
        checks.push(same("down_brings_back", back, before, outcomes.get(ups..)));
        let there = fingerprint(outcomes, ups);
        checks.push(same("up_again_is_the_same", again, there, outcomes.get(2 * ups..)));
    }
    let rewritten = trace.iter().flat_map(|trace| &trace.rewritten);
    let large =
        rewritten.filter_map(|table| seen.rows.get(table).copied().flatten()).max().unwrap_or(0);
    let note = "rows of the largest table that is written anew";
    checks.push(Check::at_most("no_large_rewrite", large, REWRITTEN_ROWS_MAX).note(note));
    checks
}

fn ran(id: &str, outcome: Option<&Result<Outcome, Fault>>) -> Check {
    match outcome {
        Some(Ok(_)) => Check::equal(id, "ran", "ran"),
        Some(Err(fault)) => Check::equal(id, "refused", "ran").note(fault.to_string()),
        None => Check::not_measured(id, "ran", "what comes before it failed"),
    }
}

/// Compares two fingerprints; where one is missing, the last of `outcomes` says why.
fn same(
    id: &str,
    measured: Option<String>,
    expected: Option<String>,
    outcomes: Option<&Outcomes>,
) -> Check {
    match (measured, expected) {
        (Some(measured), Some(expected)) => Check::equal(id, measured, expected),
        (_, _) => ran(id, outcomes.and_then(<[_]>::last)),
    }
}

fn outputs(seen: &Seen, way: &Way, outcomes: &Outcomes, trace: Vec<Trace>) -> Outputs {
    let blocks = |trace: &&Trace| trace.locks.iter().any(|l| l.mode == "AccessExclusiveLock");
    Outputs {
        fingerprint_before: seen.schema.fingerprint(),
        fingerprint_after: fingerprint(outcomes, way.up.len()),
        blocking: trace.iter().filter(blocks).map(|t| t.statement.clone()).collect(),
        trace,
    }
}

#[cfg(test)]
mod tests;
