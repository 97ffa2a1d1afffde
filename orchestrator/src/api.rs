//! What people's programs ask by request and reply: a plan for a wish, which requests are ready,
//! what is wrong with a file. Nothing is changed by asking.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_nats::{
    HeaderMap,
    service::{Request, Service, ServiceExt as _},
};
use deadelus_core::{CheckedPlan, Problems, plan::read_tree};
use deadelus_mesh::{Mesh, blocking, names, trace};
use deadelus_proto::{
    Subject,
    pb::{self, plan_answer::Result as Answered},
    subject::Api,
};
use futures_util::StreamExt as _;
use prost::{DecodeError, Message};
use serde_json::Value;
use tracing::Instrument as _;

use crate::{
    cards::Cards,
    drafts::Drafts,
    planner::{
        self, NoPlan, Proposal, Wish,
        blueprint::Blueprint,
        lint,
        outside::{self, Question, Reviewed},
        shelf::Shelf,
    },
};

/// What is known to whoever answers.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) cards: Cards,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) drafts: Drafts,
}

/// Registers the orchestrator as a NATS micro service and answers until the service is dropped.
pub(crate) async fn serve(mesh: &Mesh, owner: &str, desk: Desk) -> anyhow::Result<Service> {
    let service = mesh
        .client
        .service_builder()
        .description("Deadelus orchestrator")
        .metadata(HashMap::from([("instance".to_owned(), owner.to_owned())]))
        .start("deadelus-orchestrator", env!("CARGO_PKG_VERSION"))
        .await
        .map_err(anyhow::Error::from_boxed)?;
    let desk = Arc::new(desk);
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
        Api::Plan => Ok(desk.plan(headers, &question.message.payload).await.encode_to_vec()),
        Api::Blueprints => desk.blueprints(&question.message.payload),
        Api::Lint => desk.lint(&question.message.payload).await,
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
    async fn plan(&self, headers: Option<&HeaderMap>, question: &[u8]) -> pb::PlanAnswer {
        let span = tracing::info_span!(
            "plan",
            otel.kind = "server",
            { names::GEN_AI_OPERATION_NAME } = "plan",
            { names::TARGET } = tracing::field::Empty,
        );
        if let Some(headers) = headers {
            trace::set_parent(&span, headers);
        }
        let planned = async {
            let request = pb::PlanRequest::decode(question).map_err(|e| wrong(&e))?;
            match (request.draft.is_empty(), request.plan_file.is_empty()) {
                (false, _) => self.answer(&request).await,
                (true, false) => self.bring(request.plan_file).await,
                (true, true) => self.wish(request).await,
            }
        };
        let planned = planned.instrument(span).await;
        pb::PlanAnswer { result: Some(planned.unwrap_or_else(refused)) }
    }

    /// A plan for words.
    async fn wish(&self, request: pb::PlanRequest) -> Result<Answered, NoPlan> {
        let wish = Wish {
            request: request.request,
            target: request.target.parse().map_err(|e| wrong(&e))?,
            blueprint: (!request.blueprint.is_empty()).then_some(request.blueprint),
            params: request.params.into_iter().collect(),
        };
        tracing::Span::current().record(names::TARGET, wish.target.as_str());
        let (shelf, cards) = (Arc::clone(&self.shelf), self.cards.all());
        blocking(move || planner::plan(&wish, &shelf, &cards)).await.map(proposed)
    }

    /// A plan of somebody's own; it becomes a draft where something is left to ask.
    async fn bring(&self, text: String) -> Result<Answered, NoPlan> {
        let cards = self.cards.all();
        let read = move || -> Result<_, Problems> {
            let tree = read_tree(&text)?;
            let reviewed = outside::review(&tree, &cards)?;
            Ok((tree, reviewed))
        };
        let (tree, reviewed) = blocking(read).await.map_err(NoPlan::Problems)?;
        match reviewed {
            Reviewed::Whole(plan) => Ok(brought(&plan, "it was brought as a file")),
            Reviewed::Gaps(questions) => {
                let draft = self.drafts.keep(&tree).await.map_err(|e| wrong(&e))?;
                Ok(needs_answers(&draft, &tree, questions))
            }
        }
    }

    /// A draft, with more answers than before or none.
    async fn answer(&self, request: &pb::PlanRequest) -> Result<Answered, NoPlan> {
        let cards = self.cards.all();
        let draft = self.drafts.find(&request.draft).await.map_err(|e| wrong(&e))?;
        let answers: BTreeMap<_, _> = request.answers.clone().into_iter().collect();
        let before = draft.tree.clone();
        let read = move || -> Result<_, Problems> {
            let tree = outside::answered(before, &answers, &cards)?;
            let reviewed = outside::review(&tree, &cards)?;
            Ok((tree, reviewed))
        };
        let (tree, reviewed) = blocking(read).await.map_err(NoPlan::Problems)?;
        if tree != draft.tree {
            self.drafts.replace(&draft, &tree).await.map_err(|e| wrong(&e))?;
        }
        Ok(match reviewed {
            Reviewed::Whole(plan) => brought(&plan, &format!("draft {}, all answered", draft.id)),
            Reviewed::Gaps(questions) => needs_answers(&draft.id, &tree, questions),
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

    async fn lint(&self, question: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let text = pb::LintRequest::decode(question)?.text;
        let cards = self.cards.all();
        let (kind, problems) = blocking(move || lint::lint(&text, &cards)).await;
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

/// One sentence about the question itself.
fn wrong(problem: &dyn std::fmt::Display) -> NoPlan {
    NoPlan::Params(vec![problem.to_string()])
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

/// Its author has chosen it, so there is no doubt about that.
fn brought(plan: &CheckedPlan, because: &str) -> Answered {
    Answered::Proposal(pb::PlanProposal {
        plan_json: plan.json().to_owned().into(),
        plan_digest: plan.digest().to_string(),
        blueprint: String::new(),
        because: because.to_owned(),
        confidence: 1.0,
    })
}

fn needs_answers(draft: &str, tree: &Value, questions: Vec<Question>) -> Answered {
    let question = |Question { name, asks, .. }| pb::Question { name, asks };
    Answered::NeedsAnswers(pb::NeedsAnswers {
        draft: draft.to_owned(),
        title: tree["title"].as_str().unwrap_or_default().to_owned(),
        questions: questions.into_iter().map(question).collect(),
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
        NoPlan::Unmatched { nearest, .. } | NoPlan::Ambiguous { nearest } => nearest,
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
