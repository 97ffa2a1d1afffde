//! Who can do what, and how the gateway itself is.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use deadelus_proto::SpecialistCard;
use deadelus_view::services;
use serde::Serialize;
use utoipa::{ToSchema, openapi::OpenApi};

use crate::{
    caller::Viewer,
    problem::{Problem, ProblemJson},
    serve::Desk,
};

/// More processes than this are not counted, only the time they get to answer.
const EVERYBODY: usize = usize::MAX;

/// The Prometheus text format, as its documentation names it.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A specialist.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Specialist {
    /// Its card: name, version, targets, and each capability with its schemas, effect and undo.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    card: SpecialistCard,
    /// Processes that answer now.
    replicas: Vec<String>,
}

/// Who there is, what they can do, to which targets, and how many answer.
#[utoipa::path(
    get, path = "/v1/specialists", tag = "mesh",
    responses((status = 200, description = "The specialists", body = Vec<Specialist>))
)]
pub(crate) async fn specialists(
    Viewer(caller): Viewer,
    State(desk): State<Arc<Desk>>,
) -> Result<Json<Vec<Specialist>>, Problem> {
    let client = desk.client(&caller);
    let (cards, answering) =
        tokio::try_join!(client.cards(), services::ping(&client.mesh, EVERYBODY))?;
    let row = |card: SpecialistCard| {
        let own = answering.iter().filter(|s| s.kind() == card.specialist.as_str());
        Specialist { replicas: own.map(|s| s.instance().to_owned()).collect(), card }
    };
    Ok(Json(cards.into_iter().map(row).collect()))
}

/// Whether the process lives.
#[utoipa::path(
    get, path = "/healthz", tag = "process", security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the mesh can be used: connected, and the streams there.
#[utoipa::path(
    get, path = "/readyz", tag = "process", security(()),
    responses(
        (status = 200, description = "It can", body = String, content_type = "text/plain"),
        (status = 503, description = "What is missing", body = ProblemJson,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn readyz(State(desk): State<Arc<Desk>>) -> Result<&'static str, Problem> {
    match desk.ready.missing().await {
        None => Ok("ready\n"),
        Some(missing) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", missing)
            .next("look with `deadelus doctor`")
            .header(header::RETRY_AFTER, "2")),
    }
}

/// What this process has counted, a few seconds ago.
#[utoipa::path(
    get, path = "/metrics", tag = "process",
    responses((status = 200, description = "In the Prometheus text format", body = String,
        content_type = "text/plain"))
)]
pub(crate) async fn metrics(_: Viewer, State(desk): State<Arc<Desk>>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS)], desk.page.text()).into_response()
}

/// `GET /openapi.json`
pub(crate) fn document(document: OpenApi) -> Router<Arc<Desk>> {
    let document = Arc::new(document);
    Router::new().route("/openapi.json", get(async move || Json(document.as_ref().clone())))
}
