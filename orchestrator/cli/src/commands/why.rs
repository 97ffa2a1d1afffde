//! `deadelus why`: what a workflow waits for and what moves it on, read from its log.

use deadelus_proto::WorkflowId;
use serde::Serialize;

use crate::{
    args::Output,
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    term::{self, Term, hang},
    ways_out::ways_out,
};

#[derive(Serialize)]
struct Why {
    workflow: String,
    status: String,
    waits_for: Vec<String>,
    ways_out: Vec<String>,
}

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    let history = client.history(id).await?;
    let why = why(&history);
    if output.is_json() {
        term::say_json(&why)?;
    } else {
        term::say(&text(&why, Term::stdout()))?;
    }
    Ok(Exit::Done)
}

fn why(history: &History) -> Why {
    let workflow = history.id().to_string();
    let Some(state) = history.workflow() else {
        let (status, waits_for) = ("unreadable".to_owned(), history.alarms().to_vec());
        return Why { workflow, status, waits_for, ways_out: vec![] };
    };
    let mut waits_for: Vec<String> = state.why().iter().map(ToString::to_string).collect();
    if let Some((_, reason)) = state.ended() {
        waits_for.push(reason.to_owned());
    }
    waits_for.extend(history.alarms().iter().cloned());
    let status = if history.needs_reconcile() {
        "needs-reconcile".into()
    } else {
        state.status().to_string()
    };
    let ways_out = if history.needs_reconcile() { vec![] } else { ways_out(state) };
    Why { workflow, status, waits_for, ways_out }
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
