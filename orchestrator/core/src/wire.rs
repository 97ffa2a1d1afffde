//! Events to and from the messages of `log.proto`. Only this file and those below it know both.

mod fork;

use std::sync::Arc;

use deadelus_proto::{Direction, Done, Failure, Malformed, TaskId, Undo, pb};
use pb::event::Kind;

use crate::{
    event::{Attempt, Ending, Event, Gate, TakeBackCause, Told},
    fork::Origin,
    plan::CheckedPlan,
    workflow::Shared,
};

impl TryFrom<pb::Event> for Event {
    type Error = Malformed;

    fn try_from(event: pb::Event) -> Result<Self, Malformed> {
        match event.kind.ok_or_else(|| malformed("kind", "is missing"))? {
            Kind::Accepted(e) => accepted(e),
            Kind::GateOpened(e) => Ok(Self::GateOpened {
                gate: gate(&e.gate)?,
                reason: e.reason,
                asks: e.asks,
                deadline_unix_ms: deadline(e.deadline_unix_ms),
            }),
            Kind::GateDelegated(e) => Ok(Self::GateDelegated {
                gate: gate(&e.gate)?,
                to: e.to,
                by: e.by,
                reason: e.reason,
                deadline_unix_ms: deadline(e.deadline_unix_ms),
            }),
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
                let told = Told {
                    instance: e.instance,
                    begun_unix_ms: e.begun_unix_ms,
                    reported_unix_ms: e.reported_unix_ms,
                    deliveries: e.deliveries,
                };
                Ok(Self::UndoRecorded { task: task(&e.task_id)?, attempt: e.attempt, undo, told })
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
                Ok(Self::TaskInherited { task: task(&e.task_id)?, result: fork::kept(e.result)? })
            }
            Kind::Paused(e) => Ok(Self::Paused { by: e.by, reason: e.reason }),
            Kind::Resumed(e) => Ok(Self::Resumed { by: e.by, reason: e.reason }),
            Kind::ScopeClosing(e) => Ok(Self::ScopeClosing { scope: e.scope, reason: e.reason }),
            Kind::ScopeClosed(e) => Ok(Self::ScopeClosed { scope: e.scope }),
            Kind::TakeBackOrdered(e) => {
                Ok(Self::TakeBackOrdered { cause: cause(e.cause)?, by: e.by, reason: e.reason })
            }
            Kind::SlotsAwaited(e) => {
                Ok(Self::SlotsAwaited { attempt: attempt(&e.task_id, e.direction, e.attempt)? })
            }
            Kind::LateEffect(e) => late_effect(e),
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
        Event::Accepted { plan, submitted_by, traceparent, forked_from, shared } => {
            Kind::Accepted(accepted_to_pb(&plan, submitted_by, traceparent, forked_from, shared))
        }
        Event::SlotsAwaited { attempt } => Kind::SlotsAwaited(slots_to_pb(attempt)),
        Event::GateOpened { gate, reason, asks, deadline_unix_ms } => {
            let (gate, deadline_unix_ms) = (gate.to_string(), deadline_unix_ms.unwrap_or_default());
            Kind::GateOpened(pb::GateOpened { gate, reason, asks, deadline_unix_ms })
        }
        Event::GateDelegated { gate, to, by, reason, deadline_unix_ms } => {
            let (gate, deadline_unix_ms) = (gate.to_string(), deadline_unix_ms.unwrap_or_default());
            Kind::GateDelegated(pb::GateDelegated { gate, to, by, reason, deadline_unix_ms })
        }
        Event::GateDecided { gate, approved, by, reason } => {
            Kind::GateDecided(pb::GateDecided { gate: gate.to_string(), approved, by, reason })
        }
        Event::TaskRequested { attempt: a, deadline_unix_ms } => {
            let (task_id, direction, attempt) = a.into();
            Kind::TaskRequested(pb::TaskRequested { task_id, direction, attempt, deadline_unix_ms })
        }
        Event::UndoRecorded { task, attempt, undo, told } => {
            Kind::UndoRecorded(undo_recorded_to_pb(task, attempt, undo, told))
        }
        Event::TaskDone { attempt, done, told } => Kind::TaskDone(done_to_pb(attempt, &done, told)),
        Event::TaskFailed { attempt, failure, told } => {
            Kind::TaskFailed(failed_to_pb(attempt, failure, told))
        }
        Event::TaskTimedOut { attempt: a } => {
            let (task_id, direction, attempt) = a.into();
            Kind::TaskTimedOut(pb::TaskTimedOut { task_id, direction, attempt })
        }
        Event::RetryScheduled { attempt, not_before_unix_ms } => {
            Kind::RetryScheduled(retry_to_pb(attempt, not_before_unix_ms))
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
            let result = Some(fork::kept_to_pb(result));
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
        Event::LateEffect { task, attempt, told } => {
            Kind::LateEffect(late_effect_to_pb(task, attempt, told))
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

/// On the wire 0 stands for never.
fn deadline(unix_ms: i64) -> Option<i64> {
    (unix_ms != 0).then_some(unix_ms)
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
    let shared = Shared { locks: e.shared_locks, limited: e.limited.into_iter().collect() };
    Ok(Event::Accepted { plan: Arc::new(plan), submitted_by, traceparent, forked_from, shared })
}

fn accepted_to_pb(
    plan: &CheckedPlan,
    submitted_by: String,
    traceparent: String,
    forked_from: Option<Origin>,
    shared: Shared,
) -> pb::Accepted {
    pb::Accepted {
        plan_json: plan.json().to_owned().into(),
        plan_digest: plan.digest().to_string(),
        submitted_by,
        traceparent,
        forked_from: forked_from.map(Into::into),
        shared_locks: shared.locks,
        limited: shared.limited.into_iter().collect(),
    }
}

fn slots_to_pb(attempt: Attempt) -> pb::SlotsAwaited {
    let (task_id, direction, attempt) = attempt.into();
    pb::SlotsAwaited { task_id, direction, attempt }
}

fn retry_to_pb(attempt: Attempt, not_before_unix_ms: i64) -> pb::RetryScheduled {
    let (task_id, direction, attempt) = attempt.into();
    pb::RetryScheduled { task_id, direction, attempt, not_before_unix_ms }
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

fn undo_recorded_to_pb(task: TaskId, attempt: u32, undo: Undo, told: Told) -> pb::UndoRecorded {
    pb::UndoRecorded {
        task_id: task.into(),
        attempt,
        undo: Some(undo.into()),
        instance: told.instance,
        begun_unix_ms: told.begun_unix_ms,
        reported_unix_ms: told.reported_unix_ms,
        deliveries: told.deliveries,
    }
}

fn late_effect(e: pb::LateEffect) -> Result<Event, Malformed> {
    Ok(Event::LateEffect {
        task: task(&e.task_id)?,
        attempt: e.attempt,
        told: Told {
            instance: e.instance,
            begun_unix_ms: e.begun_unix_ms,
            reported_unix_ms: e.reported_unix_ms,
            deliveries: e.deliveries,
        },
    })
}

fn late_effect_to_pb(task: TaskId, attempt: u32, told: Told) -> pb::LateEffect {
    pb::LateEffect {
        task_id: task.into(),
        attempt,
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
