//! `deadelus why`: what a workflow waits for, read from its log.

use serde::Serialize;

use crate::{
    args::{One, Place},
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    term::{self, Term, hang},
};

#[derive(Serialize)]
struct Why {
    workflow: String,
    status: String,
    waits_for: Vec<String>,
}

pub(crate) async fn run(place: &Place, args: &One) -> Result<Exit, CliError> {
    let client = Client::connect(place).await?;
    let id = client.workflow_id(&args.id).await?;
    let history = client.history(&id).await?;
    let why = why(&history);
    if args.output.is_json() {
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
        return Why { workflow, status, waits_for };
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
    Why { workflow, status, waits_for }
}

fn text(why: &Why, term: Term) -> String {
    let lines = why.waits_for.iter().map(|line| hang("  - ", line, term.width));
    format!("{} is {}\n{}", why.workflow, why.status, lines.collect::<String>())
}
