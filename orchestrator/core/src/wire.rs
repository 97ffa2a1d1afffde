//! Events to and from the messages of `log.proto`. The only file that knows both.

use std::sync::Arc;

use deadelus_proto::{Direction, Done, Failure, Malformed, TaskId, pb};
use pb::event::Kind;

use crate::{
    event::{Attempt, Ending, Event, Gate, TakeBackCause, Told},
    fork::{Fork, Kept, Origin},
    plan::CheckedPlan,
    workflow::Skip,
};

impl TryFrom<pb::Event> for Event {
    type Error = Malformed;

    fn try_from(event: pb::Event) -> Result<Self, Malformed> {
        match event.kind.ok_or_else(|| malformed("kind", "is missing"))? {
            Kind::Accepted(e) => accepted(e),
            Kind::GateOpened(e) => Ok(Self::GateOpened { gate: gate(&e.gate)?, reason: e.reason }),
            Kind::GateDecided(e) => {
                let gate = gate(&e.gate)?;
                Ok(Self::GateDecided { gate, approved: e.approved, by: e.by, reason: e.reason })
            }
            Kind::TaskRequested(e) => Ok(Self::TaskRequested {
                attempt: attempt(&e.task_id, e.direction, e.attempt)?,
                deadline_unix_ms: e.deadline_unix_ms,
            }),
            Kind::UndoRecorded(e) => {
                let undo = e.undo.ok_or_else(|| malformed("undo", "is missing"))?.try_into()?;
                Ok(Self::UndoRecorded { task: task(&e.task_id)?, attempt: e.attempt, undo })
            }
            Kind::TaskDone(e) => done(e),
            Kind::TaskFailed(e) => failed(e),
            Kind::TaskTimedOut(e) => {
                Ok(Self::TaskTimedOut { attempt: attempt(&e.task_id, e.direction, e.attempt)? })
            }
            Kind::RetryScheduled(e) => Ok(Self::RetryScheduled {
                attempt: attempt(&e.task_id, e.direction, e.attempt)?,
                not_before_unix_ms: e.not_before_unix_ms,
            }),
            Kind::TaskSkipped(e) => {
                Ok(Self::TaskSkipped { task: task(&e.task_id)?, by: e.by, reason: e.reason })
            }
            Kind::TaskHeld(e) => Ok(Self::TaskHeld { task: task(&e.task_id)?, reason: e.reason }),
            Kind::TaskRetried(e) => {
                Ok(Self::TaskRetried { task: task(&e.task_id)?, by: e.by, reason: e.reason })
            }
            Kind::TaskInherited(e) => {
                Ok(Self::TaskInherited { task: task(&e.task_id)?, result: inherited(e.result)? })
            }
            Kind::Paused(e) => Ok(Self::Paused { by: e.by, reason: e.reason }),
            Kind::Resumed(e) => Ok(Self::Resumed { by: e.by, reason: e.reason }),
            Kind::ScopeClosing(e) => Ok(Self::ScopeClosing { scope: e.scope, reason: e.reason }),
            Kind::ScopeClosed(e) => Ok(Self::ScopeClosed { scope: e.scope }),
            Kind::TakeBackOrdered(e) => {
                Ok(Self::TakeBackOrdered { cause: cause(e.cause)?, by: e.by, reason: e.reason })
            }
            Kind::LateEffect(e) => {
                Ok(Self::LateEffect { task: task(&e.task_id)?, attempt: e.attempt })
            }
            Kind::StuckRetried(e) => Ok(Self::StuckRetried { by: e.by, reason: e.reason }),
            Kind::StuckResolved(e) => {
                Ok(Self::StuckResolved { task: task(&e.task_id)?, by: e.by, reason: e.reason })
            }
            Kind::Ended(e) => Ok(Self::Ended { ending: ending(e.ending)?, reason: e.reason }),
        }
    }
}

impl From<Event> for pb::Event {
    fn from(event: Event) -> Self {
        Self { kind: Some(kind(event)) }
    }
}

fn kind(event: Event) -> Kind {
    match event {
        Event::Accepted { plan, submitted_by, traceparent, forked_from } => {
            Kind::Accepted(pb::Accepted {
                plan_json: plan.json().to_owned().into(),
                plan_digest: plan.digest().to_string(),
                submitted_by,
                traceparent,
                forked_from: forked_from.map(Into::into),
            })
        }
        Event::GateOpened { gate, reason } => {
            Kind::GateOpened(pb::GateOpened { gate: gate.to_string(), reason })
        }
        Event::GateDecided { gate, approved, by, reason } => {
            Kind::GateDecided(pb::GateDecided { gate: gate.to_string(), approved, by, reason })
        }
        Event::TaskRequested { attempt: a, deadline_unix_ms } => {
            let (task_id, direction, attempt) = a.into();
            Kind::TaskRequested(pb::TaskRequested { task_id, direction, attempt, deadline_unix_ms })
        }
        Event::UndoRecorded { task, attempt, undo } => {
            let undo = Some(undo.into());
            Kind::UndoRecorded(pb::UndoRecorded { task_id: task.into(), attempt, undo })
        }
        Event::TaskDone { attempt, done, told } => Kind::TaskDone(done_to_pb(attempt, &done, told)),
        Event::TaskFailed { attempt, failure, told } => {
            Kind::TaskFailed(failed_to_pb(attempt, failure, told))
        }
        Event::TaskTimedOut { attempt: a } => {
            let (task_id, direction, attempt) = a.into();
            Kind::TaskTimedOut(pb::TaskTimedOut { task_id, direction, attempt })
        }
        Event::RetryScheduled { attempt: a, not_before_unix_ms: at } => {
            let (task_id, direction, attempt) = a.into();
            let not_before_unix_ms = at;
            let retry = pb::RetryScheduled { task_id, direction, attempt, not_before_unix_ms };
            Kind::RetryScheduled(retry)
        }
        Event::TaskSkipped { task, by, reason } => {
            Kind::TaskSkipped(pb::TaskSkipped { task_id: task.into(), by, reason })
        }
        Event::TaskHeld { task, reason } => {
            Kind::TaskHeld(pb::TaskHeld { task_id: task.into(), reason })
        }
        Event::TaskRetried { task, by, reason } => {
            Kind::TaskRetried(pb::TaskRetried { task_id: task.into(), by, reason })
        }
        Event::TaskInherited { task, result } => {
            let result = Some(inherited_to_pb(result));
            Kind::TaskInherited(pb::TaskInherited { task_id: task.into(), result })
        }
        Event::Paused { by, reason } => Kind::Paused(pb::Paused { by, reason }),
        Event::Resumed { by, reason } => Kind::Resumed(pb::Resumed { by, reason }),
        Event::ScopeClosing { scope, reason } => {
            Kind::ScopeClosing(pb::ScopeClosing { scope, reason })
        }
        Event::ScopeClosed { scope } => Kind::ScopeClosed(pb::ScopeClosed { scope }),
        Event::TakeBackOrdered { cause, by, reason } => {
            let cause = cause_to_pb(cause).into();
            Kind::TakeBackOrdered(pb::TakeBackOrdered { cause, by, reason })
        }
        Event::LateEffect { task, attempt } => {
            Kind::LateEffect(pb::LateEffect { task_id: task.into(), attempt })
        }
        Event::StuckRetried { by, reason } => Kind::StuckRetried(pb::StuckRetried { by, reason }),
        Event::StuckResolved { task, by, reason } => {
            Kind::StuckResolved(pb::StuckResolved { task_id: task.into(), by, reason })
        }
        Event::Ended { ending, reason } => {
            Kind::Ended(pb::Ended { ending: ending_to_pb(ending).into(), reason })
        }
    }
}

impl From<Attempt> for (String, i32, u32) {
    fn from(a: Attempt) -> Self {
        (a.task.into(), a.direction.to_pb().into(), a.number)
    }
}

fn accepted(e: pb::Accepted) -> Result<Event, Malformed> {
    let plan = CheckedPlan::from_json(&e.plan_json).map_err(|e| malformed("plan_json", e))?;
    if plan.digest().as_str() != e.plan_digest {
        return Err(malformed("plan_digest", "is not the digest of the plan"));
    }
    let (submitted_by, traceparent) = (e.submitted_by, e.traceparent);
    let forked_from = e.forked_from.map(Origin::try_from).transpose()?;
    Ok(Event::Accepted { plan: Arc::new(plan), submitted_by, traceparent, forked_from })
}

impl TryFrom<pb::ForkOrigin> for Origin {
    type Error = Malformed;

    fn try_from(e: pb::ForkOrigin) -> Result<Self, Malformed> {
        let workflow = e.workflow_id.parse().map_err(|e| malformed("workflow_id", e))?;
        Ok(Self { workflow, task: task(&e.task_id)? })
    }
}

impl From<Origin> for pb::ForkOrigin {
    fn from(origin: Origin) -> Self {
        Self { workflow_id: origin.workflow.into(), task_id: origin.task.into() }
    }
}

fn inherited(result: Option<pb::task_inherited::Result>) -> Result<Kept, Malformed> {
    use pb::task_inherited::Result as Pb;
    match result.ok_or_else(|| malformed("result", "is missing"))? {
        Pb::Done(done) => Ok(Kept::Done(Arc::new(done.try_into()?))),
        Pb::Skipped(skip) => Ok(Kept::Skipped(Skip { by: skip.by, reason: skip.reason })),
    }
}

fn inherited_to_pb(result: Kept) -> pb::task_inherited::Result {
    use pb::task_inherited::Result as Pb;
    match result {
        Kept::Done(done) => Pb::Done((*done).clone().into()),
        Kept::Skipped(skip) => Pb::Skipped(pb::Skip { by: skip.by, reason: skip.reason }),
    }
}

impl TryFrom<pb::ForkWorkflow> for Fork {
    type Error = Malformed;

    fn try_from(fork: pb::ForkWorkflow) -> Result<Self, Malformed> {
        use pb::kept_result::Result as Pb;
        let result = |kept: pb::KeptResult| {
            let result = match kept.result.ok_or_else(|| malformed("result", "is missing"))? {
                Pb::Done(done) => Kept::Done(Arc::new(done.try_into()?)),
                Pb::Skipped(skip) => Kept::Skipped(Skip { by: skip.by, reason: skip.reason }),
            };
            Ok((task(&kept.task_id)?, result))
        };
        let workflow = fork.workflow_id.parse().map_err(|e| malformed("workflow_id", e))?;
        let origin = Origin { workflow, task: task(&fork.from_task_id)? };
        Ok(Self {
            origin,
            results: fork.results.into_iter().map(result).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Fork> for pb::ForkWorkflow {
    fn from(fork: Fork) -> Self {
        use pb::kept_result::Result as Pb;
        let result = |(task, kept): (TaskId, Kept)| pb::KeptResult {
            task_id: task.into(),
            result: Some(match kept {
                Kept::Done(done) => Pb::Done((*done).clone().into()),
                Kept::Skipped(skip) => Pb::Skipped(pb::Skip { by: skip.by, reason: skip.reason }),
            }),
        };
        Self {
            start: None,
            workflow_id: fork.origin.workflow.into(),
            from_task_id: fork.origin.task.into(),
            results: fork.results.into_iter().map(result).collect(),
        }
    }
}

fn done(e: pb::TaskDone) -> Result<Event, Malformed> {
    let done = e.done.ok_or_else(|| malformed("done", "is missing"))?;
    Ok(Event::TaskDone {
        attempt: attempt(&e.task_id, e.direction, e.attempt)?,
        done: Arc::new(done.try_into()?),
        told: Told {
            instance: e.instance,
            begun_unix_ms: e.begun_unix_ms,
            reported_unix_ms: e.reported_unix_ms,
            deliveries: e.deliveries,
        },
    })
}

fn done_to_pb(attempt: Attempt, done: &Done, told: Told) -> pb::TaskDone {
    let (task_id, direction, attempt) = attempt.into();
    pb::TaskDone {
        task_id,
        direction,
        attempt,
        done: Some(done.clone().into()),
        instance: told.instance,
        begun_unix_ms: told.begun_unix_ms,
        reported_unix_ms: told.reported_unix_ms,
        deliveries: told.deliveries,
    }
}

fn failed(e: pb::TaskFailed) -> Result<Event, Malformed> {
    let failure = e.failure.ok_or_else(|| malformed("failure", "is missing"))?;
    Ok(Event::TaskFailed {
        attempt: attempt(&e.task_id, e.direction, e.attempt)?,
        failure: failure.try_into()?,
        told: Told {
            instance: e.instance,
            begun_unix_ms: e.begun_unix_ms,
            reported_unix_ms: e.reported_unix_ms,
            deliveries: e.deliveries,
        },
    })
}

fn failed_to_pb(attempt: Attempt, failure: Failure, told: Told) -> pb::TaskFailed {
    let (task_id, direction, attempt) = attempt.into();
    pb::TaskFailed {
        task_id,
        direction,
        attempt,
        failure: Some(failure.into()),
        instance: told.instance,
        begun_unix_ms: told.begun_unix_ms,
        reported_unix_ms: told.reported_unix_ms,
        deliveries: told.deliveries,
    }
}

fn attempt(task_id: &str, direction: i32, number: u32) -> Result<Attempt, Malformed> {
    if number == 0 {
        return Err(malformed("attempt", "counts from 1"));
    }
    Ok(Attempt { task: task(task_id)?, direction: Direction::from_pb(direction)?, number })
}

fn task(id: &str) -> Result<TaskId, Malformed> {
    id.parse().map_err(|e| malformed("task_id", e))
}

fn gate(text: &str) -> Result<Gate, Malformed> {
    text.parse().map_err(|e| malformed("gate", e))
}

fn cause(cause: i32) -> Result<TakeBackCause, Malformed> {
    match pb::TakeBackCause::try_from(cause) {
        Ok(pb::TakeBackCause::Failure) => Ok(TakeBackCause::Failure),
        Ok(pb::TakeBackCause::Cancel) => Ok(TakeBackCause::Cancel),
        Ok(pb::TakeBackCause::Undo) => Ok(TakeBackCause::Undo),
        Ok(pb::TakeBackCause::Unspecified) | Err(_) => Err(malformed("cause", "is missing")),
    }
}

fn cause_to_pb(cause: TakeBackCause) -> pb::TakeBackCause {
    match cause {
        TakeBackCause::Failure => pb::TakeBackCause::Failure,
        TakeBackCause::Cancel => pb::TakeBackCause::Cancel,
        TakeBackCause::Undo => pb::TakeBackCause::Undo,
    }
}

fn ending(ending: i32) -> Result<Ending, Malformed> {
    match pb::Ending::try_from(ending) {
        Ok(pb::Ending::Done) => Ok(Ending::Done),
        Ok(pb::Ending::Undone) => Ok(Ending::Undone),
        Ok(pb::Ending::Cancelled) => Ok(Ending::Cancelled),
        Ok(pb::Ending::Rejected) => Ok(Ending::Rejected),
        Ok(pb::Ending::Unspecified) | Err(_) => Err(malformed("ending", "is missing")),
    }
}

fn ending_to_pb(ending: Ending) -> pb::Ending {
    match ending {
        Ending::Done => pb::Ending::Done,
        Ending::Undone => pb::Ending::Undone,
        Ending::Cancelled => pb::Ending::Cancelled,
        Ending::Rejected => pb::Ending::Rejected,
    }
}

fn malformed(field: &'static str, problem: impl ToString) -> Malformed {
    Malformed { field, problem: problem.to_string() }
}
