//! What lists are made of: one line per workflow in the WORKFLOWS bucket, rewritten when it reads
//! differently. Never the truth: it can be lost and is made again from the log.

use async_nats::HeaderMap;
use bytes::Bytes;
use deadelus_core::{Chain, Ending, Status, Workflow};
use deadelus_mesh::{Mesh, MeshError, streams};
use deadelus_proto::{WorkflowId, pb};
use futures_util::StreamExt as _;
use prost::Message as _;

use crate::journal::Journal;

/// A request of any length; the whole of it is in the plan.
const REQUEST_SHOWN_CHARS: usize = 200;

/// A workflow's line; none before it is accepted.
pub(crate) fn summary(id: &WorkflowId, log: &Chain) -> Option<pb::WorkflowSummary> {
    let workflow = log.workflow()?;
    let plan = workflow.plan().plan();
    let settled = workflow.tasks().filter(|(_, task)| task.is_settled()).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(pb::WorkflowSummary {
        workflow_id: id.to_string(),
        title: plan.title.clone(),
        request: plan.request.chars().take(REQUEST_SHOWN_CHARS).collect(),
        target: plan.target.clone().unwrap_or_default(),
        status: if log.gap().is_some() { "needs-reconcile" } else { status(workflow) }.to_owned(),
        reason: reason(workflow),
        tasks_total: count(workflow.plan().tasks().len()),
        tasks_settled: count(settled),
        started_unix_ms: workflow.accepted_unix_ms(),
        updated_unix_ms: workflow.last_unix_ms(),
        log_sequence: log.last_sequence(),
        ended: workflow.ended().is_some(),
    })
}

/// What of a line a reader of the list would notice. How many tasks have settled is not: it would
/// be a write per task.
pub(crate) fn line(summary: &pb::WorkflowSummary) -> (String, String) {
    (summary.status.clone(), summary.reason.clone())
}

/// What to publish so that the list has this line: subject, headers, bytes.
pub(crate) fn line_of(
    journal: &Journal,
    summary: &pb::WorkflowSummary,
) -> (String, HeaderMap, Bytes) {
    let lists = journal.lists();
    let subject = format!("{}{}", lists.prefix, summary.workflow_id);
    (subject, HeaderMap::new(), summary.encode_to_vec().into())
}

/// All lines, in no order. What cannot be read is left out and logged.
///
/// # Errors
/// [`MeshError`] when the bucket cannot be read.
pub async fn list(mesh: &Mesh) -> Result<Vec<pb::WorkflowSummary>, MeshError> {
    let failed = |e: &dyn std::fmt::Display| MeshError::jetstream("read the list", e.to_string());
    let bucket = streams::bucket(mesh, streams::WORKFLOWS).await?;
    if bucket.status().await.map_err(|e| failed(&e))?.values() == 0 {
        return Ok(vec![]);
    }
    // The whole bucket in one stream of messages, newest value of each key.
    let mut changes = bucket.watch_with_history(">").await.map_err(|e| failed(&e))?;
    let mut lines = vec![];
    while let Some(entry) = changes.next().await {
        let entry = entry.map_err(|e| failed(&e))?;
        let last = entry.delta == 0;
        match pb::WorkflowSummary::decode(entry.value) {
            Ok(summary) if !summary.workflow_id.is_empty() => lines.push(summary),
            Ok(_) => {}
            Err(error) => tracing::warn!(key = entry.key, %error, "a line that cannot be read"),
        }
        if last {
            break;
        }
    }
    Ok(lines)
}

/// Every workflow that has not ended, as far as the list knows.
pub(crate) async fn open_workflows(mesh: &Mesh) -> Result<Vec<WorkflowId>, MeshError> {
    let open = list(mesh).await?.into_iter().filter(|summary| !summary.ended);
    Ok(open.filter_map(|summary| summary.workflow_id.parse().ok()).collect())
}

fn status(workflow: &Workflow) -> &'static str {
    match workflow.status() {
        Status::Approval => "waiting",
        Status::Paused => "paused",
        Status::Running if workflow.open_gates().next().is_some() => "waiting",
        Status::Running => "running",
        Status::TakingBack => "undoing",
        Status::Stuck => "stuck",
        Status::Ended(Ending::Done) => "done",
        Status::Ended(Ending::Undone) => "undone",
        Status::Ended(Ending::Cancelled) => "cancelled",
        Status::Ended(Ending::Rejected) => "rejected",
    }
}

fn reason(workflow: &Workflow) -> String {
    if let Some((_, reason)) = workflow.ended() {
        return reason.to_owned();
    }
    if let Some(pause) = workflow.pause() {
        return pause.reason.clone();
    }
    match workflow.open_gates().next() {
        Some((gate, state)) => format!("gate {gate}: {}", state.reason),
        None => workflow.take_back().map(|order| order.reason.clone()).unwrap_or_default(),
    }
}
