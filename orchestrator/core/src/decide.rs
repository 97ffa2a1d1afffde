//! The decision: a fact from outside comes in, the events that follow from it go out.
//!
//! Two steps, always the same: what the fact itself means (this file), then everything that follows
//! from the state it leads to, until nothing more follows (`follow.rs`). The first step knows what
//! people and specialists may say; the second knows nothing of inputs at all, so recovery, undo and
//! the happy path are one code.

use std::sync::Arc;

use deadelus_proto::{
    Direction, Done, Failure, News, Report, Sha256, TaskId, TaskKey, Undo, WorkflowId,
};

use crate::{
    command::Command,
    event::{Attempt, Ending, Event, Gate, TakeBackCause, Told},
    follow,
    fork::Fork,
    person,
    plan::{CheckedPlan, CheckedTask},
    workflow::{EffectState, Impossible, Progress, Shared, TaskState, TaskStatus, Workflow},
};

/// A fact from outside. Everything a workflow learns is one of these.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A plan is to be executed.
    Start {
        /// The id the workflow will have.
        workflow: WorkflowId,
        /// What is to be executed.
        plan: Arc<CheckedPlan>,
        /// The digest that the sender saw.
        digest: Sha256,
        /// Who sends it.
        submitted_by: String,
        /// W3C traceparent of the root; may be empty.
        traceparent: String,
        /// What it keeps of an earlier workflow.
        fork: Option<Fork>,
        /// What is shared between workflows now.
        shared: Shared,
    },
    /// A specialist speaks.
    Report(Box<Report>),
    /// A person has looked.
    DecideGate {
        /// What waits.
        gate: Gate,
        /// What the person says.
        approve: bool,
        /// The digest of the plan the person saw.
        digest: Sha256,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wants somebody else to answer at a gate.
    DelegateGate {
        /// What waits.
        gate: Gate,
        /// Who is to answer, and nobody else.
        to: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wants it stopped and taken back.
    Cancel {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wants a finished workflow taken back.
    Undo {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wants the failed undos tried again.
    RetryStuck {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person has taken a task back by hand.
    ResolveStuck {
        /// Which.
        task: TaskId,
        /// Who.
        by: String,
        /// How.
        reason: String,
    },
    /// A person wants nothing more to start; what is in flight finishes.
    Pause {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wants it to go on, and what is held to be tried again.
    Resume {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person wants a task tried again whose tries are used up, or at once.
    RetryTask {
        /// Which.
        task: TaskId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person goes on without a task.
    SkipTask {
        /// Which.
        task: TaskId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// All the slots are there that a task waits for.
    SlotsHeld {
        /// The try that will start.
        attempt: Attempt,
        /// What names the wait.
        ticket: u64,
    },
    /// Time has passed.
    Tick,
}

impl Input {
    /// The person who decides, where it is a person's decision about what has begun.
    fn by(&self) -> Option<&str> {
        match self {
            Self::DecideGate { by, .. }
            | Self::DelegateGate { by, .. }
            | Self::Cancel { by, .. }
            | Self::Undo { by, .. }
            | Self::RetryStuck { by, .. }
            | Self::ResolveStuck { by, .. }
            | Self::Pause { by, .. }
            | Self::Resume { by, .. }
            | Self::RetryTask { by, .. }
            | Self::SkipTask { by, .. } => Some(by),
            Self::Start { .. } | Self::Report(_) | Self::SlotsHeld { .. } | Self::Tick => None,
        }
    }
}

/// Why an input was not accepted, for the person or program that sent it. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Refusal {
    #[error("there is no such workflow; it may have been purged")]
    UnknownWorkflow,
    #[error("workflow {0} exists already, with another plan; choose another id")]
    AlreadyStarted(WorkflowId),
    #[error("you saw plan {seen}, but this is plan {actual}; look at it again")]
    WrongDigest { seen: Sha256, actual: Sha256 },
    #[error("gate {0} does not wait for anybody")]
    GateNotOpen(Gate),
    #[error("gate {gate} has been {} by {by}", if *approved { "approved" } else { "rejected" })]
    GateDecided { gate: Gate, approved: bool, by: String },
    #[error("gate {gate} asks {asks}: they answer, or somebody delegates it")]
    AsksOther { gate: Gate, asks: String },
    #[error("the workflow has ended: {0}")]
    Ended(Ending),
    #[error("the workflow has not ended; cancel it instead")]
    NotEnded,
    #[error("the workflow is being taken back already")]
    BeingTakenBack,
    #[error("no undo of this workflow has failed")]
    NothingStuck,
    #[error("the undo of task {0} has not failed")]
    NotStuck(TaskId),
    #[error("the workflow is not paused")]
    NotPaused,
    #[error("task {task} is {status}: only one that is held or between two tries is tried again")]
    NotToBeRetried { task: TaskId, status: TaskStatus },
    #[error(
        "task {task} is {status}: only one that waits, is held or is between two tries is skipped"
    )]
    NotToBeSkipped { task: TaskId, status: TaskStatus },
    #[error("task {task} cannot be skipped: {reader} reads what it gives, and has nothing instead")]
    Needed { task: TaskId, reader: TaskId },
    #[error("the result of {task} cannot be kept: {why}")]
    BadFork { task: TaskId, why: String },
    #[error("say who you are: a log says who decided")]
    Nameless,
    #[error("the plan has no task {0}")]
    UnknownTask(TaskId),
    #[error("the report is for workflow {0}")]
    OtherWorkflow(WorkflowId),
    #[error("{0} was never asked for")]
    NeverAsked(TaskKey),
    #[error("task {task} is done by {does} and cannot be taken back by {undo}")]
    ForeignUndo { task: TaskId, does: String, undo: String },
    #[error("an undo has no undo of its own: {0}")]
    UndoOfUndo(TaskKey),
    #[error("the decision contradicts itself")]
    Impossible(#[from] Impossible),
}

/// A decision, with what the shell is to do once the log has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// When it was decided, in milliseconds since the epoch: never before the last decision.
    pub at_unix_ms: i64,
    /// What happened; empty when the input was no news.
    pub events: Vec<Event>,
    /// What was not to be done before. After a crash ask [`Workflow::outstanding`] instead.
    pub commands: Vec<Command>,
}

/// What follows from an input. Empty when it is no news.
///
/// # Errors
/// [`Refusal`] when the input is not acceptable now.
pub fn decide(
    workflow: Option<&Workflow>,
    input: Input,
    now_ms: i64,
) -> Result<Vec<Event>, Refusal> {
    draft(workflow, input, now_ms).map(|draft| draft.events)
}

/// [`decide`], and the state moved on.
///
/// # Errors
/// [`Refusal`] when the input is not acceptable now; then the state has not changed.
pub fn step(state: &mut Option<Workflow>, input: Input, now_ms: i64) -> Result<Step, Refusal> {
    let before = state.as_ref().map(Workflow::outstanding).unwrap_or_default();
    let Draft { workflow, events, at_unix_ms } = draft(state.as_ref(), input, now_ms)?;
    let mut commands = workflow.outstanding();
    commands.retain(|command| !before.contains(command));
    *state = Some(workflow);
    Ok(Step { at_unix_ms, events, commands })
}

/// A workflow as it will be, with the events that lead there.
pub(crate) struct Draft {
    pub(crate) workflow: Workflow,
    pub(crate) events: Vec<Event>,
    pub(crate) at_unix_ms: i64,
}

impl Draft {
    pub(crate) fn push(&mut self, event: Event) -> Result<(), Impossible> {
        self.workflow.apply(&event, self.at_unix_ms)?;
        self.events.push(event);
        Ok(())
    }
}

pub(crate) fn draft(
    workflow: Option<&Workflow>,
    input: Input,
    now_ms: i64,
) -> Result<Draft, Refusal> {
    let mut draft = match (workflow, input) {
        (
            None,
            Input::Start { workflow, plan, digest, submitted_by, traceparent, fork, shared },
        ) => {
            if *plan.digest() != digest {
                return Err(Refusal::WrongDigest { seen: digest, actual: plan.digest().clone() });
            }
            fork.as_ref().map_or(Ok(()), |fork| fork.check(&plan))?;
            let forked_from = fork.as_ref().map(|fork| fork.origin.clone());
            let event = Event::Accepted { plan, submitted_by, traceparent, forked_from, shared };
            let workflow = Workflow::begin(workflow, &event, now_ms)?;
            let mut draft = Draft { workflow, events: vec![event], at_unix_ms: now_ms };
            for (task, result) in fork.into_iter().flat_map(|fork| fork.results) {
                draft.push(Event::TaskInherited { task, result })?;
            }
            draft
        }
        (None, _) => return Err(Refusal::UnknownWorkflow),
        (Some(workflow), input) => {
            let at_unix_ms = workflow.moment(now_ms);
            let mut draft = Draft { workflow: workflow.clone(), events: vec![], at_unix_ms };
            take(&mut draft, input)?;
            draft
        }
    };
    follow::follow(&mut draft)?;
    Ok(draft)
}

/// What an input itself means.
fn take(draft: &mut Draft, input: Input) -> Result<(), Refusal> {
    if input.by() == Some("") {
        return Err(Refusal::Nameless);
    }
    match input {
        Input::Start { plan, fork, .. } => {
            let origin = fork.as_ref().map(|fork| &fork.origin);
            let same = *plan == **draft.workflow.plan() && origin == draft.workflow.forked_from();
            let id = draft.workflow.id().clone();
            if same { Ok(()) } else { Err(Refusal::AlreadyStarted(id)) }
        }
        Input::Report(report) => take_report(draft, *report),
        Input::DecideGate { gate, approve, digest, by, reason } => {
            person::gate(draft, gate, approve, digest, by, reason)
        }
        Input::DelegateGate { gate, to, by, reason } => {
            person::delegate(draft, gate, to, by, reason)
        }
        Input::Cancel { by, reason } => person::take_back(draft, TakeBackCause::Cancel, by, reason),
        Input::Undo { by, reason } => person::take_back(draft, TakeBackCause::Undo, by, reason),
        Input::RetryStuck { by, reason } => person::retry_stuck(draft, by, reason),
        Input::ResolveStuck { task, by, reason } => person::resolve(draft, task, by, reason),
        Input::Pause { by, reason } => person::pause(draft, by, reason),
        Input::Resume { by, reason } => person::resume(draft, by, reason),
        Input::RetryTask { task, by, reason } => person::retry(draft, task, by, reason),
        Input::SkipTask { task, by, reason } => person::skip(draft, task, by, reason),
        Input::SlotsHeld { attempt, ticket } => {
            // Who has gone on since has no use for them.
            let start = draft.workflow.awaited(&attempt, ticket);
            let event = start.map(|at| follow::start(draft, at, attempt.direction));
            Ok(event.map_or(Ok(()), |event| draft.push(event))?)
        }
        Input::Tick => Ok(take_tick(draft)?),
    }
}

/// Attempts and gates whose deadline has passed.
fn take_tick(draft: &mut Draft) -> Result<(), Impossible> {
    let mut late = Vec::new();
    for (spec, task) in draft.workflow.tasks() {
        for (direction, number, in_flight) in task.in_flight() {
            if in_flight.deadline_unix_ms <= draft.at_unix_ms {
                late.push(Attempt { task: spec.id.clone(), direction, number });
            }
        }
    }
    late.into_iter().try_for_each(|attempt| draft.push(Event::TaskTimedOut { attempt }))?;
    let at = draft.at_unix_ms;
    let unanswered = draft.workflow.gate_deadlines().filter(|(_, deadline)| *deadline <= at);
    let unanswered: Vec<Gate> = unanswered.map(|(gate, _)| gate.clone()).collect();
    unanswered.into_iter().try_for_each(|gate| person::unanswered(draft, gate))
}

fn take_report(draft: &mut Draft, report: Report) -> Result<(), Refusal> {
    let Report { key, instance, begun_unix_ms, reported_unix_ms, deliveries, news } = report;
    if key.workflow != *draft.workflow.id() {
        return Err(Refusal::OtherWorkflow(key.workflow));
    }
    let found = draft.workflow.task(&key.task);
    let (spec, task) = found.ok_or_else(|| Refusal::UnknownTask(key.task.clone()))?;
    let asked = match key.direction {
        Direction::Do => task.attempt,
        Direction::Undo => task.undo_attempt,
    };
    if !(1..=asked).contains(&key.attempt) {
        return Err(Refusal::NeverAsked(key));
    }
    let told = Told { instance, begun_unix_ms, reported_unix_ms, deliveries };
    // Said again with what was done, in case the record itself was overtaken.
    if let (Direction::Do, News::Done(Done { undo: Some(undo), .. })) = (key.direction, &news)
        && task.undo.is_none()
        && let Some(record) = recorded(spec, task, &key, undo.clone(), &told)?
    {
        draft.push(record)?;
    }
    let found = draft.workflow.task(&key.task);
    let (spec, task) = found.ok_or_else(|| Refusal::UnknownTask(key.task.clone()))?;
    let event = match (key.direction, news) {
        (Direction::Do, News::UndoRecorded(undo)) => recorded(spec, task, &key, undo, &told)?,
        (Direction::Do, News::Done(done)) => done_event(spec, task, key, done, told),
        (Direction::Do, News::Failed(failure)) => failed_event(spec, task, key, failure, told),
        (Direction::Undo, News::UndoRecorded(_)) => return Err(Refusal::UndoOfUndo(key)),
        (Direction::Undo, News::Done(done)) => undone_event(task, key, done, told),
        (Direction::Undo, News::Failed(failure)) => undo_failed_event(task, key, failure, told),
    };
    Ok(event.map_or(Ok(()), |event| draft.push(event))?)
}

/// Everybody announces the effect with a way back; the first that was recorded is the true one.
fn recorded(
    spec: &CheckedTask,
    task: &TaskState,
    key: &TaskKey,
    undo: Undo,
    told: &Told,
) -> Result<Option<Event>, Refusal> {
    if undo.capability.specialist() != spec.does.specialist() {
        let (does, undo) = (spec.does.to_string(), undo.capability.to_string());
        return Err(Refusal::ForeignUndo { task: spec.id.clone(), does, undo });
    }
    let news = !task.has_announced(key.attempt, told) && spec.effect.changes();
    let (task, attempt) = (key.task.clone(), key.attempt);
    Ok(news.then(|| Event::UndoRecorded { task, attempt, undo, told: told.clone() }))
}

/// While nothing is decided, any attempt's success is the task's; afterwards it is a late effect.
fn done_event(
    spec: &CheckedTask,
    task: &TaskState,
    key: TaskKey,
    done: Done,
    told: Told,
) -> Option<Event> {
    match task.progress {
        Progress::Doing(_) | Progress::Again { .. } | Progress::Held(_) => {
            Some(Event::TaskDone { attempt: attempt(key), done: Arc::new(done), told })
        }
        Progress::Done(_) | Progress::Failed(_) | Progress::Skipped(_) => {
            late_effect(spec, task, key, told)
        }
        Progress::Waiting => None,
    }
}

/// The failure of an attempt that was given up matters only for what it left behind.
fn failed_event(
    spec: &CheckedTask,
    task: &TaskState,
    key: TaskKey,
    failure: Failure,
    told: Told,
) -> Option<Event> {
    if matches!(task.progress, Progress::Doing(_)) && key.attempt == task.attempt {
        return Some(Event::TaskFailed { attempt: attempt(key), failure, told });
    }
    let left = task.leaves_more(key.attempt, &told, failure.aftermath);
    if left { late_effect(spec, task, key, told) } else { None }
}

/// News only where the state does not already assume that the effect stands untouched.
fn late_effect(spec: &CheckedTask, task: &TaskState, key: TaskKey, told: Told) -> Option<Event> {
    let known = task.has_landed(key.attempt, &told) || task.effect == EffectState::Stands;
    let late = Event::LateEffect { task: key.task, attempt: key.attempt, told };
    (spec.effect.changes() && !known).then_some(late)
}

fn undone_event(task: &TaskState, key: TaskKey, done: Done, told: Told) -> Option<Event> {
    match task.effect {
        EffectState::Undoing(_) | EffectState::UndoAgain { .. } | EffectState::Stuck(_)
            if task.undo_counts(key.attempt) =>
        {
            Some(Event::TaskDone { attempt: attempt(key), done: Arc::new(done), told })
        }
        EffectState::None
        | EffectState::Stands
        | EffectState::Undoing(_)
        | EffectState::UndoAgain { .. }
        | EffectState::Undone(_)
        | EffectState::Stuck(_) => None,
    }
}

fn undo_failed_event(
    task: &TaskState,
    key: TaskKey,
    failure: Failure,
    told: Told,
) -> Option<Event> {
    let current =
        matches!(task.effect, EffectState::Undoing(_)) && key.attempt == task.undo_attempt;
    current.then(|| Event::TaskFailed { attempt: attempt(key), failure, told })
}

fn attempt(key: TaskKey) -> Attempt {
    Attempt { task: key.task, direction: key.direction, number: key.attempt }
}
