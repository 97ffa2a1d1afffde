//! `deadelus plan`: from words or a file to a checked plan, shown and not carried out.

use std::collections::HashMap;

use deadelus_core::{CheckedPlan, Problems};
use deadelus_proto::{
    pb::{self, plan_answer},
    subject::Api,
};

use crate::{
    args::{Place, Plan, PlanFormat, Wish},
    client::{self, Client},
    error::CliError,
    exit::Exit,
    plan_view::{self, Origin},
    term,
};

pub(crate) async fn run(place: &Place, args: &Plan) -> Result<Exit, CliError> {
    let client = client::connect(place).await?;
    let (plan, origin) = make(&client, &args.wish).await?;
    show(&client, &plan, &origin, args.output).await?;
    Ok(Exit::Done)
}

/// Shows a plan, for whoever reads it.
pub(super) async fn show(
    client: &Client,
    plan: &CheckedPlan,
    origin: &Origin,
    output: PlanFormat,
) -> Result<(), CliError> {
    match output {
        PlanFormat::Text => term::say(&text(client, plan, origin).await?),
        PlanFormat::Json => term::say_json(&plan_view::json(plan, origin)),
        PlanFormat::Yaml => {
            let yaml = serde_yaml_ng::to_string(plan.plan())
                .map_err(|e| CliError::Output(std::io::Error::other(e)))?;
            term::say(&yaml)
        }
    }
}

/// The plan as a person sees it before approving.
pub(crate) async fn text(
    client: &Client,
    plan: &CheckedPlan,
    origin: &Origin,
) -> Result<String, CliError> {
    let outputs = plan_view::outputs(&client.cards().await?);
    Ok(plan_view::text(plan, origin, &outputs, term::stdout()))
}

/// The same plan with another priority: another plan, with another digest.
pub(super) async fn with_priority(
    client: &Client,
    plan: &CheckedPlan,
    priority: i32,
) -> Result<CheckedPlan, CliError> {
    let plan = deadelus_core::Plan { priority, ..plan.plan().clone() };
    CheckedPlan::check(plan, &client.cards().await?).map_err(refused)
}

/// Makes the plan, or says why there is none.
pub(crate) async fn make(client: &Client, wish: &Wish) -> Result<(CheckedPlan, Origin), CliError> {
    let plan_file = match &wish.file {
        Some(file) => std::fs::read_to_string(file).map_err(CliError::file("read", file))?,
        None => String::new(),
    };
    let request = pb::PlanRequest {
        request: wish.request.clone().unwrap_or_default(),
        target: wish.target.clone().unwrap_or_default(),
        blueprint: wish.blueprint.clone().unwrap_or_default(),
        params: wish.params.iter().cloned().collect(),
        plan_file,
        draft: wish.draft.clone().unwrap_or_default(),
        answers: HashMap::new(),
    };
    ask(client, &request).await
}

/// The planner's answer to a question.
pub(super) async fn ask(
    client: &Client,
    request: &pb::PlanRequest,
) -> Result<(CheckedPlan, Origin), CliError> {
    let answer: pb::PlanAnswer = client.ask(Api::Plan, request).await?;
    match answer.result {
        Some(plan_answer::Result::Proposal(proposal)) => {
            let plan = CheckedPlan::from_json(&proposal.plan_json).map_err(refused)?;
            let origin = Origin {
                blueprint: proposal.blueprint,
                because: proposal.because,
                confidence: proposal.confidence,
            };
            Ok((plan, origin))
        }
        Some(plan_answer::Result::NeedsAnswers(needs)) => Err(CliError::NeedsAnswers(needs)),
        Some(plan_answer::Result::NoPlan(no_plan)) => {
            let mut problems = no_plan.problems;
            problems.extend(no_plan.nearest.iter().map(near));
            let own = !request.plan_file.is_empty() || !request.draft.is_empty();
            Err(if own { CliError::BadPlan(problems) } else { CliError::NoPlan(problems) })
        }
        None => Err(CliError::NoPlan(vec!["the orchestrator's answer is empty".to_owned()])),
    }
}

fn refused(problems: Problems) -> CliError {
    CliError::BadPlan(problems.iter().map(ToString::to_string).collect())
}

fn near(near: &pb::BlueprintMatch) -> String {
    let sure = near.confidence * 100.0;
    let because = if near.because.is_empty() { "" } else { ": " };
    format!(
        "nearest is {} ({sure:.0} % sure{because}{}): {}",
        near.blueprint, near.because, near.title
    )
}
