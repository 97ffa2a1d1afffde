//! What happened, in a line. Pure.

use deadelus_core::{Event, Workflow};
use deadelus_proto::{Direction, TaskId};

use crate::time;

/// An event in one line; none for what a reader does not need.
pub fn told(event: &Event, workflow: &Workflow) -> Option<String> {
    let title = |id: &TaskId| workflow.task(id).map(|(t, _)| t.title.as_str()).unwrap_or_default();
    let way = |direction: Direction| match direction {
        Direction::Do => "",
        Direction::Undo => "undo ",
    };
    let text = match event {
        Event::Accepted { plan, submitted_by, forked_from, .. } => {
            let fork = forked_from.as_ref();
            let fork = fork.map(|f| format!(", a fork of {} from {}", f.workflow, f.task));
            let fork = fork.unwrap_or_default();
            format!("accepted from {submitted_by}{fork}: {}", plan.plan().title)
        }
        Event::GateOpened { gate, reason, asks, .. } => {
            let who = if asks.is_empty() { "a person" } else { asks };
            format!("gate {gate} waits for {who}: {reason}")
        }
        Event::GateDelegated { gate, to, reason, .. } => {
            format!("gate {gate} asks {to} from now on: {reason}")
        }
        Event::GateDecided { gate, approved, by, reason } => {
            let what = if *approved { "approved" } else { "rejected" };
            let by = if by.is_empty() { String::new() } else { format!("by {by} ") };
            format!("gate {gate} {what} {by}{reason}")
        }
        Event::TaskRequested { attempt: a, .. } => {
            let again = if a.number > 1 { format!(", try {}", a.number) } else { String::new() };
            format!("{}{}: begins: {}{again}", way(a.direction), a.task, title(&a.task))
        }
        Event::TaskDone { attempt: a, done, .. } => {
            let found = if done.reconciled { ", found done by an earlier delivery" } else { "" };
            format!("{}{}: done{found}", way(a.direction), a.task)
        }
        Event::TaskFailed { attempt: a, failure, .. } => {
            format!("{}{}: failed: {failure}", way(a.direction), a.task)
        }
        Event::TaskTimedOut { attempt: a } => {
            format!("{}{}: nobody answered by the deadline", way(a.direction), a.task)
        }
        Event::RetryScheduled { attempt: a, not_before_unix_ms } => {
            let at = time::clock(*not_before_unix_ms);
            format!("{}{}: is tried again at {at}", way(a.direction), a.task)
        }
        Event::ScopeClosing { scope, .. } => format!("{scope} has failed: it is taken back"),
        Event::ScopeClosed { scope } => format!("{scope}: nothing of it is left"),
        Event::TakeBackOrdered { reason, .. } => format!("everything is taken back: {reason}"),
        Event::LateEffect { task, .. } => {
            format!("{task}: took effect after it was given up; it is taken back")
        }
        Event::StuckRetried { by, .. } => format!("{by} has the failed undos tried again"),
        Event::StuckResolved { task, by, .. } => format!("{task}: taken back by hand by {by}"),
        Event::TaskHeld { reason, .. } => format!("paused: {reason}"),
        Event::TaskRetried { task, by, reason } => format!("{task}: tried again by {by} {reason}"),
        Event::TaskSkipped { task, by, reason } if !by.is_empty() => {
            format!("{task}: left out by {by}: {reason}")
        }
        Event::Paused { by, reason } => format!("paused by {by} {reason}"),
        Event::Resumed { by, reason } => format!("resumed by {by} {reason}"),
        Event::Ended { ending, reason } => format!("{ending}: {reason}"),
        // What does not happen is no news; `deadelus show` has the reason.
        Event::UndoRecorded { .. }
        | Event::SlotsAwaited { .. }
        | Event::TaskSkipped { .. }
        | Event::TaskInherited { .. } => return None,
    };
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What an event is called, and the task that it is about.
pub fn kind(event: &Event) -> (&'static str, Option<&TaskId>) {
    match event {
        Event::Accepted { .. } => ("accepted", None),
        Event::TaskInherited { task, .. } => ("task_inherited", Some(task)),
        Event::GateOpened { .. } => ("gate_opened", None),
        Event::GateDelegated { .. } => ("gate_delegated", None),
        Event::GateDecided { .. } => ("gate_decided", None),
        Event::SlotsAwaited { attempt } => ("slots_awaited", Some(&attempt.task)),
        Event::TaskRequested { attempt, .. } => ("task_requested", Some(&attempt.task)),
        Event::UndoRecorded { task, .. } => ("undo_recorded", Some(task)),
        Event::TaskDone { attempt, .. } => ("task_done", Some(&attempt.task)),
        Event::TaskFailed { attempt, .. } => ("task_failed", Some(&attempt.task)),
        Event::TaskTimedOut { attempt } => ("task_timed_out", Some(&attempt.task)),
        Event::RetryScheduled { attempt, .. } => ("retry_scheduled", Some(&attempt.task)),
        Event::TaskSkipped { task, .. } => ("task_skipped", Some(task)),
        Event::TaskHeld { task, .. } => ("task_held", Some(task)),
        Event::TaskRetried { task, .. } => ("task_retried", Some(task)),
        Event::Paused { .. } => ("paused", None),
        Event::Resumed { .. } => ("resumed", None),
        Event::ScopeClosing { .. } => ("scope_closing", None),
        Event::ScopeClosed { .. } => ("scope_closed", None),
        Event::TakeBackOrdered { .. } => ("take_back_ordered", None),
        Event::LateEffect { task, .. } => ("late_effect", Some(task)),
        Event::StuckRetried { .. } => ("stuck_retried", None),
        Event::StuckResolved { task, .. } => ("stuck_resolved", Some(task)),
        Event::Ended { .. } => ("ended", None),
    }
}
