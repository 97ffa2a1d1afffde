//! What happens, as server-sent events.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use deadelus_proto::WorkflowId;
use deadelus_view::time::now_unix_ms;
use tokio::time::Instant;

use super::body::Named;
use crate::{
    caller::{Caller, Viewer},
    events::{self, Decided, Seat, Watched},
    problem::Problem,
    serve::Desk,
};

/// What a client sends that comes back.
const LAST_EVENT_ID: &str = "last-event-id";

/// Every decision about a workflow, from its first on, or after `Last-Event-ID`; each once and in
/// order. The stream stays open after the workflow has ended: it may still be undone.
#[utoipa::path(
    get, path = "/v1/workflows/{workflow}/events", tag = "events",
    params(
        ("workflow" = String, Path, pattern = "^[a-z0-9-]{1,64}$"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Go on after this sequence"),
    ),
    responses(
        (status = 200, description = "Events `decided`, each with a `Decided` as data",
            body = Decided, content_type = "text/event-stream"),
    )
)]
pub(crate) async fn one(
    Viewer(caller): Viewer,
    State(desk): State<Arc<Desk>>,
    Named(id): Named<WorkflowId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = last_event(&headers)?;
    let seat = desk.hub.seat().ok_or_else(full)?;
    let watched = desk.hub.one(&id).await?;
    Ok(told(&desk, &caller, watched, after, seat))
}

/// What is decided about any workflow from now on, or after `Last-Event-ID`, as it is written;
/// whether it counts, the workflow's own stream and `GET /v1/workflows/{workflow}` say.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "Go on after this sequence")),
    responses(
        (status = 200, description = "Events `decided`, each with a `Decided` as data",
            body = Decided, content_type = "text/event-stream"),
    )
)]
pub(crate) async fn all(
    Viewer(caller): Viewer,
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = last_event(&headers)?;
    let seat = desk.hub.seat().ok_or_else(full)?;
    let watched = desk.hub.all().await;
    Ok(told(&desk, &caller, watched, after, seat))
}

fn told(
    desk: &Desk,
    caller: &Caller,
    watched: Watched,
    after: Option<u64>,
    seat: Seat,
) -> Response {
    let left = |expires: i64| {
        let left = expires.saturating_sub(now_unix_ms().div_euclid(1_000));
        Instant::now() + Duration::from_secs(u64::try_from(left).unwrap_or(0))
    };
    let expires = caller.expires_unix_s.map(left);
    let stream = events::stream(watched, after, seat, expires, desk.shutdown.clone());
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, Body::from_stream(stream)).into_response()
}

fn last_event(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let bad = || Problem::bad_request("Last-Event-ID is no sequence of the log");
    number.map(Some).ok_or_else(bad)
}

fn full() -> Problem {
    let detail = "as many streams are open as gateway.limits.streams_max allows";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "streams-full", detail)
        .next("come back later, or ask another replica")
        .header(header::RETRY_AFTER, "10")
}
