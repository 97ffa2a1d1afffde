//! What people's programs ask by request and reply: a plan for a wish, which requests are ready,
//! what is wrong with a file. Nothing is changed by asking.

use std::{collections::HashMap, sync::Arc};

use async_nats::{
    HeaderMap,
    service::{Request, Service, ServiceExt as _},
};
use deadelus_mesh::{Mesh, names, trace};
use deadelus_proto::{
    Subject,
    pb::{self, plan_answer::Result as Answered},
    subject::Api,
};
use futures_util::StreamExt as _;
use prost::{DecodeError, Message};

use crate::{
    cards::Cards,
    planner::{self, NoPlan, Proposal, Wish, blueprint::Blueprint, lint, shelf::Shelf},
};

/// What is known to whoever answers.
#[derive(Debug)]
struct Desk {
    cards: Cards,
    shelf: Shelf,
}

/// Registers the orchestrator as a NATS micro service and answers until the service is dropped.
pub(crate) async fn serve(
    mesh: &Mesh,
    owner: &str,
    cards: Cards,
    shelf: Shelf,
) -> anyhow::Result<Service> {
    let service = mesh
        .client
        .service_builder()
        .description("Deadelus orchestrator")
        .metadata(HashMap::from([("instance".to_owned(), owner.to_owned())]))
        .start("deadelus-orchestrator", env!("CARGO_PKG_VERSION"))
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let desk = Arc::new(Desk { cards, shelf });
    for api in Api::ALL {
        let mut questions = service
            .endpoint_builder()
            .name(api.as_str())
            .add(mesh.subjects.of(&Subject::Api(api)))
            .await
            .map_err(anyhow::Error::from_boxed)?;
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                reply(&desk, api, &question).await;
            }
        });
    }
    Ok(service)
}

async fn reply(desk: &Desk, api: Api, question: &Request) {
    let headers = question.message.headers.as_ref();
    let answered = match api {
        Api::Plan => Ok(desk.plan(headers, &question.message.payload).encode_to_vec()),
        Api::Blueprints => desk.blueprints(&question.message.payload),
        Api::Lint => desk.lint(&question.message.payload),
    };
    let answer = answered.map(Into::into).map_err(|error| async_nats::service::error::Error {
        code: BAD_QUESTION,
        status: error.to_string(),
    });
    if let Err(error) = question.respond(answer).await {
        tracing::debug!(%error, api = api.as_str(), "nobody waits for the answer any more");
    }
}

/// What is no question, as the service protocol of NATS numbers it.
const BAD_QUESTION: usize = 400;

impl Desk {
    fn plan(&self, headers: Option<&HeaderMap>, question: &[u8]) -> pb::PlanAnswer {
        let span = tracing::info_span!(
            "plan",
            otel.kind = "server",
            { names::GEN_AI_OPERATION_NAME } = "plan",
            { names::TARGET } = tracing::field::Empty,
        );
        if let Some(headers) = headers {
            trace::set_parent(&span, headers);
        }
        span.in_scope(|| {
            let planned = parse(question).and_then(|wish| {
                span.record(names::TARGET, wish.target.as_str());
                planner::plan(&wish, &self.shelf, &self.cards.all())
            });
            pb::PlanAnswer { result: Some(planned.map_or_else(refused, proposed)) }
        })
    }

    fn blueprints(&self, question: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let name = pb::BlueprintsRequest::decode(question)?.name;
        let wanted = |b: &&Blueprint| name.is_empty() || b.blueprint == name;
        let card = |b: &Blueprint| pb::BlueprintCard {
            name: b.blueprint.clone(),
            title: b.title.clone(),
            source: b.source.clone(),
            json: if name.is_empty() { vec![] } else { json(b) }.into(),
        };
        let blueprints = self.shelf.values().filter(wanted).map(card).collect();
        Ok(pb::BlueprintsAnswer { blueprints }.encode_to_vec())
    }

    fn lint(&self, question: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let text = pb::LintRequest::decode(question)?.text;
        let (kind, problems) = lint::lint(&text, &self.cards.all());
        let problem = |problem: &deadelus_core::Problem| pb::PlanProblem {
            place: problem.place.clone(),
            what: problem.what.clone(),
        };
        let kind = match kind {
            lint::Kind::Blueprint => "blueprint",
            lint::Kind::Plan => "plan",
        };
        let problems = problems.iter().map(problem).collect();
        Ok(pb::LintAnswer { kind: kind.to_owned(), problems }.encode_to_vec())
    }
}

/// A value of ours always has a text.
fn json(blueprint: &Blueprint) -> Vec<u8> {
    serde_json::to_vec(blueprint).unwrap_or_default()
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
        NoPlan::Unmatched { .. } | NoPlan::Ambiguous { .. } | NoPlan::Unknown { .. } => {
            vec![reason.to_string()]
        }
    };
    let nearest = match reason {
        NoPlan::Unmatched { nearest } | NoPlan::Ambiguous { nearest } => nearest,
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
