//! Workflows: which there are, how each stands, and a new one.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use deadelus_mesh::{
    lists::{Line, Shelf},
    objects::sha256,
};
use deadelus_proto::{
    Sha256, WorkflowId,
    pb::{self, inbound::Message as Said},
};
use deadelus_view::{
    Heard,
    report::Report,
    shelves,
    standing::{self, Standing},
    time::now_unix_ms,
    why::{self, Why},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    WorkflowName,
    body::{Asked, Body, Named},
};
use crate::{
    caller::{Caller, Operator, Viewer},
    problem::{Problem, ProblemJson},
    serve::Desk,
};

/// The header that makes a repetition one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longer ones are somebody's data, not a key.
const KEY_MAX_CHARS: usize = 255;

/// Of the digest that an id is made of: 160 bits.
const ID_DIGEST_CHARS: usize = 40;

/// Workflows of one page, if nothing else is said and at most.
const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 500;

/// Who wants to see what lies further back asks for a state.
const OFFSET_MAX: u32 = 10_000;

/// Which ones, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Only those in this state.
    state: Option<Status>,
    /// At most so many; 50 if nothing is said.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// So many are left out at the beginning; what begins meanwhile moves the rest.
    #[param(minimum = 0, maximum = 10000)]
    offset: Option<u32>,
}

/// How a workflow stands.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Running,
    Paused,
    Waiting,
    Undoing,
    Stuck,
    NeedsReconcile,
    Done,
    Undone,
    Cancelled,
    Rejected,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Waiting => "waiting",
            Self::Undoing => "undoing",
            Self::Stuck => "stuck",
            Self::NeedsReconcile => "needs-reconcile",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
        }
    }
}

/// A page of workflows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOf {
    /// The open ones first, the last begun before the others; then those that have ended, the last
    /// ended first.
    workflows: Vec<Listed>,
    /// Where the next page begins; none after the last.
    next_offset: Option<u32>,
}

/// A workflow in a line. The list follows the log within a moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    workflow: String,
    title: String,
    /// In the words of who asked; may be empty.
    request: String,
    /// What it is about; may be empty.
    target: String,
    /// `running`, `waiting`, `done`, …
    state: String,
    /// What it waits for or why it ended; may be empty.
    reason: String,
    tasks_total: u32,
    tasks_settled: u32,
    started_unix_ms: i64,
    updated_unix_ms: i64,
    ended: bool,
    /// Whether its log is kept in one object.
    archived: bool,
}

/// The workflows.
#[utoipa::path(
    get, path = "/v1/workflows", tag = "workflows", params(Which),
    responses((status = 200, description = "A page of them", body = PageOf))
)]
pub(crate) async fn list(
    Viewer(caller): Viewer,
    State(desk): State<Arc<Desk>>,
    Asked(which): Asked<Which>,
) -> Result<Json<PageOf>, Problem> {
    let limit = within(which.limit.unwrap_or(PAGE_DEFAULT), 1, PAGE_MAX, "limit")?;
    let offset = within(which.offset.unwrap_or(0), 0, OFFSET_MAX, "offset")?;
    let lists = desk.client(&caller).lists().await?;
    let state = which.state.map(Status::as_str);
    let (skipped, wanted) = (offset as usize, limit as usize);
    // One more than is shown tells whether there are more.
    let found = Box::pin(shelves::newest(&lists, state, skipped + wanted + 1)).await?;
    let all = found.open.iter().chain(&found.ended).skip(skipped);
    let mut workflows: Vec<Listed> = all.take(wanted + 1).map(listed).collect();
    let is_more = workflows.len() > wanted;
    workflows.truncate(wanted);
    Ok(Json(PageOf { workflows, next_offset: is_more.then_some(offset + limit) }))
}

fn within(number: u32, least: u32, most: u32, name: &str) -> Result<u32, Problem> {
    let good = (least..=most).contains(&number);
    let bad = || Problem::bad_request(format!("{name} is {number}, not from {least} to {most}"));
    good.then_some(number).ok_or_else(bad)
}

fn listed(line: &Line) -> Listed {
    let s = &line.summary;
    Listed {
        workflow: s.workflow_id.clone(),
        title: s.title.clone(),
        request: s.request.clone(),
        target: s.target.clone(),
        state: s.status.clone(),
        reason: s.reason.clone(),
        tasks_total: s.tasks_total,
        tasks_settled: s.tasks_settled,
        started_unix_ms: s.started_unix_ms,
        updated_unix_ms: s.updated_unix_ms,
        ended: s.ended,
        archived: line.shelf == Shelf::Archived,
    }
}

/// A plan to carry out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    /// The id it is to have. Instead, the header `Idempotency-Key` may make one.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9-]{1,64}$")]
    workflow: Option<WorkflowId>,
    /// As `POST /v1/plans` gave it.
    #[schema(value_type = Object)]
    plan: Map<String, Value>,
    /// The digest that was seen with it.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    plan_digest: Sha256,
}

/// A workflow that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Started {
    /// Its id.
    workflow: WorkflowName,
    /// What people approve.
    plan_digest: String,
    /// Whether an orchestrator has accepted it. If not it is stored, and begins as soon as one
    /// runs.
    accepted: bool,
}

/// Starts a workflow. The same id or key with the same plan starts nothing twice and is answered
/// the same; with another plan it is a conflict.
#[utoipa::path(
    post, path = "/v1/workflows", tag = "workflows", request_body = Start,
    params(("Idempotency-Key" = Option<String>, Header, description = "Instead of an id: of one \
        token, the same key is the same workflow. 1 to 255 visible characters")),
    responses(
        (status = 201, description = "It begins", body = Started,
            headers(("Location" = String, description = "Where it is shown"))),
        (status = 202, description = "Stored; no orchestrator has answered yet", body = Started),
        (status = 409, description = "The id is another plan's", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "The plan does not make sense here, or nothing names the \
            workflow", body = ProblemJson, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn start(
    Operator(caller): Operator,
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Body(start): Body<Start>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<Started>), Problem> {
    let id = id_of(&caller, start.workflow, &headers)?;
    tracing::Span::current().record(deadelus_mesh::names::WORKFLOW_ID, id.as_str());
    let client = desk.client(&caller);
    let said = Said::Start(pb::StartWorkflow {
        plan_json: Value::Object(start.plan).to_string().into(),
        plan_digest: start.plan_digest.to_string(),
        submitted_by: caller.name,
    });
    let accepted = match client.send(&id, said).await? {
        Heard::Accepted => true,
        Heard::Stored => false,
        Heard::Refused(problems) => {
            let taken = client.history(&id).await.is_ok();
            return Err(if taken { conflict(&id, problems) } else { bad_plan(problems) });
        }
    };
    let status = if accepted { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let location = [(header::LOCATION, format!("/v1/workflows/{id}"))];
    let plan_digest = start.plan_digest.to_string();
    Ok((status, location, Json(Started { workflow: WorkflowName(id), plan_digest, accepted })))
}

/// The id that is wanted, or the one that a key makes.
fn id_of(
    caller: &Caller,
    wanted: Option<WorkflowId>,
    headers: &HeaderMap,
) -> Result<WorkflowId, Problem> {
    let key = headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str().unwrap_or_default());
    match (wanted, key) {
        (Some(id), None) => Ok(id),
        (None, Some(key)) if (1..=KEY_MAX_CHARS).contains(&key.chars().count()) => {
            // Nobody guesses or takes the workflow of another's key.
            let digest = sha256(format!("{}\n{key}", caller.name).as_bytes()).to_string();
            let digest: String = digest.chars().take(ID_DIGEST_CHARS).collect();
            format!("wf-{digest}").parse().map_err(|e| Problem::bad_request(format!("{e}")))
        }
        (None, Some(_)) => Err(unnamed("Idempotency-Key has not 1 to 255 visible characters")),
        (Some(_), Some(_)) => Err(unnamed("there are two names for it")),
        (None, None) => Err(unnamed("nothing says which workflow this is")),
    }
}

/// Asking twice must start it once, so it needs a name.
fn unnamed(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unnamed", detail)
        .next("give the workflow's id in the body, or the header Idempotency-Key, not both")
}

fn conflict(id: &WorkflowId, problems: Vec<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, "taken", problems.join("; "))
        .problems(problems)
        .next(format!("choose another id or key, or look: GET /v1/workflows/{id}"))
}

fn bad_plan(problems: Vec<String>) -> Problem {
    let detail = "this plan does not make sense here";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-plan", detail)
        .problems(problems)
        .next("plan again: POST /v1/plans; GET /v1/specialists lists what can be done")
}

/// How a workflow and each of its tasks stand, from its log.
#[utoipa::path(
    get, path = "/v1/workflows/{workflow}", tag = "workflows",
    params(("workflow" = String, Path, pattern = "^[a-z0-9-]{1,64}$")),
    responses((status = 200, description = "How it stands", body = Standing))
)]
pub(crate) async fn show(
    Viewer(caller): Viewer,
    State(desk): State<Arc<Desk>>,
    Named(id): Named<WorkflowId>,
) -> Result<Json<Standing>, Problem> {
    let history = desk.client(&caller).history(&id).await?;
    let workflow = history.accepted()?;
    deadelus_mesh::trace::link_from(&tracing::Span::current(), workflow.traceparent());
    Ok(Json(standing::standing(&history, workflow, now_unix_ms())))
}

/// What it came to, as `deadelus report -o json` gives it.
#[utoipa::path(
    get, path = "/v1/workflows/{workflow}/report", tag = "workflows",
    params(("workflow" = String, Path, pattern = "^[a-z0-9-]{1,64}$")),
    responses((status = 200, description = "The report", body = Object))
)]
pub(crate) async fn report(
    Viewer(caller): Viewer,
    State(desk): State<Arc<Desk>>,
    Named(id): Named<WorkflowId>,
) -> Result<Json<Report>, Problem> {
    let client = desk.client(&caller);
    let history = client.history(&id).await?;
    Ok(Json(Box::pin(Report::fetch(&client, &history)).await?))
}

/// What it waits for and what moves it on.
#[utoipa::path(
    get, path = "/v1/workflows/{workflow}/why", tag = "workflows",
    params(("workflow" = String, Path, pattern = "^[a-z0-9-]{1,64}$")),
    responses((status = 200, description = "What it waits for", body = Why))
)]
pub(crate) async fn why(
    Viewer(caller): Viewer,
    State(desk): State<Arc<Desk>>,
    Named(id): Named<WorkflowId>,
) -> Result<Json<Why>, Problem> {
    Ok(Json(Box::pin(why::of(&desk.client(&caller), &id)).await?))
}
