//! `db.lint`: what a migration would do to those who work beside it, before anything is run.

mod postgres;
mod sarif;
mod sqlite;

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
    sarif::MEDIA_TYPE,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    migration::{self, Migration},
    target::Targets,
};

/// Reading text takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Statements of one request.
const STATEMENTS_MAX: usize = 100;

/// What to look at: one of the two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// In order; each is judged knowing those before it.
    #[serde(default)]
    pub migrations: Vec<Migration>,
    /// Statements that will run on their own and not in a transaction: building an index.
    #[serde(default)]
    pub statements: Vec<String>,
    /// Findings from this level on make the check fail.
    #[serde(default)]
    pub fail_on: Level,
}

/// How bad a finding is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A matter of style, or of the far future.
    Warning,
    /// It stops clients, breaks running code, or loses rows.
    #[default]
    Error,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The rule's name, as its own documentation has it.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// `3_add_invoice.up.sql`
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to write instead; may be empty.
    pub help: String,
}

/// What was found; also as the artefact `lint.sarif`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// In the order of the files.
    pub findings: Vec<Finding>,
}

/// `db.lint`
#[derive(Debug, Clone)]
pub struct Lint {
    targets: Targets,
}

impl Lint {
    /// For these databases.
    pub fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for Lint {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "lint",
            role: "DB Architect",
            summary: "Finds lock and compatibility hazards in migrations.",
            effect: Effect::Pure,
            idempotency: Idempotency::Natural,
            checks: &[("no_finding", "nothing at or above the given level")],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let files = files(cx, &inputs).await?;
        let engine = self.targets.open(cx)?.engine();
        let mut findings = vec![];
        for place in 0..files.len() {
            let (earlier, file) = (&files[..place], &files[place]);
            findings.extend(match engine {
                "postgresql" => postgres::lint(earlier, file)?,
                _ => sqlite::lint(file),
            });
        }
        let report = sarif::report(&findings).to_string().into_bytes();
        let artefact = cx.keep("lint.sarif", MEDIA_TYPE, report.into()).await?;
        let bad = findings.iter().filter(|finding| finding.level >= inputs.fail_on).count();
        let check = Check::equal("no_finding", bad, 0).evidence(artefact.clone());
        Ok(Measured::new(Outputs { findings }, vec![check]).artefacts(vec![artefact]))
    }
}

/// A text to look at.
#[derive(Debug, Clone)]
struct File {
    name: String,
    text: String,
    /// Whether it will run inside of a transaction.
    in_transaction: bool,
}

async fn files(cx: &Context, inputs: &Inputs) -> Result<Vec<File>, Failure> {
    let invalid = |text: String| Failure::new(ErrorClass::InvalidInput, text);
    match (inputs.migrations.is_empty(), inputs.statements.len()) {
        (false, 0) => {
            let steps = migration::read(cx, &inputs.migrations).await?;
            let file = |step: &migration::Step| File {
                name: format!("{}_{}.up.sql", step.version, step.name),
                text: step.up_text.clone(),
                in_transaction: true,
            };
            Ok(steps.iter().map(file).collect())
        }
        (true, 1..=STATEMENTS_MAX) => {
            let mut files = vec![];
            for (place, text) in inputs.statements.iter().enumerate() {
                let name = format!("statement-{}.sql", place + 1);
                migration::parse(&name, text)?;
                files.push(File { name, text: text.clone(), in_transaction: false });
            }
            Ok(files)
        }
        (_, count) => {
            let text =
                format!("use either migrations or 1 to {STATEMENTS_MAX} statements ({count})");
            Err(invalid(text))
        }
    }
}

#[cfg(test)]
mod tests;
