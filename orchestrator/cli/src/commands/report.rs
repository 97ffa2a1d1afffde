//! `deadelus report`: what a workflow came to, in the form somebody wants it.

use deadelus_mesh::objects;
use deadelus_proto::WorkflowId;

use crate::{
    args::{Output, ReportFormat},
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    report::{self, Report, Stored},
    term::{self, Term},
};

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    format: ReportFormat,
) -> Result<Exit, CliError> {
    let history = client.history(id).await?;
    print(client, &history, format).await?;
    Ok(Exit::Done)
}

/// At the end of `run` and `watch`.
pub(crate) async fn at_the_end(
    client: &Client,
    history: &History,
    output: Output,
) -> Result<(), CliError> {
    let format = if output.is_json() { ReportFormat::Json } else { ReportFormat::Text };
    print(client, history, format).await
}

async fn print(client: &Client, history: &History, format: ReportFormat) -> Result<(), CliError> {
    let stored = fetch(client, history).await?;
    let Some(report) = Report::of(history, &stored) else {
        let problem = history.alarms().join("; ");
        return Err(CliError::Log { workflow: history.id().to_string(), problem });
    };
    match format {
        ReportFormat::Text => term::say(&report.text(Term::stdout())),
        ReportFormat::Md => term::say(&report.markdown()),
        ReportFormat::Html => term::say(&report.html()),
        ReportFormat::Json => term::say_json(&report),
    }
}

/// The outputs that a report reads and that were too large for the log.
async fn fetch(client: &Client, history: &History) -> Result<Stored, CliError> {
    let mut stored = Stored::new();
    for artefact in history.workflow().map(report::stored).unwrap_or_default() {
        let bytes = objects::get(&client.mesh, &artefact).await?;
        let value = serde_json::from_slice(&bytes).map_err(CliError::nats("read an artefact"))?;
        stored.insert(artefact.sha256, value);
    }
    Ok(stored)
}
