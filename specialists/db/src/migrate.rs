//! `db.migrate`: the next migrations, all of them or none. Taken back by [`crate::Revert`].

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    migration::{self, Applied, Migration, Step},
    schema::Schema,
    target::Targets,
    transition::{Line, Outcome, Transition},
};

/// Longer work on rows belongs into batches, not into a migration.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Which migrations.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// By rising version; those that were applied before are skipped.
    pub migrations: Vec<Migration>,
    /// The schema the plan was made against.
    #[serde(default)]
    pub expect_fingerprint: Option<String>,
    /// What the rehearsal ended with.
    #[serde(default)]
    pub expect_fingerprint_after: Option<String>,
    /// Whether rows may be taken away.
    #[serde(default)]
    pub allow_destructive: bool,
    /// Whether there may be no way back.
    #[serde(default)]
    pub allow_irreversible: bool,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Versions that this task applied.
    pub applied: Vec<i64>,
    /// The newest that is applied.
    pub version: Option<i64>,
    /// Of the schema before.
    pub fingerprint_before: String,
    /// Of the schema now.
    pub fingerprint: String,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    fingerprint: String,
    /// Versions that are to be applied.
    pending: Vec<i64>,
}

/// `db.migrate`
#[derive(Debug, Clone)]
pub struct Migrate {
    targets: Targets,
}

impl Migrate {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for Migrate {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "migrate",
            role: "DB Architect",
            summary: "Applies the next migrations in one transaction.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("migrations_are_applied", "the history lists every one, with its checksum"),
                ("no_invalid_index", "no index was left unfinished"),
                ("schema_is_as_rehearsed", "the fingerprint is the one the rehearsal ended with"),
            ],
            undo: Some(UndoPromise { verb: "revert", class: UndoClass::Exact }),
            timeout: TIMEOUT,
            locks: &["db:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let steps = migration::read(cx, &inputs.migrations).await?;
        let db = self.targets.open(cx)?;
        let doing = "reading the schema";
        let history = db.history().await.map_err(|fault| fault.untouched(doing))?;
        let schema = db.see().await.map_err(|fault| fault.untouched(doing))?.schema;
        let pending = migration::pending(&history, &steps)?;
        refuse(inputs, &pending)?;
        if let Some(expected) = &inputs.expect_fingerprint
            && !pending.is_empty()
            && *expected != schema.fingerprint()
        {
            return Err(crate::drift(expected, &schema));
        }
        let undo = undo(inputs, &pending, &schema, &self.targets.ledger_tables(cx)?);
        let pending = pending.iter().map(|step| step.version).collect();
        Ok(Prepared { before: Before { fingerprint: schema.fingerprint(), pending }, undo })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let steps = migration::read(cx, &inputs.migrations).await?;
        let db = self.targets.open(cx)?;
        let doing = "migrating";
        if before.pending.is_empty() {
            return self.measure(cx, inputs, before).await;
        }
        let judge = {
            let (inputs, before, steps) = (inputs.clone(), before.clone(), steps.clone());
            move |outcome: &Outcome| {
                let drifted = outcome.before.fingerprint() != before.fingerprint;
                let checks = checks(&inputs, &steps, &outcome.history, &outcome.after);
                (outcome.done || !drifted) && checks.iter().all(|check| check.pass)
            }
        };
        let outcome = db
            .transit(transition(&steps, before), judge)
            .await
            .map_err(|fault| fault.undone(doing))?;
        if !outcome.done && outcome.before.fingerprint() != before.fingerprint {
            return Err(crate::drift(&before.fingerprint, &outcome.before));
        }
        let checks = checks(inputs, &steps, &outcome.history, &outcome.after);
        if let Some(failed) = checks.iter().find(|check| !check.pass) {
            let text = format!("{doing}: {} is {}, not kept", failed.id, failed.measured);
            return Err(Failure::new(ErrorClass::CheckFailed, text).checks(checks));
        }
        Ok(Measured::new(outputs(before, &outcome.history, &outcome.after), checks))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let measured = self.measure(cx, inputs, before).await?;
        // One transaction: it is there as a whole or not at all.
        let done = measured.checks.iter().all(|check| check.pass);
        Ok(if done { Found::Done(measured) } else { Found::NotBegun })
    }
}

impl Migrate {
    /// What the database shows, without changing it.
    async fn measure(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let steps = migration::read(cx, &inputs.migrations).await?;
        let db = self.targets.open(cx)?;
        let doing = "reading the history";
        let history = db.history().await.map_err(|fault| fault.untouched(doing))?;
        let schema = db.see().await.map_err(|fault| fault.untouched(doing))?.schema;
        let checks = checks(inputs, &steps, &history, &schema);
        Ok(Measured::new(outputs(before, &history, &schema), checks))
    }
}

/// What must be allowed by name, and what no transaction can hold.
fn refuse(inputs: &Inputs, pending: &[&Step]) -> Result<(), Failure> {
    for step in pending {
        let name = format!("{}_{}", step.version, step.name);
        if step.down.is_none() && !inputs.allow_irreversible {
            let text = format!("{name} is irreversible");
            return Err(Failure::new(ErrorClass::Denied, text)
                .help("have it approved and pass allow_irreversible"));
        }
        for statement in step.up.iter().chain(step.down.iter().flatten()) {
            if statement.has(&["concurrently"]) || statement.begins(&["vacuum"]) {
                let text = format!("{}: cannot run in a transaction", statement.place);
                return Err(Failure::new(ErrorClass::Unsupported, text)
                    .help("db.create_index and db.drop_index build and drop concurrently"));
            }
        }
        let destroys = step.up.iter().find_map(|s| Some((s, migration::destroys(s)?)));
        if let Some((statement, what)) = destroys
            && !inputs.allow_destructive
        {
            let text = format!("{}: {what}", statement.place);
            return Err(Failure::new(ErrorClass::Denied, text)
                .help("take it into a later plan of its own, and pass allow_destructive"));
        }
    }
    Ok(())
}

/// The way back; none once a migration has none.
fn undo(inputs: &Inputs, pending: &[&Step], schema: &Schema, ledger: &[String]) -> Option<Undo> {
    if pending.iter().any(|step| step.down.is_none()) {
        return None;
    }
    let versions: Vec<i64> = pending.iter().map(|step| step.version).collect();
    let migrations: Vec<&Migration> =
        inputs.migrations.iter().filter(|m| versions.contains(&m.version)).collect();
    let mut residue: Vec<String> = pending
        .iter()
        .flat_map(|step| &step.up)
        .filter_map(|s| Some(format!("{}: {}", s.place, migration::destroys(s)?)))
        .collect();
    let names = |text: &str| -> Vec<String> {
        crate::sql::tokens(text).into_iter().map(|token| token.text).collect()
    };
    let touched: Vec<String> = pending.iter().flat_map(|step| names(&step.up_text)).collect();
    let kept = ledger.iter().filter(|table| touched.contains(table));
    residue.extend(kept.map(|table| format!("table {table} is a ledger: its rows are kept")));
    let back = serde_json::json!({
        "migrations": migrations,
        "expect_fingerprint": schema.fingerprint(),
        "expect_without_ledger": schema.clone().without_tables(ledger).fingerprint(),
    });
    Some(Undo::exact("db.revert", &back).leaving(residue))
}

fn transition(steps: &[Step], before: &Before) -> Transition {
    let pending = || steps.iter().filter(|step| before.pending.contains(&step.version));
    Transition {
        statements: pending().flat_map(|step| step.up.clone()).collect(),
        record: pending()
            .map(|step| Line {
                version: step.version,
                name: step.name.clone(),
                checksum: step.checksum.clone(),
            })
            .collect(),
        ..Transition::default()
    }
}

fn checks(inputs: &Inputs, steps: &[Step], history: &[Applied], schema: &Schema) -> Vec<Check> {
    let applied = steps.iter().filter(|step| {
        history.iter().any(|line| line.version == step.version && line.checksum == step.checksum)
    });
    let invalid = schema.tables.iter().flat_map(|t| &t.indexes).filter(|i| !i.valid).count();
    let mut checks = vec![
        Check::equal("migrations_are_applied", applied.count(), steps.len()),
        Check::equal("no_invalid_index", invalid, 0),
    ];
    if let Some(expected) = &inputs.expect_fingerprint_after {
        let fingerprint = schema.fingerprint();
        checks.push(Check::equal("schema_is_as_rehearsed", fingerprint, expected.clone()));
    }
    checks
}

fn outputs(before: &Before, history: &[Applied], schema: &Schema) -> Outputs {
    Outputs {
        applied: before.pending.clone(),
        version: history.iter().map(|line| line.version).max(),
        fingerprint_before: before.fingerprint.clone(),
        fingerprint: schema.fingerprint(),
    }
}

#[cfg(test)]
mod tests;
