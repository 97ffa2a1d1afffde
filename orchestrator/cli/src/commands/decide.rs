//! `approve`, `reject`, `cancel`, `undo`, `retry`, `resolve`: what a person decides about a
//! workflow. Each is a message to the orchestrator; its answer is shown.

use deadelus_core::Gate;
use deadelus_proto::{
    WorkflowId,
    pb::{self, inbound::Message},
};
use serde::Serialize;

use crate::{
    args::{Decide, Output, Place, Reasoned, Resolve},
    client::{Client, Heard},
    error::CliError,
    exit::Exit,
    history::History,
    term,
};

/// What a person says about a workflow as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Cancel,
    Undo,
    Retry,
}

#[derive(Serialize)]
struct Answered<'a> {
    workflow: &'a WorkflowId,
    accepted: bool,
    problems: Vec<String>,
}

/// Approves or rejects what waits, bound to the plan as the log has it.
pub(crate) async fn gate(place: &Place, args: &Decide, approve: bool) -> Result<Exit, CliError> {
    let client = Client::connect(place).await?;
    let id = client.workflow_id(&args.id).await?;
    let history = client.history(&id).await?;
    let (gate, plan_digest) = choose(&history, args.gate.as_deref())?;
    let (by, reason) = (client.by.clone(), args.reason.clone());
    let message = Message::DecideGate(pb::DecideGate { gate, approve, plan_digest, by, reason });
    let what = if approve { "approved" } else { "rejected" };
    answered(&client, &id, message, what, args.output).await
}

/// Cancels, undoes, or tries again.
pub(crate) async fn order(place: &Place, args: &Reasoned, order: Order) -> Result<Exit, CliError> {
    let client = Client::connect(place).await?;
    let id = client.workflow_id(&args.id).await?;
    let (by, reason) = (client.by.clone(), args.reason.clone());
    let (message, what) = match order {
        Order::Cancel => (
            Message::Cancel(pb::CancelWorkflow { by, reason }),
            "cancelled; what it did is being taken back",
        ),
        Order::Undo => (Message::Undo(pb::UndoWorkflow { by, reason }), "being taken back"),
        Order::Retry => {
            (Message::Retry(pb::RetryStuck { by, reason }), "trying the failed undo again")
        }
    };
    answered(&client, &id, message, what, args.output).await
}

/// Says that a task was taken back by hand.
pub(crate) async fn resolve(place: &Place, args: &Resolve) -> Result<Exit, CliError> {
    let client = Client::connect(place).await?;
    let id = client.workflow_id(&args.id).await?;
    let (task_id, by, reason) = (args.task.clone(), client.by.clone(), args.reason.clone());
    let message = Message::Resolve(pb::ResolveStuck { task_id, by, reason });
    answered(&client, &id, message, "resolved", args.output).await
}

/// The gate that is meant, and the digest of the plan it belongs to.
fn choose(history: &History, wanted: Option<&str>) -> Result<(String, String), CliError> {
    let id = history.id();
    let workflow = history.workflow().ok_or_else(|| CliError::NoWorkflow(id.to_string()))?;
    let open: Vec<&Gate> = workflow.open_gates().map(|(gate, _)| gate).collect();
    let names = || open.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let gate = match (wanted, &open[..]) {
        (Some(wanted), _) if open.iter().any(|g| g.to_string() == wanted) => wanted.to_owned(),
        (None, [only]) => only.to_string(),
        (_, []) => {
            let what = format!("{id} waits for nobody; it is {}", workflow.status());
            return Err(CliError::Refused(what));
        }
        (Some(wanted), _) => {
            let what = format!("{id} does not wait at {wanted:?}; it waits at {}", names());
            return Err(CliError::Refused(what));
        }
        (None, _) => {
            let what = format!("{id} waits at several gates; say which with --gate: {}", names());
            return Err(CliError::Usage(what));
        }
    };
    Ok((gate, workflow.plan().digest().to_string()))
}

async fn answered(
    client: &Client,
    id: &WorkflowId,
    message: Message,
    what: &str,
    output: Output,
) -> Result<Exit, CliError> {
    let heard = client.send(id, message).await?;
    if output.is_json() {
        let accepted = heard == Heard::Accepted;
        let problems = match &heard {
            Heard::Refused(problems) => problems.clone(),
            Heard::Accepted | Heard::Stored => vec![],
        };
        term::say_json(&Answered { workflow: id, accepted, problems })?;
    }
    match heard {
        Heard::Accepted => {
            if !output.is_json() {
                term::say_line(&format!("{id}: {what}; follow it with `deadelus watch {id}`"))?;
            }
            Ok(Exit::Done)
        }
        Heard::Refused(problems) => {
            // A workflow that is not there is said so, by name and with its own exit code.
            client.history(id).await?;
            Err(CliError::Refused(problems.join("; ")))
        }
        Heard::Stored => {
            term::note("stored; no orchestrator has answered yet: look with `deadelus doctor`");
            Ok(Exit::Waiting)
        }
    }
}
