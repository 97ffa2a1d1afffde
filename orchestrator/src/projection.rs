//! What lists are made of: one line per workflow in the WORKFLOWS bucket, rewritten when it reads
//! differently. Never the truth: it can be lost and is made again from the log.

use async_nats::HeaderMap;
use bytes::Bytes;
use deadelus_core::{Chain, Ending, Status, Workflow};
use deadelus_mesh::{
    Mesh, MeshError,
    lists::{Lists, Shelf},
};
use deadelus_proto::{WorkflowId, pb};

use crate::journal::Journal;

/// Titles, requests and reasons may have any length; the whole of each is in the log. A line of
/// three such texts is under 1 KiB in plain letters, so that the bucket holds more than 100,000.
const TEXT_SHOWN_CHARS: usize = 200;
/// The status of a workflow whose log is damaged.
pub(crate) const NEEDS_RECONCILE: &str = "needs-reconcile";

/// A workflow's line; none before it is accepted.
pub(crate) fn summary(id: &WorkflowId, log: &Chain) -> Option<pb::WorkflowSummary> {
    let workflow = log.workflow()?;
    let (status, reason) = noticed(log)?;
    let plan = workflow.plan().plan();
    let settled = workflow.tasks().filter(|(_, task)| task.is_settled()).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(pb::WorkflowSummary {
        workflow_id: id.to_string(),
        title: shown(&plan.title),
        request: shown(&plan.request),
        target: plan.target.clone().unwrap_or_default(),
        status: status.to_owned(),
        reason,
        tasks_total: count(workflow.plan().tasks().len()),
        tasks_settled: count(settled),
        started_unix_ms: workflow.accepted_unix_ms(),
        updated_unix_ms: workflow.last_unix_ms(),
        log_sequence: log.last_sequence(),
        ended: workflow.ended().is_some(),
    })
}

/// What of a line a reader of the list would notice: its status and its reason. How many tasks have
/// settled is not: it would be a write per task.
pub(crate) fn noticed(log: &Chain) -> Option<(&'static str, String)> {
    let workflow = log.workflow()?;
    let status = if log.gap().is_some() { NEEDS_RECONCILE } else { status(workflow) };
    Some((status, shown(&reason(workflow))))
}

/// What to publish so that the list has this line: subject, headers, bytes.
pub(crate) fn line_of(
    journal: &Journal,
    summary: &pb::WorkflowSummary,
) -> (String, HeaderMap, Bytes) {
    journal.lists().message(Shelf::Open, summary)
}

/// Every workflow that has not ended, as far as the list knows.
pub(crate) async fn open_workflows(mesh: &Mesh) -> Result<Vec<WorkflowId>, MeshError> {
    let mut walk = Lists::of(mesh).walk(Shelf::Open, 0).await?;
    let mut open = vec![];
    while let Some(line) = walk.next().await? {
        let id = line.summary.workflow_id.parse().ok();
        open.extend(id.filter(|_| !line.summary.ended));
    }
    Ok(open)
}

/// As much of a text as a line shows.
fn shown(text: &str) -> String {
    text.chars().take(TEXT_SHOWN_CHARS).collect()
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

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_longest_line_is_under_a_kibibyte() {
        let (text, id) = (shown(&"x".repeat(10_000)), "i".repeat(64));
        let line = pb::WorkflowSummary {
            workflow_id: id.clone(),
            title: text.clone(),
            request: text.clone(),
            target: id,
            status: NEEDS_RECONCILE.to_owned(),
            reason: text,
            tasks_total: u32::MAX,
            tasks_settled: u32::MAX,
            started_unix_ms: i64::MAX,
            updated_unix_ms: i64::MAX,
            log_sequence: u64::MAX,
            ended: true,
        };
        assert!(line.encoded_len() < 1_024, "{} bytes", line.encoded_len());
    }
}
