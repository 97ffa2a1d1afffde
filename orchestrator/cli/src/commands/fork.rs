//! `deadelus fork`: a new workflow of the same plan that keeps the results before a task. What is
//! kept is decided by the core from the log; here it is only sent.

use deadelus_core::plan::Approval;
use deadelus_proto::{
    TaskId, WorkflowId,
    limits::MESSAGE_MAX_BYTES,
    pb::{self, inbound::Message},
};
use prost::Message as _;
use serde::Serialize;

use super::run;
use crate::{args::Fork, client::Client, error::CliError, exit::Exit, ids, term};

/// What the rest of the message may take: ids and names.
const ENVELOPE_MAX_BYTES: usize = 8 * 1024;

#[derive(Serialize)]
struct Forked<'a> {
    workflow: &'a WorkflowId,
    forked_from: &'a WorkflowId,
    from_task: &'a TaskId,
    kept: &'a [TaskId],
}

pub(crate) async fn run(
    client: &Client,
    source: &WorkflowId,
    args: &Fork,
) -> Result<Exit, CliError> {
    let history = client.history(source).await?;
    let no_log = || CliError::Log { workflow: source.to_string(), problem: "is empty".into() };
    let workflow = history.workflow().ok_or_else(no_log)?;
    let from: TaskId = args.from.parse().map_err(|e| CliError::Usage(format!("{e}")))?;
    let fork = workflow.fork(&from).map_err(|e| CliError::Refused(format!("{source}: {e}")))?;
    let kept: Vec<TaskId> = fork.results.iter().map(|(task, _)| task.clone()).collect();
    let plan = workflow.plan();
    let start = pb::StartWorkflow {
        plan_json: plan.json().as_bytes().to_vec().into(),
        plan_digest: plan.digest().to_string(),
        submitted_by: client.by.clone(),
    };
    let message = pb::ForkWorkflow { start: Some(start), ..fork.into() };
    let size = message.encoded_len();
    if size > MESSAGE_MAX_BYTES - ENVELOPE_MAX_BYTES {
        let what = "the plan and the results that would be kept are";
        return Err(CliError::Refused(format!(
            "{what} {size} bytes, more than one message holds; fork from an earlier task"
        )));
    }
    let id = ids::workflow()?;
    run::accepted(client.send(&id, Message::Fork(message)).await?, &id, "started")?;
    let gated = plan.plan().approval == Approval::Required;
    if gated && args.yes {
        run::approve(client, &id, plan, true).await?;
    }
    if args.one.output.is_json() {
        let forked = Forked { workflow: &id, forked_from: source, from_task: &from, kept: &kept };
        term::say_json(&forked)?;
        return Ok(Exit::Done);
    }
    let names: Vec<&str> = kept.iter().map(TaskId::as_str).collect();
    let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    term::say_line(&format!("workflow {id}: keeps {names}; from {from} on everything anew"))?;
    if gated && !args.yes {
        term::say_line(&format!("it waits for approval: deadelus approve {id}"))?;
    }
    Ok(Exit::Done)
}
