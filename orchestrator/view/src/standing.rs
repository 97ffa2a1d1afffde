//! How a workflow stands: what a program is told of it. Pure.

use deadelus_core::Workflow;
use serde::Serialize;

use crate::{
    history::History,
    lines::{self, Line},
};

/// A workflow and each of its tasks.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Standing {
    pub workflow: String,
    pub status: String,
    pub request: String,
    pub target: Option<String>,
    pub title: String,
    pub plan_digest: String,
    pub submitted_by: String,
    pub traceparent: String,
    pub accepted_unix_ms: i64,
    pub updated_unix_ms: i64,
    pub reason: Option<String>,
    pub gates: Vec<GateStanding>,
    pub tasks: Vec<Line>,
    pub residue: Vec<String>,
    pub alarms: Vec<String>,
}

/// A point where it waits, or waited, for a person.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct GateStanding {
    pub gate: String,
    pub reason: String,
    pub since_unix_ms: i64,
    pub asks: String,
    pub deadline_unix_ms: Option<i64>,
    pub approved: Option<bool>,
    pub by: String,
}

/// As of `now`, in milliseconds since the epoch.
pub fn standing(history: &History, workflow: &Workflow, now: i64) -> Standing {
    let plan = workflow.plan();
    let gates = workflow.gates().iter().map(|(gate, state)| GateStanding {
        gate: gate.to_string(),
        reason: state.reason.clone(),
        since_unix_ms: state.since_unix_ms,
        asks: state.asks.clone(),
        deadline_unix_ms: state.deadline_unix_ms,
        approved: state.decision.as_ref().map(|(approved, _, _)| *approved),
        by: state.decision.as_ref().map(|(_, by, _)| by.clone()).unwrap_or_default(),
    });
    Standing {
        workflow: workflow.id().to_string(),
        status: status(history, workflow),
        request: plan.plan().request.clone(),
        target: plan.plan().target.clone(),
        title: plan.plan().title.clone(),
        plan_digest: plan.digest().to_string(),
        submitted_by: workflow.submitted_by().to_owned(),
        traceparent: workflow.traceparent().to_owned(),
        accepted_unix_ms: workflow.accepted_unix_ms(),
        updated_unix_ms: workflow.last_unix_ms(),
        reason: reason(workflow),
        gates: gates.collect(),
        tasks: lines::lines(history, now),
        residue: workflow
            .residue()
            .into_iter()
            .map(|r| format!("{}: {}", r.task, r.what))
            .collect(),
        alarms: history.alarms().to_vec(),
    }
}

/// `running`, or `needs-reconcile` where the log is damaged.
pub fn status(history: &History, workflow: &Workflow) -> String {
    if history.needs_reconcile() {
        return "needs-reconcile".to_owned();
    }
    workflow.status().to_string()
}

/// Why it ended, or why nothing more starts.
fn reason(workflow: &Workflow) -> Option<String> {
    let ended = workflow.ended().map(|(_, reason)| reason);
    ended.or(workflow.pause().map(|pause| pause.reason.as_str())).map(str::to_owned)
}
