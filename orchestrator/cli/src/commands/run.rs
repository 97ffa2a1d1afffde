//! `deadelus run`: plan, show, ask, start, approve, follow, report.

use std::io::{IsTerminal, Write};

use deadelus_core::{CheckedPlan, plan::Approval, plan::PLAN_GATE};
use deadelus_proto::{
    WorkflowId,
    pb::{self, inbound::Message},
};
use serde::Serialize;

use super::{plan, watch};
use crate::{
    args::{Place, Run},
    client::{self, Client, Heard},
    error::CliError,
    exit::Exit,
    ids, term,
};

#[derive(Serialize)]
struct Begun<'a> {
    workflow: &'a WorkflowId,
    digest: &'a str,
}

pub(crate) async fn run(place: &Place, args: &Run) -> Result<Exit, CliError> {
    let client = client::connect(place).await?;
    let (checked, origin) = plan::make(&client, &args.wish).await?;
    let checked = match args.priority {
        Some(priority) => plan::with_priority(&client, &checked, priority).await?,
        None => checked,
    };
    if !args.output.is_json() {
        term::say(&plan::text(&client, &checked, &origin).await?)?;
        term::say("\n")?;
    }
    let gated = checked.plan().approval == Approval::Required;
    if gated && !args.yes && !agreed(&checked)? {
        term::say_line("nothing was started")?;
        return Ok(Exit::Cancelled);
    }
    let id = ids::workflow()?;
    start(&client, &id, &checked).await?;
    if gated {
        approve(&client, &id, &checked, args.yes).await?;
    }
    if args.output.is_json() {
        term::say_json(&Begun { workflow: &id, digest: checked.digest().as_str() })?;
    } else if args.detach {
        term::say_line(id.as_str())?;
    } else {
        term::say_line(&format!("workflow {id}"))?;
    }
    if args.detach { Ok(Exit::Done) } else { watch::follow(&client, &id, args.output).await }
}

async fn start(client: &Client, id: &WorkflowId, plan: &CheckedPlan) -> Result<(), CliError> {
    let message = Message::Start(pb::StartWorkflow {
        plan_json: plan.json().as_bytes().to_vec().into(),
        plan_digest: plan.digest().to_string(),
        submitted_by: client.by.clone(),
    });
    accepted(client.send(id, message).await?, id, "started")
}

pub(super) async fn approve(
    client: &Client,
    id: &WorkflowId,
    plan: &CheckedPlan,
    unasked: bool,
) -> Result<(), CliError> {
    let reason = if unasked { "approved with --yes" } else { "approved at the terminal" };
    let message = Message::DecideGate(pb::DecideGate {
        gate: PLAN_GATE.to_owned(),
        approve: true,
        plan_digest: plan.digest().to_string(),
        by: client.by.clone(),
        reason: reason.to_owned(),
    });
    accepted(client.send(id, message).await?, id, "approved")
}

pub(super) fn accepted(heard: Heard, id: &WorkflowId, what: &str) -> Result<(), CliError> {
    match heard {
        Heard::Accepted => Ok(()),
        Heard::Refused(problems) => {
            Err(CliError::Refused(format!("{id} was not {what}: {}", problems.join("; "))))
        }
        Heard::Stored => {
            term::note(&format!(
                "{id}: no orchestrator has answered yet; it is {what} as soon as one runs \
                 (deadelus up)"
            ));
            Ok(())
        }
    }
}

/// Asks the person in front of the terminal.
fn agreed(plan: &CheckedPlan) -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage(
            "the plan wants approval and nobody is there to ask: look at it with `deadelus plan`, \
             then run with --yes"
                .to_owned(),
        ));
    }
    let short: String = plan.digest().as_str().chars().take(12).collect();
    let mut error = std::io::stderr().lock();
    let _ = write!(error, "Carry out plan {short}? [y/N] ");
    let _ = error.flush();
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|e| CliError::Usage(format!("the answer cannot be read: {e}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
