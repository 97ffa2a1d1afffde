//! Telling operators what was decided: counts, one line when a workflow ends, one when it is stuck or
//! waits for a person.

use deadelus_core::{Ending, Event, Status, Workflow};
use deadelus_mesh::meters;
use deadelus_proto::{Direction, TaskId};

use crate::spans;

/// Tells of events that the log has just got; `workflow` is the state they led to.
pub(crate) fn of(workflow: &Workflow, events: &[Event], was_stuck: bool) {
    for event in events {
        if let Some((task, outcome)) = settled(event) {
            meters::task_settled(&capability(workflow, task), outcome);
        }
        if let Event::Ended { ending, reason } = event {
            ended(workflow, *ending, reason);
        }
        if let Event::TaskHeld { reason, .. } = event {
            let id = workflow.id();
            tracing::warn!(workflow = %id, reason, "paused: a person decides; see `deadelus why`");
        }
    }
    if workflow.status() == Status::Stuck && !was_stuck {
        meters::workflow_ended("stuck");
        tracing::error!(workflow = %workflow.id(), "stuck: an undo failed; see `deadelus why`");
    }
}

fn ended(workflow: &Workflow, ending: Ending, reason: &str) {
    meters::workflow_ended(ending.as_str());
    spans::ended(workflow, ending, reason);
    let id = workflow.id();
    match ending {
        Ending::Done => tracing::info!(workflow = %id, reason, "done"),
        Ending::Undone => tracing::warn!(workflow = %id, reason, "undone"),
        Ending::Cancelled | Ending::Rejected => {
            tracing::info!(workflow = %id, reason, "{ending}");
        }
    }
}

fn settled(event: &Event) -> Option<(&TaskId, &'static str)> {
    match event {
        Event::TaskDone { attempt, .. } => Some(match attempt.direction {
            Direction::Do => (&attempt.task, "done"),
            Direction::Undo => (&attempt.task, "undone"),
        }),
        Event::TaskFailed { attempt, failure, .. } => Some((&attempt.task, failure.class.as_str())),
        Event::TaskTimedOut { attempt } => Some((&attempt.task, "timed_out")),
        Event::TaskSkipped { task, .. } => Some((task, "skipped")),
        Event::Accepted { .. }
        | Event::TaskInherited { .. }
        | Event::GateOpened { .. }
        | Event::GateDelegated { .. }
        | Event::GateDecided { .. }
        | Event::TaskRequested { .. }
        | Event::UndoRecorded { .. }
        | Event::SlotsAwaited { .. }
        | Event::RetryScheduled { .. }
        | Event::TaskHeld { .. }
        | Event::TaskRetried { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::ScopeClosing { .. }
        | Event::ScopeClosed { .. }
        | Event::TakeBackOrdered { .. }
        | Event::LateEffect { .. }
        | Event::StuckRetried { .. }
        | Event::StuckResolved { .. }
        | Event::Ended { .. } => None,
    }
}

fn capability(workflow: &Workflow, task: &TaskId) -> String {
    workflow.plan().task(task).map(|spec| spec.does.to_string()).unwrap_or_default()
}
