//! What a person decides about a workflow: approve, reject, delegate, pause, resume, retry, skip,
//! cancel, undo, resolve. Each is a message to the orchestrator; its answer is shown.

use deadelus_core::{Gate, TaskStatus, Workflow};
use deadelus_proto::{
    WorkflowId,
    pb::{self, inbound::Message},
};
use serde::Serialize;

use crate::{
    args::{AtGate, Decision, Output},
    client::{Client, Heard},
    error::CliError,
    exit::Exit,
    history::History,
    term,
};

#[derive(Serialize)]
struct Answered<'a> {
    workflow: &'a WorkflowId,
    accepted: bool,
    problems: Vec<String>,
}

/// Says it, and shows what the orchestrator has to say.
pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    decision: &Decision,
) -> Result<Exit, CliError> {
    let output = decision.about().output;
    let mut exit = Exit::Done;
    for (message, what) in messages(client, id, decision).await? {
        exit = answered(client, id, message, what, output).await?;
    }
    Ok(exit)
}

/// What is sent, each with what it comes to in words.
async fn messages(
    client: &Client,
    id: &WorkflowId,
    decision: &Decision,
) -> Result<Vec<(Message, &'static str)>, CliError> {
    let (by, reason) = (client.by.clone(), decision.about().reason.clone());
    let one = match decision {
        Decision::Approve(args) => (gate(client, id, args, true).await?, "approved"),
        Decision::Reject(args) => (gate(client, id, args, false).await?, "rejected"),
        Decision::Delegate(args) => {
            let history = client.history(id).await?;
            let (gate, _) = choose(&history, args.at.gate.as_deref())?;
            let to = args.to.clone();
            (Message::Delegate(pb::DelegateGate { gate, to, by, reason }), "delegated")
        }
        Decision::Pause(_) => {
            (Message::Pause(pb::PauseWorkflow { by, reason }), "paused; what is in flight finishes")
        }
        Decision::Resume(_) => (Message::Resume(pb::ResumeWorkflow { by, reason }), "goes on"),
        Decision::Cancel(_) => (
            Message::Cancel(pb::CancelWorkflow { by, reason }),
            "cancelled; what it did is being taken back",
        ),
        Decision::Undo(_) => (Message::Undo(pb::UndoWorkflow { by, reason }), "being taken back"),
        Decision::Retry(args) => {
            let history = client.history(id).await?;
            return Ok(retries(&history, args.task.as_deref(), &by, &reason));
        }
        Decision::Skip(args) => {
            let task_id = args.task.clone();
            (Message::SkipTask(pb::SkipTask { task_id, by, reason }), "goes on without it")
        }
        Decision::Resolve(args) => {
            let task_id = args.task.clone();
            (Message::Resolve(pb::ResolveStuck { task_id, by, reason }), "resolved")
        }
    };
    Ok(vec![one])
}

/// Approves or rejects what waits, bound to the plan as the log has it.
async fn gate(
    client: &Client,
    id: &WorkflowId,
    args: &AtGate,
    approve: bool,
) -> Result<Message, CliError> {
    let history = client.history(id).await?;
    let (gate, plan_digest) = choose(&history, args.gate.as_deref())?;
    let (by, reason) = (client.by.clone(), args.about.reason.clone());
    Ok(Message::DecideGate(pb::DecideGate { gate, approve, plan_digest, by, reason }))
}

/// Of the task, or of everything that is held; where nothing is held, of the failed undos.
fn retries(
    history: &History,
    task: Option<&str>,
    by: &str,
    reason: &str,
) -> Vec<(Message, &'static str)> {
    let (by, reason) = (by.to_owned(), reason.to_owned());
    let tasks = history.workflow().into_iter().flat_map(Workflow::tasks);
    let held = tasks.filter(|(_, state)| state.status() == TaskStatus::Held);
    let tasks: Vec<String> = match task {
        Some(task) => vec![task.to_owned()],
        None => held.map(|(spec, _)| spec.id.to_string()).collect(),
    };
    if tasks.is_empty() {
        let again = Message::Retry(pb::RetryStuck { by, reason });
        return vec![(again, "trying the failed undo again")];
    }
    let retry = |task_id| {
        let (by, reason) = (by.clone(), reason.clone());
        (Message::RetryTask(pb::RetryTask { task_id, by, reason }), "trying it again")
    };
    tasks.into_iter().map(retry).collect()
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
