//! From words, or a plan file, to a checked plan. Nothing is started.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use deadelus_proto::{
    pb::{self, plan_answer::Result as Planned},
    subject::Api,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::body::Body;
use crate::{
    caller::Operator,
    problem::{Asked, Problem, ProblemJson},
    serve::Desk,
};

/// What is wanted: words with a target, or a plan file, or a draft with answers.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wish {
    /// In words.
    request: String,
    /// What it is about: `shop`.
    target: String,
    /// Chosen by the caller instead of by matching.
    blueprint: String,
    /// Of the blueprint.
    params: HashMap<String, String>,
    /// A plan as its author wrote it, YAML or JSON.
    plan_file: String,
    /// A draft that is kept, by its id.
    draft: String,
    /// To the draft's questions, by name.
    answers: HashMap<String, String>,
}

/// A checked plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proposal {
    /// What people approve: SHA-256 of the plan's canonical JSON.
    digest: String,
    /// The blueprint; empty for a plan of one's own.
    blueprint: String,
    /// Why this one.
    because: String,
    /// How sure, 0 to 1.
    confidence: f64,
    /// The plan, to be started as it is.
    #[schema(value_type = Object)]
    plan: Value,
}

/// A plan for a request.
#[utoipa::path(
    post, path = "/v1/plans", tag = "plans", request_body = Wish,
    responses(
        (status = 200, description = "The plan, checked", body = Proposal),
        (status = 422, description = "No plan, with each reason; or questions about a plan file",
            body = ProblemJson, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn plan(
    Operator(caller): Operator,
    State(desk): State<Arc<Desk>>,
    Body(wish): Body<Wish>,
) -> Result<Json<Proposal>, Problem> {
    let request = pb::PlanRequest {
        request: wish.request,
        target: wish.target,
        blueprint: wish.blueprint,
        params: wish.params,
        plan_file: wish.plan_file,
        draft: wish.draft,
        answers: wish.answers,
    };
    let answer: pb::PlanAnswer = desk.client(&caller).ask(Api::Plan, &request).await?;
    match answer.result {
        Some(Planned::Proposal(proposal)) => proposed(proposal),
        Some(Planned::NeedsAnswers(needs)) => Err(questions(needs)),
        Some(Planned::NoPlan(no_plan)) => Err(none(no_plan)),
        None => Err(none(pb::NoPlan::default())),
    }
}

fn proposed(proposal: pb::PlanProposal) -> Result<Json<Proposal>, Problem> {
    let plan = serde_json::from_slice(&proposal.plan_json).map_err(|e| {
        let status = StatusCode::BAD_GATEWAY;
        Problem::new(status, "planner", format!("the planner's answer cannot be read: {e}"))
    })?;
    Ok(Json(Proposal {
        digest: proposal.plan_digest,
        blueprint: proposal.blueprint,
        because: proposal.because,
        confidence: proposal.confidence,
        plan,
    }))
}

fn questions(needs: pb::NeedsAnswers) -> Problem {
    let asked = |q: pb::Question| Asked { name: q.name, asks: q.asks };
    let questions = needs.questions.into_iter().map(asked).collect();
    let detail = format!("{} is not detailed enough yet", needs.title);
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "needs-answers", detail)
        .questions(needs.draft, questions)
        .next("ask again with the draft and the answers; it is kept for two weeks")
}

fn none(no_plan: pb::NoPlan) -> Problem {
    let near = |near: &pb::BlueprintMatch| {
        format!(
            "nearest is {} ({:.0} % sure): {}",
            near.blueprint,
            near.confidence * 100.0,
            near.title
        )
    };
    let mut problems = no_plan.problems;
    problems.extend(no_plan.nearest.iter().map(near));
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no-plan", "there is no plan for this")
        .problems(problems)
        .next(
            "choose a blueprint, or bring a plan_file; GET /v1/specialists lists what can be done",
        )
}
