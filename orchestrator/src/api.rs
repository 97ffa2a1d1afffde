//! What people's programs ask by request and reply: a plan for a wish.

use std::{collections::HashMap, sync::Arc};

use async_nats::service::{Request, Service, ServiceExt as _};
use deadelus_mesh::{Mesh, names, trace};
use deadelus_proto::{
    Subject,
    pb::{self, plan_answer::Result as Answered},
    subject::Api,
};
use futures_util::StreamExt as _;
use prost::Message as _;

use crate::{
    cards::Cards,
    planner::{self, NoPlan, Proposal, Wish, blueprint::Blueprint},
};

/// Registers the orchestrator as a NATS micro service and answers until the service is dropped.
pub(crate) async fn serve(
    mesh: &Mesh,
    owner: &str,
    cards: Cards,
    blueprints: Vec<Blueprint>,
) -> anyhow::Result<Service> {
    let service = mesh
        .client
        .service_builder()
        .description("Deadelus orchestrator")
        .metadata(HashMap::from([("instance".to_owned(), owner.to_owned())]))
        .start("deadelus-orchestrator", env!("CARGO_PKG_VERSION"))
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let mut questions = service
        .endpoint_builder()
        .name("plan")
        .add(mesh.subjects.of(&Subject::Api(Api::Plan)))
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let blueprints = Arc::new(blueprints);
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let answer = answer(&question, &blueprints, &cards);
            if let Err(error) = question.respond(Ok(answer.encode_to_vec().into())).await {
                tracing::debug!(%error, "nobody waits for the plan any more");
            }
        }
    });
    Ok(service)
}

fn answer(question: &Request, blueprints: &[Blueprint], cards: &Cards) -> pb::PlanAnswer {
    let span = tracing::info_span!(
        "plan",
        otel.kind = "server",
        { names::GEN_AI_OPERATION_NAME } = "plan",
        { names::TARGET } = tracing::field::Empty,
    );
    if let Some(headers) = &question.message.headers {
        trace::set_parent(&span, headers);
    }
    span.in_scope(|| {
        let planned = parse(&question.message.payload).and_then(|wish| {
            span.record(names::TARGET, wish.target.as_str());
            planner::plan(&wish, blueprints, &cards.all())
        });
        pb::PlanAnswer { result: Some(planned.map_or_else(refused, proposed)) }
    })
}

fn parse(bytes: &[u8]) -> Result<Wish, NoPlan> {
    let wrong = |problem: String| NoPlan::Params(vec![problem]);
    let request = pb::PlanRequest::decode(bytes).map_err(|e| wrong(e.to_string()))?;
    Ok(Wish {
        request: request.request,
        target: request.target.parse().map_err(|e| wrong(format!("{e}")))?,
        blueprint: (!request.blueprint.is_empty()).then_some(request.blueprint),
        params: request.params.into_iter().collect(),
    })
}

fn proposed(proposal: Proposal) -> Answered {
    Answered::Proposal(pb::PlanProposal {
        plan_json: proposal.plan.json().to_owned().into(),
        plan_digest: proposal.plan.digest().to_string(),
        blueprint: proposal.blueprint,
        because: proposal.fit.because,
        confidence: proposal.fit.confidence,
    })
}

fn refused(reason: NoPlan) -> Answered {
    let problems = match &reason {
        NoPlan::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
        NoPlan::Params(problems) => problems.clone(),
        NoPlan::Unmatched { .. } | NoPlan::Unknown { .. } => vec![reason.to_string()],
    };
    let nearest = match reason {
        NoPlan::Unmatched { nearest } => nearest,
        NoPlan::Problems(_) | NoPlan::Params(_) | NoPlan::Unknown { .. } => vec![],
    };
    Answered::NoPlan(pb::NoPlan {
        problems,
        nearest: nearest
            .into_iter()
            .map(|(blueprint, title, fit)| pb::BlueprintMatch {
                blueprint,
                title,
                confidence: fit.confidence,
                because: fit.because,
            })
            .collect(),
    })
}
