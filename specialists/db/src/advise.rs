//! `db.advise`: which one index would help most, and what was considered besides.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    candidates::{self, COST_DROP_FACTOR_MIN, Candidate, Method, Rejected, TABLE_ROWS_MIN},
    explain::refuse_too_many,
    inspect::{ForeignKey, unindexed_foreign_keys},
    query,
    target::Targets,
};

/// Planning every statement with every candidate.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What to advise on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// At most 100.
    pub statements: Vec<Statement>,
    /// Ids of candidates that were tried before: `order_line(order_id)`.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// A statement and how much it matters. A measurement says more of it, which is not needed here.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Statement {
    /// `SELECT … WHERE order_id = $1`
    pub text: String,
    /// How much it matters beside the others; else how often a request makes it; else 1.
    #[serde(default)]
    pub weight: Option<f64>,
    /// How often one request makes it.
    #[serde(default)]
    pub calls_per_request: Option<f64>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Worth their price, best first.
    pub candidates: Vec<Candidate>,
    /// The first of them.
    pub best: Option<Candidate>,
    /// Considered and refused, with the reason.
    pub rejected: Vec<Rejected>,
    /// Whatever the statements are: deleting what these point to reads the whole table.
    pub unindexed_foreign_keys: Vec<ForeignKey>,
    /// How costs were found.
    pub method: Method,
}

/// `db.advise`
#[derive(Debug, Clone)]
pub struct Advise {
    targets: Targets,
}

impl Advise {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for Advise {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "advise",
            role: crate::DB_ADMIN,
            summary: "Finds the index that would help a set of statements most.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[(
                "worthwhile_candidate_found",
                "an index exists that the planner would use and that makes statements much cheaper",
            )],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        refuse_too_many(inputs.statements.len())?;
        let db = self.targets.open(cx)?;
        let seen = db.see().await.map_err(|fault| fault.untouched("reading the schema"))?;
        let weights: Vec<f64> = inputs.statements.iter().map(Statement::weight).collect();
        let texts: Vec<String> = inputs.statements.into_iter().map(|s| s.text).collect();
        let queries: Vec<_> = texts.iter().map(|text| query::read(text, &seen.schema)).collect();
        let (proposed, mut rejected) =
            candidates::propose(db.engine(), &queries, &seen.schema, &seen.rows, &inputs.exclude);
        let rated = db
            .rate(&seen, texts, proposed.clone())
            .await
            .map_err(|fault| fault.untouched("asking the planner"))?;
        let (candidates, refused) = candidates::judge(proposed, &rated, &weights);
        rejected.extend(refused);
        let outputs = Outputs {
            best: candidates.first().cloned(),
            candidates,
            rejected,
            unindexed_foreign_keys: unindexed_foreign_keys(&seen.schema),
            method: rated.method,
        };
        let check = worthwhile(&outputs);
        Ok(Measured::new(outputs, vec![check]))
    }
}

impl Statement {
    fn weight(&self) -> f64 {
        let weight = self.weight.or(self.calls_per_request).unwrap_or(1.0);
        if weight.is_finite() { weight.max(0.0) } else { 1.0 }
    }
}

fn worthwhile(outputs: &Outputs) -> Check {
    let note = match &outputs.best {
        Some(best) => {
            format!("{}: cost {:.0} to {:.0}", best.id, best.cost_before, best.cost_after)
        }
        None => format!(
            "none makes a statement {COST_DROP_FACTOR_MIN} times cheaper on a table of at least \
             {TABLE_ROWS_MIN} rows; {} considered",
            outputs.rejected.len()
        ),
    };
    Check::at_least("worthwhile_candidate_found", outputs.candidates.len(), 1).note(note)
}

#[cfg(test)]
mod tests;
