//! What the mesh does with bytes before it believes them. Where its own function cannot be called
//! without a server, the same checked types are made in the same order.

#![expect(clippy::expect_used, reason = "test support: without blueprints there is no test")]

use std::{collections::BTreeMap, sync::LazyLock};

use deadelus_core::{
    Chain, CheckedPlan, Fork, Gap, Link, Plan,
    expr::{Expression, Facts, TaskFacts, Template},
};
use deadelus_orchestrator::planner::{self, NoPlan, Wish, lint, shelf};
use deadelus_proto::{
    Assignment, Malformed, Report, Sha256, SpecialistCard, Subjects, TaskId, TaskKey,
    pb::{self, inbound::Message as Said},
    subject::DEFAULT_PREFIX,
};
use prost::Message;
use serde_json::Value;

use crate::samples;

static SHELF: LazyLock<shelf::Shelf> =
    LazyLock::new(|| shelf::built_in().expect("blueprints that come with the program"));

type Read = Result<(), String>;

/// What reaches the orchestrator's inbox.
pub(crate) fn inbound(bytes: &[u8]) -> Read {
    let inbound: pb::Inbound = decode(bytes)?;
    match inbound.message.ok_or("an empty message")? {
        Said::Report(report) => {
            let report = Report::try_from(report).map_err(in_words)?;
            again(&report, |report| pb::TaskReport::from(report.clone()))
        }
        Said::Start(start) => start_of(&start),
        Said::Fork(mut fork) => {
            let start = fork.start.take().ok_or("a fork of no plan")?;
            Fork::try_from(fork).map_err(in_words)?;
            start_of(&start)
        }
        Said::DecideGate(decide) => {
            decide.gate.parse::<deadelus_core::Gate>().map_err(in_words)?;
            decide.plan_digest.parse::<Sha256>().map(drop).map_err(in_words)
        }
        Said::Delegate(delegate) => {
            delegate.gate.parse::<deadelus_core::Gate>().map(drop).map_err(in_words)
        }
        Said::Resolve(resolve) => task(&resolve.task_id),
        Said::RetryTask(retry) => task(&retry.task_id),
        Said::SkipTask(skip) => task(&skip.task_id),
        Said::Cancel(_) | Said::Undo(_) | Said::Retry(_) | Said::Pause(_) | Said::Resume(_) => {
            Ok(())
        }
    }
}

fn start_of(start: &pb::StartWorkflow) -> Read {
    start.plan_digest.parse::<Sha256>().map_err(in_words)?;
    let sent = CheckedPlan::from_json(&start.plan_json).map_err(in_words)?;
    CheckedPlan::check(sent.plan().clone(), &samples::cards()).map(drop).map_err(in_words)
}

fn task(id: &str) -> Read {
    id.parse::<TaskId>().map(drop).map_err(in_words)
}

/// What reaches a specialist.
pub(crate) fn assignment(bytes: &[u8]) -> Read {
    let assignment = decode::<pb::TaskAssignment>(bytes)?;
    let assignment = Assignment::try_from(assignment).map_err(in_words)?;
    again(&assignment, |assignment| pb::TaskAssignment::from(assignment.clone()))
}

/// What a worker says of itself every second.
pub(crate) fn heartbeat(bytes: &[u8]) -> Read {
    for task in decode::<pb::Heartbeat>(bytes)?.in_hand {
        TaskKey::from_pb(&task.workflow_id, &task.task_id, task.direction, task.attempt)
            .map_err(in_words)?;
    }
    Ok(())
}

/// What a specialist offers, and a plan that is judged by it.
pub(crate) fn card(bytes: &[u8]) -> Read {
    let card = SpecialistCard::try_from(decode::<pb::SpecialistCard>(bytes)?).map_err(in_words)?;
    let plan = Plan::read(samples::PLAN).map_err(in_words)?;
    CheckedPlan::check(plan, std::slice::from_ref(&card)).map_err(in_words)?;
    again(&card, |card| pb::SpecialistCard::from(card.clone()))
}

/// What a person asks for in words.
pub(crate) fn wish(bytes: &[u8]) -> Read {
    let request: pb::PlanRequest = decode(bytes)?;
    let wish = Wish {
        request: request.request,
        target: request.target.parse().map_err(in_words)?,
        blueprint: (!request.blueprint.is_empty()).then_some(request.blueprint),
        params: request.params.into_iter().collect(),
    };
    match planner::plan(&wish, &SHELF, &samples::cards()) {
        Ok(_) => Ok(()),
        // The samples' specialist has nothing that the built-in blueprints need.
        Err(NoPlan::Problems(problems)) if !problems.is_empty() => Ok(()),
        Err(no) => Err(in_words(no)),
    }
}

/// A blueprint of a person.
pub(crate) fn blueprint(bytes: &[u8]) -> Read {
    let text = text(bytes)?;
    let (_, problems) = lint::lint(text, &samples::cards());
    // The samples' specialist has nothing that it needs.
    match lint::read(text) {
        Ok(_) => Ok(()),
        Err(read) if problems.is_empty() => panic!("lint has nothing against {read}"),
        Err(_) => Err(in_words(problems)),
    }
}

/// A whole log, as every reader folds it.
pub(crate) fn log(bytes: &[u8]) -> Read {
    let log: pb::ExportedLog = decode(bytes)?;
    let mut chain = Chain::new(log.workflow_id.parse().map_err(in_words)?);
    for message in &log.decisions {
        if let Link::NeedsReconcile(gap) = chain.read(message.sequence, &message.decision) {
            return Err(in_words(Told(gap)));
        }
    }
    // Whatever was accepted can be gone on with.
    let workflow = chain.workflow().ok_or("an empty log")?;
    let _ = (workflow.status(), workflow.outstanding());
    Ok(())
}

/// A gap with its cause, as the log line has it.
struct Told(Gap);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        std::error::Error::source(&self.0).map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

/// Where a message came in.
pub(crate) fn subject(bytes: &[u8]) -> Read {
    let subjects = Subjects::new(DEFAULT_PREFIX).map_err(in_words)?;
    let text = text(bytes)?;
    let subject = subjects.parse(text).map_err(in_words)?;
    if subjects.of(&subject) == text { Ok(()) } else { panic!("{text:?} was read as {subject:?}") }
}

/// A plan file of a person.
pub(crate) fn plan(bytes: &[u8]) -> Read {
    let plan = Plan::read(text(bytes)?).map_err(in_words)?;
    let checked = CheckedPlan::check(plan, &samples::cards()).map_err(in_words)?;
    let back = CheckedPlan::from_json(checked.json().as_bytes()).map_err(in_words)?;
    assert_eq!(checked.digest(), back.digest(), "what was checked is not what is read back");
    Ok(())
}

/// A plan as it travels and as the log keeps it.
pub(crate) fn checked_plan(bytes: &[u8]) -> Read {
    CheckedPlan::from_json(bytes).map(drop).map_err(in_words)
}

/// An expression of a plan, read and evaluated; then the same text as an input with expressions.
pub(crate) fn expression(bytes: &[u8]) -> Read {
    let text = text(bytes)?;
    let params = samples::params();
    let done = samples::done();
    let id: TaskId = "look".parse().map_err(in_words)?;
    let known = TaskFacts { status: "done", done: Some(&done) };
    let facts = Facts {
        params: &params,
        request: "make it fast",
        target: "shop",
        tasks: BTreeMap::from([(&id, known)]),
    };
    let template = Template::read(&Value::String(format!("${{{text}}} and {text}")));
    if let Ok(template) = template {
        let _ = (template.names(), template.fill(&facts));
    }
    let expression = Expression::parse(text)?;
    let _ = expression.names();
    let value = expression.evaluate(&facts)?;
    assert_eq!(Ok(value), expression.evaluate(&facts), "twice the same");
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(in_words)
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, String> {
    M::decode(bytes).map_err(in_words)
}

/// What was read can be written, and is then read as the same.
fn again<T, M>(value: &T, write: impl Fn(&T) -> M) -> Read
where
    T: PartialEq + std::fmt::Debug + TryFrom<M, Error = Malformed>,
    M: Message + Default,
{
    let bytes = write(value).encode_to_vec();
    let back = T::try_from(decode(&bytes)?).map_err(in_words)?;
    assert_eq!(*value, back, "what was read is not what was written");
    Ok(())
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}
