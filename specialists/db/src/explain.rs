//! `db.explain`: how the database means to answer statements whose values are not known.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{plan::Plan, target::Targets};

/// Planning takes milliseconds for each.
const TIMEOUT: Duration = Duration::from_secs(60);

/// As many as a measurement reports, several times over.
pub(crate) const STATEMENTS_MAX: usize = 100;

/// What to explain.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// At most 100.
    pub statements: Vec<Text>,
}

/// A statement: its text, or what a measurement says of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Text {
    /// `SELECT … WHERE id = $1`
    Plain(String),
    /// With figures that explaining does not need.
    Measured {
        /// The same.
        text: String,
    },
}

/// Every statement's plan, or why there is none: none is left out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Outputs {
    /// In the order of the request.
    pub plans: Vec<Plan>,
}

/// `db.explain`
#[derive(Debug, Clone)]
pub struct Explain {
    targets: Targets,
}

impl Explain {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for Explain {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "explain",
            role: crate::DB_ADMIN,
            summary: "Shows how the database means to answer statements, without running them.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("every_statement_is_answered", "each has a plan, or a reason why not")],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let statements: Vec<String> = inputs.statements.into_iter().map(Text::into).collect();
        refuse_too_many(statements.len())?;
        let count = statements.len();
        let db = self.targets.open(cx)?;
        let plans = db.explain(statements).await.map_err(|fault| fault.untouched("explaining"))?;
        let check = Check::equal("every_statement_is_answered", plans.len(), count);
        Ok(Measured::new(Outputs { plans }, vec![check]))
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Plain(text) | Text::Measured { text } => text,
        }
    }
}

/// More than one request may ask for. None at all is an answer as well: a service that asks the
/// database nothing.
pub(crate) fn refuse_too_many(statements: usize) -> Result<(), Failure> {
    if statements <= STATEMENTS_MAX {
        return Ok(());
    }
    let text = format!("statements: {statements}, at most {STATEMENTS_MAX}");
    Err(Failure::new(ErrorClass::InvalidInput, text))
}

#[cfg(test)]
mod tests;
