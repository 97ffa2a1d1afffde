//! `deadelus report`: what a workflow came to, in the form somebody wants it.

use deadelus_proto::WorkflowId;

use crate::{
    args::{Output, ReportFormat},
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    report::Report,
    term,
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
    let report = Report::fetch(client, history).await?;
    match format {
        ReportFormat::Text => term::say(&report.text(term::stdout())),
        ReportFormat::Md => term::say(&report.markdown()),
        ReportFormat::Html => term::say(&report.html()),
        ReportFormat::Json => term::say_json(&report),
    }
}
