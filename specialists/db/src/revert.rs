//! `db.revert`: the way back of [`crate::Migrate`]. Rows that go are read out and kept first; rows
//! of ledgers do not go at all.

use std::{collections::BTreeMap, time::Duration};

use deadelus_runtime::{
    About, Aftermath, Artefact, ChangeCapability, Check, Context, Effect, ErrorClass, Failure,
    Found, Idempotency, Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    database::Database,
    migration::{self, Applied, Migration, Step},
    schema::Schema,
    target::Targets,
    transition::{self, Lost, Outcome, Transition},
};

/// Reading out the rows takes most of it.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Rows that change while they are read out are read again, so often; then somebody still writes to
/// what is about to go, and they should be asked first.
const EXPORTS_MAX: usize = 3;

/// What to take back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The migrations as they were applied; those that were not are skipped. None of a later
    /// version may be applied.
    pub migrations: Vec<Migration>,
    /// Of the schema before they were applied.
    #[serde(default)]
    pub expect_fingerprint: Option<String>,
    /// The same without the target's ledger tables: what counts when one of them is kept.
    #[serde(default)]
    pub expect_without_ledger: Option<String>,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Versions that this task took back, the newest first.
    pub reverted: Vec<i64>,
    /// The newest that is applied.
    pub version: Option<i64>,
    /// Of the schema now.
    pub fingerprint: String,
    /// How many rows of which table were read out first.
    pub exported_rows: BTreeMap<String, usize>,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// Versions that are to be taken back.
    applied: Vec<i64>,
}

/// `db.revert`
#[derive(Debug, Clone)]
pub struct Revert {
    targets: Targets,
}

impl Revert {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for Revert {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "revert",
            role: "DB Architect",
            summary: "Takes migrations back, after reading out the rows that go.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Natural,
            checks: &[
                ("migrations_are_gone", "the history lists none of them"),
                ("schema_is_as_before", "the fingerprint is the one from before, ledgers apart"),
                ("rows_are_exported", "every row that went is in an artefact"),
            ],
            undo: Some(UndoPromise { verb: "migrate", class: UndoClass::Semantic }),
            timeout: TIMEOUT,
            locks: &["db:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let steps = read(cx, inputs).await?;
        let db = self.targets.open(cx)?;
        let history = db.history().await.map_err(|f| f.untouched("reading the history"))?;
        let applied = applied(&history, &steps)?;
        let versions: Vec<i64> = applied.iter().map(|step| step.version).collect();
        if versions.is_empty() {
            self.refuse_drift(cx, inputs).await?;
        }
        let migrations: Vec<&Migration> =
            inputs.migrations.iter().filter(|m| versions.contains(&m.version)).collect();
        let undo = (!migrations.is_empty()).then(|| {
            let back = serde_json::json!({ "migrations": migrations, "allow_destructive": true });
            let lost = "rows that were read out are not put back".to_owned();
            Undo::exact("db.migrate", &back).leaving(vec![lost])
        });
        Ok(Prepared { before: Before { applied: versions }, undo })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let steps = read(cx, inputs).await?;
        let db = self.targets.open(cx)?;
        let protect = self.targets.ledger_tables(cx)?;
        if before.applied.is_empty() {
            return self.measure(cx, inputs, before).await;
        }
        let judge = Judge { inputs: inputs.clone(), protect: protect.clone() };
        let plan = transition(&steps, before, protect);
        let tried = attempt(&db, plan.clone(), |_| false).await?;
        let lost = transition::lost(&tried.before, &tried.after);
        if lost.is_empty() || tried.done {
            let outcome = attempt(&db, plan, judge.clone().keep()).await?;
            return judge.conclude(before, &outcome, vec![]);
        }
        for _ in 0..EXPORTS_MAX {
            let plan = Transition { export: lost.clone(), ..plan.clone() };
            let seen = attempt(&db, plan.clone(), |_| false).await?.exports;
            let artefacts = store(cx, &lost, &seen).await?;
            let keep = judge.clone().keep();
            // What goes is exactly what was kept: nobody wrote in between.
            let unchanged = {
                let seen = seen.clone();
                move |outcome: &Outcome| outcome.exports == seen && keep(outcome)
            };
            let outcome = attempt(&db, plan, unchanged).await?;
            if outcome.done || outcome.exports == seen {
                return judge.conclude(before, &outcome, artefacts);
            }
        }
        let text = "rows that are about to go were changed while they were read out";
        Err(Failure::new(ErrorClass::Conflict, text).help("stop what writes to them first"))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let measured = self.measure(cx, inputs, before).await?;
        // One transaction: it is gone as a whole or not at all.
        let gone = measured.checks.iter().any(|c| c.id == "migrations_are_gone" && c.pass);
        Ok(if gone { Found::Done(measured) } else { Found::NotBegun })
    }
}

impl Revert {
    /// What the database shows, without changing it.
    async fn measure(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let db = self.targets.open(cx)?;
        let doing = "reading the history";
        let history = db.history().await.map_err(|fault| fault.untouched(doing))?;
        let after = db.see().await.map_err(|fault| fault.untouched(doing))?.schema;
        let judge = Judge { inputs: inputs.clone(), protect: self.targets.ledger_tables(cx)? };
        let checks = judge.checks(&history, &after);
        let outputs = outputs(before, &history, &after, &BTreeMap::new());
        Ok(Measured::new(outputs, checks).residue(judge.residue(&after)))
    }

    /// Nothing of it is applied: then the schema must already be what it was.
    async fn refuse_drift(&self, cx: &Context, inputs: &Inputs) -> Result<(), Failure> {
        let nothing = Before { applied: vec![] };
        let measured = self.measure(cx, inputs, &nothing).await?;
        match measured.checks.iter().find(|check| !check.pass) {
            None => Ok(()),
            Some(check) => {
                let text = format!("nothing to revert, and {}: {}", check.id, check.measured);
                Err(Failure::new(ErrorClass::PreconditionFailed, text)
                    .help("the schema has changed since; inspect it"))
            }
        }
    }
}

async fn read(cx: &Context, inputs: &Inputs) -> Result<Vec<Step>, Failure> {
    // The way back of a migration that had nothing to do.
    if inputs.migrations.is_empty() {
        return Ok(vec![]);
    }
    migration::read(cx, &inputs.migrations).await
}

/// Those that are applied, if they can be taken back.
fn applied<'a>(history: &[Applied], steps: &'a [Step]) -> Result<Vec<&'a Step>, Failure> {
    let refuse = |class, text: String| Err(Failure::new(class, text));
    let mut applied = vec![];
    for step in steps {
        let name = format!("{}_{}", step.version, step.name);
        match history.iter().find(|line| line.version == step.version) {
            None => {}
            Some(line) if line.checksum != step.checksum => {
                let text = format!("{name} was applied with another content");
                return refuse(ErrorClass::PreconditionFailed, text);
            }
            Some(_) if step.down.is_none() => {
                return refuse(ErrorClass::Unsupported, format!("{name} is irreversible"));
            }
            Some(_) => applied.push(step),
        }
    }
    let first = applied.first().map(|step| step.version);
    let later = history.iter().find(|line| {
        first.is_some_and(|first| line.version > first)
            && !applied.iter().any(|step| step.version == line.version)
    });
    match later {
        None => Ok(applied),
        Some(line) => {
            let text = format!("version {} was applied later: revert that first", line.version);
            refuse(ErrorClass::PreconditionFailed, text)
        }
    }
}

fn transition(steps: &[Step], before: &Before, protect: Vec<String>) -> Transition {
    let back = steps.iter().rev().filter(|step| before.applied.contains(&step.version));
    Transition {
        statements: back.filter_map(|step| step.down.clone()).flatten().collect(),
        protect,
        forget: before.applied.clone(),
        ..Transition::default()
    }
}

async fn attempt(
    db: &Database,
    plan: Transition,
    keep: impl Fn(&Outcome) -> bool + Send + 'static,
) -> Result<Outcome, Failure> {
    db.transit(plan, keep).await.map_err(|fault| fault.undone("reverting"))
}

/// Durable before the transaction that takes the rows away.
async fn store(
    cx: &Context,
    lost: &[Lost],
    exports: &BTreeMap<String, Vec<u8>>,
) -> Result<Vec<Artefact>, Failure> {
    let mut artefacts = vec![];
    for lost in lost {
        let Some(lines) = exports.get(&lost.table).filter(|lines| !lines.is_empty()) else {
            continue;
        };
        let name = format!("rows-{}.jsonl", lost.table);
        artefacts.push(cx.keep(&name, "application/jsonl", lines.clone().into()).await?);
    }
    Ok(artefacts)
}

/// What is good enough.
#[derive(Debug, Clone)]
struct Judge {
    inputs: Inputs,
    protect: Vec<String>,
}

impl Judge {
    fn keep(self) -> impl Fn(&Outcome) -> bool + Send + 'static {
        move |outcome| self.checks(&outcome.history, &outcome.after).iter().all(|check| check.pass)
    }

    fn checks(&self, history: &[Applied], after: &Schema) -> Vec<Check> {
        let versions: Vec<i64> = self.inputs.migrations.iter().map(|m| m.version).collect();
        let left = history.iter().filter(|line| versions.contains(&line.version)).count();
        let mut checks = vec![Check::equal("migrations_are_gone", left, 0)];
        let exact = self.inputs.expect_fingerprint.as_ref();
        let apart = self.inputs.expect_without_ledger.as_ref();
        let fingerprint = after.fingerprint();
        let (measured, expected) = match (exact, apart) {
            (None, None) => return checks,
            (Some(exact), _) if *exact == fingerprint => (fingerprint, exact.clone()),
            (_, Some(apart)) if !self.kept(after).is_empty() => {
                (after.clone().without_tables(&self.protect).fingerprint(), apart.clone())
            }
            (Some(exact), _) => (fingerprint, exact.clone()),
            (None, Some(apart)) => (fingerprint, apart.clone()),
        };
        checks.push(Check::equal("schema_is_as_before", measured, expected));
        checks
    }

    /// Ledgers that are there.
    fn kept(&self, after: &Schema) -> Vec<&String> {
        self.protect.iter().filter(|table| after.table(table).is_some()).collect()
    }

    /// Ledgers that would not be there, had nothing been kept.
    fn residue(&self, after: &Schema) -> Vec<String> {
        if self.inputs.expect_fingerprint.as_deref() == Some(&after.fingerprint()) {
            return vec![];
        }
        let kept = self.kept(after).into_iter();
        kept.map(|table| format!("table {table} is a ledger: kept with its rows")).collect()
    }

    fn conclude(
        &self,
        before: &Before,
        outcome: &Outcome,
        artefacts: Vec<Artefact>,
    ) -> Result<Measured<Outputs>, Failure> {
        let mut checks = self.checks(&outcome.history, &outcome.after);
        let outputs = outputs(before, &outcome.history, &outcome.after, &outcome.exports);
        let filled = outputs.exported_rows.values().filter(|rows| **rows > 0).count();
        let exported = Check::equal("rows_are_exported", artefacts.len(), filled);
        checks.push(exported.note("tables with rows that went, and artefacts with their rows"));
        if let Some(failed) = checks.iter().find(|check| !check.pass) {
            let text = format!("reverting: {} is {}", failed.id, failed.measured);
            let mut failure = Failure::new(ErrorClass::CheckFailed, text).checks(checks);
            // The transaction was not committed.
            failure.aftermath = Aftermath::TakenBack;
            return Err(failure);
        }
        let kept = outcome.left_out.iter();
        let mut residue: Vec<String> =
            kept.map(|words| format!("left out, to keep the rows of a ledger: {words}")).collect();
        residue.extend(artefacts.iter().map(|a| format!("rows are in artefact {}", a.name)));
        Ok(Measured::new(outputs, checks).artefacts(artefacts).residue(residue))
    }
}

fn outputs(
    before: &Before,
    history: &[Applied],
    after: &Schema,
    exports: &BTreeMap<String, Vec<u8>>,
) -> Outputs {
    let rows = |lines: &Vec<u8>| lines.iter().filter(|byte| **byte == b'\n').count();
    Outputs {
        reverted: before.applied.iter().rev().copied().collect(),
        version: history.iter().map(|line| line.version).max(),
        fingerprint: after.fingerprint(),
        exported_rows: exports.iter().map(|(table, lines)| (table.clone(), rows(lines))).collect(),
    }
}

#[cfg(test)]
mod tests;
