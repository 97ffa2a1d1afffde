//! What a person decides: at a gate, to cancel, to undo. Who, is the token's owner.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use deadelus_core::Gate;
use deadelus_proto::{
    Sha256, WorkflowId,
    pb::{self, inbound::Message as Said},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Answered,
    body::{Body, Named},
    say,
};
use crate::{
    caller::{Approver, Operator},
    problem::{Problem, ProblemJson},
    serve::Desk,
};

/// A decision at a gate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AtGate {
    decision: Verdict,
    /// The digest of the plan that the person saw: a decision about another plan is refused.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    plan_digest: Sha256,
    /// Why, for the log.
    #[serde(default)]
    reason: String,
}

/// What the person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Approve,
    Reject,
}

/// Why something is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    /// For the log.
    #[serde(default)]
    reason: String,
}

/// Approves or rejects at a gate: `plan`, or the task that waits.
#[utoipa::path(
    post, path = "/v1/workflows/{workflow}/gates/{gate}", tag = "decisions", request_body = AtGate,
    params(
        ("workflow" = String, Path, pattern = "^[a-z0-9-]{1,64}$"),
        ("gate" = String, Path, pattern = "^[a-z0-9-]{1,64}$",
            description = "`plan`, or a task's id"),
    ),
    responses(
        (status = 200, description = "Decided", body = Answered),
        (status = 202, description = "Stored; no orchestrator has answered yet", body = Answered),
        (status = 409, description = "Another digest, no such gate, or decided already",
            body = ProblemJson, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn decide(
    Approver(caller): Approver,
    State(desk): State<Arc<Desk>>,
    Named((workflow, gate)): Named<(WorkflowId, String)>,
    Body(decision): Body<AtGate>,
) -> Result<(StatusCode, Json<Answered>), Problem> {
    let gate: Gate = gate.parse().map_err(|e| Problem::bad_request(format!("gate: {e}")))?;
    let said = Said::DecideGate(pb::DecideGate {
        gate: gate.to_string(),
        approve: decision.decision == Verdict::Approve,
        plan_digest: decision.plan_digest.to_string(),
        by: caller.name.clone(),
        reason: decision.reason,
    });
    say(&desk.client(&caller), &workflow, said).await
}

/// Stops a workflow and takes back what it did.
#[utoipa::path(
    post, path = "/v1/workflows/{workflow}/cancel", tag = "decisions", request_body = Because,
    params(("workflow" = String, Path, pattern = "^[a-z0-9-]{1,64}$")),
    responses(
        (status = 200, description = "It is being taken back", body = Answered),
        (status = 202, description = "Stored; no orchestrator has answered yet", body = Answered),
        (status = 409, description = "It has ended", body = ProblemJson,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel(
    Operator(caller): Operator,
    State(desk): State<Arc<Desk>>,
    Named(workflow): Named<WorkflowId>,
    Body(Because { reason }): Body<Because>,
) -> Result<(StatusCode, Json<Answered>), Problem> {
    let said = Said::Cancel(pb::CancelWorkflow { by: caller.name.clone(), reason });
    say(&desk.client(&caller), &workflow, said).await
}

/// Takes back a workflow that has ended.
#[utoipa::path(
    post, path = "/v1/workflows/{workflow}/undo", tag = "decisions", request_body = Because,
    params(("workflow" = String, Path, pattern = "^[a-z0-9-]{1,64}$")),
    responses(
        (status = 200, description = "It is being taken back", body = Answered),
        (status = 202, description = "Stored; no orchestrator has answered yet", body = Answered),
        (status = 409, description = "It has not ended, or is being taken back", body = ProblemJson,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn undo(
    Operator(caller): Operator,
    State(desk): State<Arc<Desk>>,
    Named(workflow): Named<WorkflowId>,
    Body(Because { reason }): Body<Because>,
) -> Result<(StatusCode, Json<Answered>), Problem> {
    let said = Said::Undo(pb::UndoWorkflow { by: caller.name.clone(), reason });
    say(&desk.client(&caller), &workflow, said).await
}
