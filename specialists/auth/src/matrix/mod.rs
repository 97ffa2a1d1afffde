//! `auth.matrix`: every role beside every operation of an API, as the policies decide it.

mod document;

use std::{collections::BTreeMap, time::Duration};

use deadelus_runtime::{
    About, Artefact, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
    Source, blocking, invalid,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::document::Operation;
use crate::{
    cedar::{Ask, Bundle, Decision, Sources},
    target::Targets,
};

/// A decision takes well under a millisecond.
const MATRIX_TIMEOUT: Duration = Duration::from_secs(60);

/// Cells of one table; it is read by people.
const CELLS_MAX: usize = 20_000;

/// The capability.
pub(crate) struct Matrix(pub(crate) Targets);

/// What stands beside what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// Cedar's text, or its JSON.
    policies: Source,
    /// What policies, entities and requests are about: Cedar's text, or its JSON.
    schema: Source,
    /// A list as Cedar has it.
    #[serde(default)]
    entities: Option<Source>,
    /// What templates are filled with: `[{template_id, link_id, args: {"?principal": …}}]`.
    #[serde(default)]
    links: Option<Source>,
    /// The API, an `OpenAPI` document.
    document: Source,
    /// Somebody who stands for each role: `{"support": "User::\"sue\""}`.
    roles: BTreeMap<String, String>,
    /// What each operation asks of the policies, by its `operationId`, or `GET /orders` where it has
    /// none.
    operations: BTreeMap<String, Asked>,
    /// Operations that anybody may use; policies are not asked.
    #[serde(default)]
    public: Vec<String>,
}

/// What an operation asks of the policies.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// `Action::"createOrder"`
    action: String,
    /// One that stands for all: `Order::"1"`.
    resource: String,
    /// As Cedar's JSON has it.
    #[serde(default)]
    context: Map<String, Value>,
}

/// The table; `matrix.json` for later tasks, `matrix.csv` for people.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Operations of the document.
    operations: usize,
    /// Cells that say allow.
    allowed: usize,
    /// Cells that say deny.
    denied: usize,
    /// Operations that are neither public nor said to ask for anything.
    unmapped: Vec<String>,
    /// Operations that no policy decides for any role: nobody can use them.
    undecided: Vec<String>,
    /// All of it as JSON.
    matrix: Artefact,
}

/// One operation and who may use it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    /// What stands in the document.
    #[serde(flatten)]
    operation: Operation,
    /// Whether anybody may.
    public: bool,
    /// By role; none for a public operation, and one that asks for nothing.
    cells: BTreeMap<String, Cell>,
}

/// What one role may.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Cell {
    decision: Decision,
    /// The policies that decided.
    because: Vec<String>,
    #[serde(skip)]
    errors: Vec<String>,
}

impl ReadCapability for Matrix {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "matrix",
            role: crate::ROLE,
            summary: "Lists who may use which operation of an API, as the policies decide it.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[
                ("operations", "the document has at least one operation"),
                ("unmapped", "every operation is public or asks the policies something"),
                ("undecided", "every operation that is not public is decided by some policy"),
                ("policies_evaluated", "no policy failed while a cell was decided"),
            ],
            undo: None,
            timeout: MATRIX_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let folder = &self.0.of(cx)?.folder;
        let sources = Sources {
            policies: &inputs.policies,
            links: inputs.links.as_ref(),
            schema: Some(&inputs.schema),
            entities: inputs.entities.as_ref(),
            strict: true,
        };
        let bundle = sources.load(cx, folder).await?;
        let document = inputs.document.text(cx, folder).await?;
        let rows = blocking(move || {
            let operations = document::operations(&document.tree()?)?;
            rows(&bundle, operations, &inputs)
        })
        .await?;
        let json = serde_json::json!({ "rows": rows }).to_string();
        let json = cx.keep("matrix.json", "application/json", json.into()).await?;
        let csv = cx.keep("matrix.csv", "text/csv", csv(&rows).into()).await?;
        Ok(measured(&rows, json.clone()).artefacts(vec![json, csv]))
    }
}

fn rows(bundle: &Bundle, operations: Vec<Operation>, inputs: &Inputs) -> Result<Vec<Row>, Failure> {
    let named = inputs.operations.keys().chain(&inputs.public);
    for name in named {
        if !operations.iter().any(|operation| operation.name == *name) {
            return Err(invalid(format!("operation {name:?} is not in the document")));
        }
    }
    let both = inputs.public.iter().find(|name| inputs.operations.contains_key(*name));
    if let Some(name) = both {
        return Err(invalid(format!("operation {name:?}: it is public, or it asks the policies")));
    }
    let cells = operations.len() * inputs.roles.len();
    if !(1..=CELLS_MAX).contains(&cells) {
        return Err(invalid(format!("{cells} cells: 1 to {CELLS_MAX}; name at least one role")));
    }
    operations.into_iter().map(|operation| row(bundle, operation, inputs)).collect()
}

fn row(bundle: &Bundle, operation: Operation, inputs: &Inputs) -> Result<Row, Failure> {
    let public = inputs.public.contains(&operation.name);
    let mut cells = BTreeMap::new();
    if let Some(Asked { action, resource, context }) = inputs.operations.get(&operation.name) {
        for (role, principal) in &inputs.roles {
            let ask = Ask {
                principal: principal.clone(),
                action: action.clone(),
                resource: resource.clone(),
                context: context.clone(),
            };
            let answer = bundle.decide(&ask)?;
            let cell =
                Cell { decision: answer.decision, because: answer.because, errors: answer.errors };
            cells.insert(role.clone(), cell);
        }
    }
    Ok(Row { operation, public, cells })
}

fn measured(rows: &[Row], matrix: Artefact) -> Measured<Outputs> {
    let names = |wanted: fn(&Row) -> bool| -> Vec<String> {
        rows.iter().filter(|row| wanted(row)).map(|row| row.operation.name.clone()).collect()
    };
    let unmapped = names(|row| !row.public && row.cells.is_empty());
    let undecided =
        names(|row| !row.cells.is_empty() && row.cells.values().all(|c| c.because.is_empty()));
    let cells = || rows.iter().flat_map(|row| row.cells.values());
    let count = |decision| cells().filter(|cell| cell.decision == decision).count();
    let errors: Vec<&String> = cells().flat_map(|cell| &cell.errors).collect();
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    let checks = vec![
        Check::at_least("operations", rows.len(), 1),
        Check::equal("unmapped", unmapped.len(), 0).note(unmapped.join(", ")),
        Check::equal("undecided", undecided.len(), 0)
            .note(undecided.join(", "))
            .evidence(matrix.clone()),
        Check::equal("policies_evaluated", errors.len(), 0).note(first),
    ];
    let (allowed, denied) = (count(Decision::Allow), count(Decision::Deny));
    let outputs = Outputs { operations: rows.len(), allowed, denied, unmapped, undecided, matrix };
    Measured::new(outputs, checks)
}

/// A line for each operation, a column for each role.
fn csv(rows: &[Row]) -> String {
    let roles: Vec<&String> =
        rows.iter().find(|r| !r.cells.is_empty()).map_or(vec![], |row| row.cells.keys().collect());
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line = |cells: Vec<String>| cells.join(",") + "\n";
    let head = ["operation", "method", "path"].map(str::to_owned).into_iter();
    let mut csv = line(head.chain(roles.iter().map(|role| quoted(role))).collect());
    for row in rows {
        let Operation { name, method, path } = &row.operation;
        let cell = |role: &&String| match row.cells.get(*role) {
            Some(cell) => cell.decision.to_string(),
            None if row.public => "public".to_owned(),
            None => String::new(),
        };
        let cells = roles.iter().map(cell);
        csv +=
            &line([quoted(name), method.clone(), quoted(path)].into_iter().chain(cells).collect());
    }
    csv
}

#[cfg(test)]
mod tests;
