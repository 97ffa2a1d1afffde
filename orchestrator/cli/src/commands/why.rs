//! `deadelus why`: what a workflow waits for and what moves it on, read from its log.

use deadelus_proto::WorkflowId;
use deadelus_view::why::{self, Why};

use crate::{
    args::Output,
    client::Client,
    error::CliError,
    exit::Exit,
    term::{self, Term, hang},
};

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    let why = why::of(client, id).await?;
    if output.is_json() {
        term::say_json(&why)?;
    } else {
        term::say(&text(&why, term::stdout()))?;
    }
    Ok(Exit::Done)
}

fn text(why: &Why, term: Term) -> String {
    let lines = why.waits_for.iter().map(|line| hang("  - ", line, term.width));
    let mut out = format!("{} is {}\n{}", why.workflow, why.status, lines.collect::<String>());
    if !why.ways_out.is_empty() {
        out.push_str("what moves it on\n");
        // Commands are copied: never broken.
        out.extend(why.ways_out.iter().map(|way| format!("  {way}\n")));
    }
    out
}
