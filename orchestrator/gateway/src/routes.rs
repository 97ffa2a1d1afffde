//! What can be asked, route by route. Each says in its parameters who may.

mod body;
mod decisions;
mod mesh;
mod plans;
mod streams;
mod workflows;

pub(crate) use workflows::Status;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware::from_fn,
};
use deadelus_proto::WorkflowId;
use deadelus_proto::pb::inbound::Message as Said;
use deadelus_view::{Client, Heard};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{doc, problem::Problem, serve::Desk, trace};

/// Everything, with its document.
pub(crate) fn router(desk: Arc<Desk>, body_max_bytes: usize) -> Router {
    let (router, document) = documented().split_for_parts();
    router
        .merge(mesh::document(doc::whole(document)))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(body_max_bytes))
        .layer(from_fn(trace::around))
        .with_state(desk)
}

/// Every route and what the document says of it.
pub(crate) fn documented() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::with_openapi(doc::head())
        .routes(routes!(plans::plan))
        .routes(routes!(workflows::list, workflows::start))
        .routes(routes!(workflows::show))
        .routes(routes!(workflows::report))
        .routes(routes!(workflows::why))
        .routes(routes!(decisions::decide))
        .routes(routes!(decisions::cancel))
        .routes(routes!(decisions::undo))
        .routes(routes!(streams::one))
        .routes(routes!(streams::all))
        .routes(routes!(mesh::specialists))
        .routes(routes!(mesh::healthz))
        .routes(routes!(mesh::readyz))
        .routes(routes!(mesh::metrics))
}

/// What became of what somebody said about a workflow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answered {
    /// Its id.
    workflow: WorkflowName,
    /// Whether an orchestrator has decided it. If not it is stored, and decided as soon as one
    /// runs.
    decided: bool,
}

/// `[a-z0-9-]{1,64}`
#[derive(Debug, Serialize, ToSchema)]
#[schema(value_type = String, example = "wf-1m7zd0y1g-p6hg")]
pub(crate) struct WorkflowName(WorkflowId);

/// Says it and answers with 200 and [`Answered`], or 202 when it is only stored.
async fn say(
    client: &Client,
    id: &WorkflowId,
    said: Said,
) -> Result<(StatusCode, axum::Json<Answered>), Problem> {
    tracing::Span::current().record(deadelus_mesh::names::WORKFLOW_ID, id.as_str());
    let decided = match client.send(id, said).await? {
        Heard::Accepted => true,
        Heard::Stored => false,
        Heard::Refused(problems) => return Err(refused(client, id, problems).await),
    };
    let status = if decided { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(Answered { workflow: WorkflowName(id.clone()), decided })))
}

/// Of a workflow that is there it is a conflict with how it stands.
async fn refused(client: &Client, id: &WorkflowId, problems: Vec<String>) -> Problem {
    if let Err(error) = client.history(id).await {
        return error.into();
    }
    Problem::new(StatusCode::CONFLICT, "refused", problems.join("; "))
        .problems(problems)
        .next(format!("look at how it stands: GET /v1/workflows/{id}"))
}

async fn nowhere(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-route", format!("there is nothing at {}", uri.path()))
        .next("GET /openapi.json lists what there is")
}

async fn not_so(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not for {}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
        .next("GET /openapi.json lists what there is")
}
