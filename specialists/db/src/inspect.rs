//! `db.inspect`: what is there, and its fingerprint.

use std::{collections::BTreeMap, time::Duration};

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{schema::Schema, target::Targets};

/// A catalogue of thousands of tables is read in seconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Nothing to choose: the target says it all.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {}

/// The size of what is there; the whole is the artefact `schema.json`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Outputs {
    /// `sqlite` or `postgresql`.
    pub engine: String,
    /// SHA-256 of the canonical catalogue.
    pub fingerprint: String,
    /// The last migration applied through Deadelus; none if there was none.
    pub version: Option<i64>,
    /// Rows of each table, as the engine estimates; none where nobody knows.
    pub rows: BTreeMap<String, Option<i64>>,
    /// How many tables there are.
    pub tables: usize,
    /// How many indexes they have.
    pub indexes: usize,
    /// Indexes that a failed build left behind.
    pub invalid_indexes: Vec<String>,
    /// Foreign keys that no index begins with.
    pub unindexed_foreign_keys: Vec<ForeignKey>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ForeignKey {
    /// The table that has it.
    pub table: String,
    /// Its columns there.
    pub columns: Vec<String>,
    /// The table it points to.
    pub references: String,
}

/// `db.inspect`
#[derive(Debug, Clone)]
pub struct Inspect {
    targets: Targets,
}

impl Inspect {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for Inspect {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "inspect",
            role: "DB Architect",
            summary: "Reads the schema of a database and takes its fingerprint.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("fingerprint_is_stable", "two looks in a row have one fingerprint")],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, _: Inputs) -> Result<Measured<Outputs>, Failure> {
        let db = self.targets.open(cx)?;
        let doing = "reading the schema";
        let seen = db.see().await.map_err(|fault| fault.untouched(doing))?;
        let again = db.see().await.map_err(|fault| fault.untouched(doing))?;
        let fingerprint = seen.schema.fingerprint();
        let stable =
            Check::equal("fingerprint_is_stable", again.schema.fingerprint(), fingerprint.clone());
        let json = serde_json::to_vec_pretty(&seen.schema)
            .map_err(|e| Failure::new(ErrorClass::Unsupported, format!("schema as JSON: {e}")))?;
        let artefact = cx.keep("schema.json", "application/json", json.into()).await?;
        let outputs = Outputs {
            engine: db.engine().to_owned(),
            fingerprint,
            version: seen.version,
            rows: seen.rows,
            tables: seen.schema.tables.len(),
            indexes: seen.schema.tables.iter().map(|t| t.indexes.len()).sum(),
            invalid_indexes: invalid_indexes(&seen.schema),
            unindexed_foreign_keys: unindexed_foreign_keys(&seen.schema),
        };
        let check = stable.evidence(artefact.clone());
        Ok(Measured::new(outputs, vec![check]).artefacts(vec![artefact]))
    }
}

fn invalid_indexes(schema: &Schema) -> Vec<String> {
    let indexes = schema.tables.iter().flat_map(|table| &table.indexes);
    indexes.filter(|index| !index.valid).map(|index| index.name.clone()).collect()
}

/// Foreign keys that no index begins with, as plans are told of them.
pub(crate) fn unindexed_foreign_keys(schema: &Schema) -> Vec<ForeignKey> {
    let keys = schema.unindexed_foreign_keys().into_iter();
    keys.map(|(table, key)| ForeignKey {
        table: table.name.clone(),
        columns: key.columns.clone(),
        references: key.references.clone().unwrap_or_default(),
    })
    .collect()
}

#[cfg(test)]
mod tests;
