//! `db.drop_index`: the way back of [`crate::CreateIndex`], and the other way round.

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ddl::IndexName,
    schema::{Index, Schema, Table},
    target::Targets,
};

/// Dropping waits for those who read; it does nothing else.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Which index.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// As `db.inspect` names it.
    pub index: String,
    /// The schema without the index must have this fingerprint, or nothing is touched. With it, an
    /// index that is not there is a success: that is what a way back needs to be right whether or
    /// not the way forth was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_fingerprint: Option<String>,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// What was dropped.
    pub index: String,
    /// Of the schema without it.
    pub fingerprint: String,
    /// Whether it was there.
    pub dropped: bool,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// Of the schema without the index.
    fingerprint: String,
    name: IndexName,
    /// Whether it was there.
    present: bool,
}

/// `db.drop_index`
#[derive(Debug, Clone)]
pub struct DropIndex {
    targets: Targets,
}

impl DropIndex {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for DropIndex {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "drop_index",
            role: crate::DB_ADMIN,
            summary: "Drops an index while the database is in use.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("index_is_gone", "the catalogue does not list it"),
                ("only_this_changed", "the schema has the fingerprint it should have without it"),
            ],
            undo: Some(UndoPromise { verb: "create_index", class: UndoClass::Exact }),
            timeout: TIMEOUT,
            locks: &["db:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let db = self.targets.open(cx)?;
        let seen = db.see().await.map_err(|fault| fault.untouched("reading the schema"))?;
        let found = seen.schema.index(&inputs.index);
        if let Some((table, Index { constraint: Some(constraint), .. })) = found {
            let text =
                format!("{} carries constraint {constraint} of {}", inputs.index, table.name);
            return Err(Failure::new(ErrorClass::Denied, text)
                .help("drop the constraint in a migration, if that is what you want"));
        }
        let name = found.map_or_else(
            || IndexName::missing(&inputs.index),
            |(table, index)| IndexName { sql: index.sql_name.clone(), ..name_of(table, index) },
        );
        let undo = found.map(|(table, index)| undo(table, index));
        let present = found.is_some();
        if !present && inputs.expect_fingerprint.is_none() {
            let text = format!("there is no index {:?}", inputs.index);
            return Err(
                Failure::new(ErrorClass::InvalidInput, text).help("db.inspect lists the indexes")
            );
        }
        let without = seen.schema.without_index(&inputs.index);
        let fingerprint = without.fingerprint();
        match &inputs.expect_fingerprint {
            Some(expected) if *expected != fingerprint => Err(crate::drift(expected, &without)),
            Some(_) | None => Ok(Prepared { before: Before { fingerprint, name, present }, undo }),
        }
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let db = self.targets.open(cx)?;
        let doing = format!("dropping index {}", inputs.index);
        // Also when it was not there at first: a build that was cut off may have come to its end.
        let schema = db.remove_index(&before.name).await.map_err(|fault| fault.undone(&doing))?;
        let measured = measured(inputs, before, &schema);
        match measured.checks.iter().find(|check| !check.pass) {
            None => Ok(measured),
            Some(failed) => {
                let text = format!("{doing}: {} failed", failed.id);
                let mut failure = Failure::new(ErrorClass::CheckFailed, text);
                // Somebody else changed the schema meanwhile; putting the index back would only
                // add to that.
                failure.aftermath = deadelus_runtime::Aftermath::Partial;
                Err(failure.checks(measured.checks))
            }
        }
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let db = self.targets.open(cx)?;
        let seen = db.see().await.map_err(|fault| fault.untouched("looking for the index"))?;
        Ok(match seen.schema.index(&before.name.full) {
            Some((_, index)) if index.valid => Found::NotBegun,
            Some(_) => Found::Partly,
            // Looked at without the lock: an earlier build may still be on its way. `perform`
            // waits for it, and is done at once otherwise.
            None if !before.present => Found::NotBegun,
            None => Found::Done(measured(inputs, before, &seen.schema)),
        })
    }
}

fn name_of(table: &Table, index: &Index) -> IndexName {
    let bare = index.name.rsplit('.').next().unwrap_or(&index.name);
    let bare = if table.name.contains('.') { bare } else { &index.name };
    IndexName::of(table, bare)
}

/// An invalid index is not worth bringing back: its way back ends where it began to be useless.
fn undo(table: &Table, index: &Index) -> Undo {
    let residue = if index.valid {
        vec![]
    } else {
        vec![format!("index {} was invalid; it comes back valid", index.name)]
    };
    let back = serde_json::json!({ "table": table.name, "definition": index.definition });
    Undo::exact("db.create_index", &back).leaving(residue)
}

fn measured(inputs: &Inputs, before: &Before, schema: &Schema) -> Measured<Outputs> {
    let gone = if schema.index(&before.name.full).is_none() { "gone" } else { "there" };
    let fingerprint = schema.fingerprint();
    let checks = vec![
        Check::equal("index_is_gone", gone, "gone"),
        Check::equal("only_this_changed", fingerprint.clone(), before.fingerprint.clone()),
    ];
    let outputs = Outputs { index: inputs.index.clone(), fingerprint, dropped: before.present };
    Measured::new(outputs, checks)
}

#[cfg(test)]
mod tests;
