//! `db.create_index`: one index, built while others work, measured, and not kept if it does not
//! serve. Taken back by [`crate::DropIndex`].

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    database::{Build, Built},
    ddl::{self, IndexName},
    fault::Reason,
    schema::{Schema, Table},
    sql,
    target::Targets,
};

/// A concurrent build reads its table twice; hours are for people to plan.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Which index.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// As `db.inspect` names it.
    pub table: String,
    /// Its key, in order.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Else `<table>_<columns>_idx`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether two rows with one key are an error.
    #[serde(default)]
    pub unique: bool,
    /// Instead of columns: a `CREATE INDEX` statement as the catalogue keeps it, for an index that
    /// columns do not describe. Used to bring one back exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// A larger one is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size_bytes: Option<i64>,
    /// Statements it is for: unless one of them is planned with it, it is not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<String>,
    /// The schema the plan was made against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_fingerprint: Option<String>,
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Its name.
    pub index: String,
    /// The statement that makes it again.
    pub ddl: String,
    /// Of the schema without it.
    pub fingerprint_before: String,
    /// Of the schema with it.
    pub fingerprint: String,
    /// On disk.
    pub size_bytes: i64,
}

/// What is known before the build.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// Of the schema without the index, and without what a failed build of it had left.
    fingerprint: String,
    /// What will be run.
    ddl: String,
    name: IndexName,
    /// The table, quoted.
    table: String,
}

/// `db.create_index`
#[derive(Debug, Clone)]
pub struct CreateIndex {
    targets: Targets,
}

impl CreateIndex {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for CreateIndex {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "create_index",
            role: crate::DB_ADMIN,
            summary: "Builds an index while the database is in use.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("index_is_valid", "it is there, as asked for, and complete"),
                ("index_is_used", "one of the given statements is planned with it"),
                ("size_within_budget", "it is no larger than allowed"),
                ("only_this_changed", "without it the schema has the fingerprint of before"),
            ],
            undo: Some(UndoPromise { verb: "drop_index", class: UndoClass::Exact }),
            timeout: TIMEOUT,
            locks: &["db:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let db = self.targets.open(cx)?;
        let seen = db.see().await.map_err(|fault| fault.untouched("reading the schema"))?;
        let (schema, name) = plan(inputs, seen.schema)?;
        let table = table(inputs, &schema)?;
        let ddl = match &inputs.definition {
            Some(definition) => definition.clone(),
            None => {
                let columns = columns(inputs, table)?;
                ddl::create_index(db.engine(), table, &name.bare, &columns, inputs.unique)
            }
        };
        let fingerprint = schema.fingerprint();
        let back = serde_json::json!({ "index": name.full, "expect_fingerprint": fingerprint });
        let undo = Undo::exact("db.drop_index", &back);
        let before = Before { fingerprint, ddl, name, table: table.sql_name.clone() };
        Ok(Prepared { before, undo: Some(undo) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let db = self.targets.open(cx)?;
        let doing = format!("building index {}", before.name.full);
        cx.progress(&doing, None).await;
        let judge = {
            let (inputs, before) = (inputs.clone(), before.clone());
            move |built: &Built| checks(&inputs, &before, built).iter().all(|check| check.pass)
        };
        let built = match db.build_index(build(inputs, before), judge).await {
            Ok(built) => built,
            Err(fault) if fault.reason() == Some(Reason::Duplicate) => {
                let check = Check::not_measured("index_is_valid", "valid", "rows are not unique");
                return Err(fault.undone(&doing).checks(vec![check]));
            }
            Err(fault) => return Err(fault.undone(&doing)),
        };
        let checks = checks(inputs, before, &built);
        if let Some(failed) = checks.iter().find(|check| !check.pass) {
            let text = format!("{doing}: {} is {}, not kept", failed.id, failed.measured);
            return Err(Failure::new(ErrorClass::CheckFailed, text).checks(checks));
        }
        Ok(Measured::new(outputs(before, &built), checks))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let db = self.targets.open(cx)?;
        let built = db
            .measure_index(build(inputs, before))
            .await
            .map_err(|fault| fault.untouched("looking for the index"))?;
        Ok(match &built.index {
            None => Found::NotBegun,
            Some(index) if !index.valid => Found::Partly,
            Some(_) => {
                let checks = checks(inputs, before, &built);
                // One that does not serve is built again, judged, and taken away by `perform`.
                if checks.iter().all(|check| check.pass) {
                    Found::Done(Measured::new(outputs(before, &built), checks))
                } else {
                    Found::Partly
                }
            }
        })
    }
}

/// The schema to start from and the index's name; or why this index must not be made.
fn plan(inputs: &Inputs, schema: Schema) -> Result<(Schema, IndexName), Failure> {
    let table = table(inputs, &schema)?;
    let wanted = match &inputs.definition {
        Some(definition) => defined_name(definition)?,
        None => {
            let columns = columns(inputs, table)?;
            inputs.name.clone().unwrap_or_else(|| ddl::default_name(table, &columns))
        }
    };
    let name = IndexName::of(table, &wanted);
    let conflict = |text: String| {
        let failure = Failure::new(ErrorClass::Conflict, text);
        Err(failure.help("nothing was built; use the one that is there"))
    };
    if inputs.definition.is_none()
        && let Some(index) = table.redundant_with(&columns(inputs, table)?, inputs.unique)
    {
        let text = format!("index {} on {} serves the same already", index.name, table.name);
        return conflict(text);
    }
    match schema.index(&name.full) {
        Some((_, index)) if index.valid => {
            conflict(format!("there is another index of the name {}", name.full))
        }
        // What a failed build left behind is taken away first.
        Some(_) | None => match (schema.without_index(&name.full), &inputs.expect_fingerprint) {
            (schema, Some(expected)) if schema.fingerprint() != *expected => {
                Err(crate::drift(expected, &schema))
            }
            (schema, _) => Ok((schema, name)),
        },
    }
}

fn table<'a>(inputs: &Inputs, schema: &'a Schema) -> Result<&'a Table, Failure> {
    schema.table(&inputs.table).ok_or_else(|| {
        let text = format!("table: there is no {:?}", inputs.table);
        Failure::new(ErrorClass::InvalidInput, text).help("db.inspect lists the tables")
    })
}

/// The columns as the catalogue spells them.
fn columns(inputs: &Inputs, table: &Table) -> Result<Vec<String>, Failure> {
    let invalid = |text: String| Failure::new(ErrorClass::InvalidInput, text);
    if inputs.columns.is_empty() {
        return Err(invalid("columns: name at least one".to_owned()));
    }
    let mut columns: Vec<String> = vec![];
    for name in &inputs.columns {
        let column = table
            .column(name)
            .ok_or_else(|| invalid(format!("columns: {} has no {name:?}", table.name)))?;
        if columns.contains(&column.name) {
            return Err(invalid(format!("columns: {name:?} twice")));
        }
        columns.push(column.name.clone());
    }
    Ok(columns)
}

/// The name in `CREATE [UNIQUE] INDEX name ON …`; anything else is refused.
fn defined_name(definition: &str) -> Result<String, Failure> {
    let tokens = sql::tokens(definition);
    let mut rest = tokens.iter().skip_while(|t| t.is("create") || t.is("unique"));
    let is_index = tokens.first().is_some_and(|t| t.is("create"))
        && rest.next().is_some_and(|t| t.is("index"))
        && !tokens.iter().any(|t| t.is_symbol(";"));
    let name = rest.next().filter(|t| is_index && t.is_name());
    name.map(|t| t.text.clone()).ok_or_else(|| {
        let text = "definition: not one CREATE INDEX statement with a name";
        Failure::new(ErrorClass::InvalidInput, text)
    })
}

fn build(inputs: &Inputs, before: &Before) -> Build {
    Build {
        name: before.name.clone(),
        table: before.table.clone(),
        ddl: before.ddl.clone(),
        statements: inputs.statements.clone(),
    }
}

fn checks(inputs: &Inputs, before: &Before, built: &Built) -> Vec<Check> {
    let state = match &built.index {
        None => "missing",
        Some(index) if !index.valid => "invalid",
        Some(index) if !as_asked(inputs, index) => "another definition",
        Some(_) => "valid",
    };
    let mut checks = vec![Check::equal("index_is_valid", state, "valid")];
    if !inputs.statements.is_empty() {
        let users = built.plans.iter().filter(|plan| plan.indexes.contains(&before.name.bare));
        let note = "statements that are planned with it";
        checks.push(Check::at_least("index_is_used", users.count(), 1).note(note));
    }
    if let Some(limit) = inputs.max_size_bytes {
        checks.push(Check::at_most("size_within_budget", built.size_bytes, limit));
    }
    let without = built.schema.clone().without_index(&before.name.full).fingerprint();
    checks.push(Check::equal("only_this_changed", without, before.fingerprint.clone()));
    checks
}

fn as_asked(inputs: &Inputs, index: &crate::Index) -> bool {
    let same = |(asked, built): (&String, &String)| asked.eq_ignore_ascii_case(built);
    inputs.definition.is_some()
        || (index.unique == inputs.unique
            && !index.partial
            && index.columns.len() == inputs.columns.len()
            && inputs.columns.iter().zip(&index.columns).all(same))
}

fn outputs(before: &Before, built: &Built) -> Outputs {
    Outputs {
        index: before.name.full.clone(),
        ddl: built.index.as_ref().map_or(String::new(), |index| index.definition.clone()),
        fingerprint_before: before.fingerprint.clone(),
        fingerprint: built.schema.fingerprint(),
        size_bytes: built.size_bytes,
    }
}

#[cfg(test)]
mod tests;
