//! `deadelus answer`: what only the author of a plan knows. The plan is shown once nothing is left
//! to ask.

use std::{
    collections::HashMap,
    io::{self, BufRead, IsTerminal},
};

use deadelus_proto::pb::{self, NeedsAnswers};

use super::plan;
use crate::{
    args::{Answer, Place},
    client::{self, Client},
    error::CliError,
    exit::Exit,
    term,
};

pub(crate) async fn run(place: &Place, args: &Answer) -> Result<Exit, CliError> {
    let client = client::connect(place).await?;
    let mut answers: HashMap<String, String> = args.answers.iter().cloned().collect();
    if answers.is_empty() && io::stdin().is_terminal() {
        match send(&client, &args.draft, HashMap::new()).await {
            Err(CliError::NeedsAnswers(needs)) => answers = at_the_terminal(&needs)?,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    let (checked, origin) = send(&client, &args.draft, answers).await?;
    plan::show(&client, &checked, &origin, args.output).await?;
    term::note(&format!("  next: deadelus run --draft {}", args.draft));
    Ok(Exit::Done)
}

async fn send(
    client: &Client,
    draft: &str,
    answers: HashMap<String, String>,
) -> Result<(deadelus_core::CheckedPlan, crate::plan_view::Origin), CliError> {
    let draft = draft.to_owned();
    plan::ask(client, &pb::PlanRequest { draft, answers, ..pb::PlanRequest::default() }).await
}

/// Asks one question after the other; an empty line leaves one open.
fn at_the_terminal(needs: &NeedsAnswers) -> Result<HashMap<String, String>, CliError> {
    let mut answers = HashMap::new();
    let mut lines = io::stdin().lock().lines();
    term::note(&needs.title);
    for question in &needs.questions {
        term::note(&format!("{}\n  {} =", question.asks, question.name));
        let Some(line) = lines.next() else { break };
        let line = line.map_err(|e| CliError::Usage(format!("the answer cannot be read: {e}")))?;
        if !line.trim().is_empty() {
            answers.insert(question.name.clone(), line.trim().to_owned());
        }
    }
    Ok(answers)
}
