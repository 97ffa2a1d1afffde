//! Around every request: its span in the caller's trace, its time, its end.

use std::time::{Duration, Instant};

use axum::{
    extract::{MatchedPath, Request},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use deadelus_mesh::{meters, names, trace};
use tracing::{Instrument as _, field};

use crate::problem::Problem;

/// The longest that the mesh may take for one answer, twice, and some room. Of an event stream only
/// its beginning counts.
const REQUEST_MAX: Duration = Duration::from_secs(45);

/// What was asked for and is no route.
const NO_ROUTE: &str = "none";

pub(crate) async fn around(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request",
        otel.name = %format!("{method} {route}"),
        otel.kind = "server",
        { names::HTTP_METHOD } = %method,
        { names::HTTP_ROUTE } = route,
        { names::HTTP_STATUS } = field::Empty,
        { names::USER_ID } = field::Empty,
        { names::WORKFLOW_ID } = field::Empty,
    );
    let parent = request.headers().get(trace::TRACEPARENT).and_then(|value| value.to_str().ok());
    if let Some(parent) = parent {
        trace::set_parent_from(&span, parent);
    }
    let answered = tokio::time::timeout(REQUEST_MAX, next.run(request));
    let response = answered.instrument(span.clone()).await.unwrap_or_else(|_| too_long());
    let status = response.status().as_u16();
    span.record(names::HTTP_STATUS, status);
    meters::request_answered(method.as_str(), &route, status, begun.elapsed());
    tracing::debug!(parent: &span, status, "answered");
    response
}

fn too_long() -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "mesh-slow", "the mesh did not answer in time")
        .next("ask again; starting again with the same id starts nothing twice")
        .header(header::RETRY_AFTER, "5")
        .into_response()
}
