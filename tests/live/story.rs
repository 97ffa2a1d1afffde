//! What happened to a workflow, read from the log's bytes and not through the code under test.

use std::fmt::Write as _;

use deadelus_proto::{
    WorkflowId,
    pb::{self, Direction, Ending, event::Kind},
};
use serde_json::Value;

/// The decisions of one workflow, in order.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) decisions: Vec<pb::Decision>,
}

impl Story {
    pub(crate) fn events(&self) -> impl DoubleEndedIterator<Item = &Kind> {
        self.decisions.iter().flat_map(|d| &d.events).filter_map(|e| e.kind.as_ref())
    }

    /// How it ended, unless it was taken up again since. A record that was overtaken may follow.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let last = self.events().rev().find(|event| !matches!(event, Kind::UndoRecorded(_)));
        match last {
            Some(Kind::Ended(ended)) => Some(ended.ending()),
            Some(_) | None => None,
        }
    }

    /// `done`, `failed` or `skipped`, as the task itself ended; empty before that.
    pub(crate) fn outcome(&self, task: &str) -> &'static str {
        let told = self.events().rev().find_map(|event| match event {
            Kind::TaskDone(e) if e.task_id == task && is_do(e.direction) => Some("done"),
            Kind::TaskFailed(e) if e.task_id == task && is_do(e.direction) => Some("failed"),
            Kind::TaskSkipped(e) if e.task_id == task => Some("skipped"),
            _ => None,
        });
        told.unwrap_or_default()
    }

    /// What the task gave out.
    pub(crate) fn outputs(&self, task: &str) -> Value {
        let done = self.events().rev().find_map(|event| match event {
            Kind::TaskDone(e) if e.task_id == task && is_do(e.direction) => e.done.as_ref(),
            _ => None,
        });
        let Some(done) = done else { panic!("{task} is not done:\n{}", self.told()) };
        match done.outputs.as_ref().and_then(|p| p.body.as_ref()) {
            Some(pb::payload::Body::Inline(json)) => serde_json::from_slice(json).unwrap(),
            Some(pb::payload::Body::Reference(_)) | None => panic!("{task} gave nothing inline"),
        }
    }

    /// The last report that one of these tasks was done, once more.
    pub(crate) fn report_again(
        &self,
        id: &WorkflowId,
        of: impl Fn(&str) -> bool,
    ) -> pb::TaskReport {
        let done = self.events().rev().find_map(|event| match event {
            Kind::TaskDone(done) if of(&done.task_id) => Some(done.clone()),
            _ => None,
        });
        let done = done.unwrap_or_else(|| panic!("no such task is done:\n{}", self.told()));
        pb::TaskReport {
            workflow_id: id.to_string(),
            task_id: done.task_id,
            direction: done.direction,
            attempt: done.attempt,
            instance: done.instance,
            begun_unix_ms: done.begun_unix_ms,
            reported_unix_ms: done.reported_unix_ms,
            deliveries: done.deliveries,
            news: done.done.map(pb::task_report::News::Done),
        }
    }

    /// The failure that the task ended with.
    pub(crate) fn failure(&self, task: &str) -> &pb::Failure {
        let failure = self.events().rev().find_map(|event| match event {
            Kind::TaskFailed(e) if e.task_id == task && is_do(e.direction) => e.failure.as_ref(),
            _ => None,
        });
        failure.unwrap_or_else(|| panic!("{task} did not fail:\n{}", self.told()))
    }

    /// Whether the task was taken back.
    pub(crate) fn taken_back(&self, task: &str) -> bool {
        self.events().any(|event| match event {
            Kind::TaskDone(e) => e.task_id == task && !is_do(e.direction),
            _ => false,
        })
    }

    /// What the ways back left behind, as they told it.
    pub(crate) fn residue(&self) -> Vec<String> {
        let back = self.events().filter_map(|event| match event {
            Kind::TaskDone(e) if !is_do(e.direction) => e.done.as_ref(),
            _ => None,
        });
        back.flat_map(|done| done.residue.clone()).collect()
    }

    /// How often an event of this kind stands in the log.
    pub(crate) fn count(&self, is_one: impl Fn(&Kind) -> bool) -> usize {
        self.events().filter(|e| is_one(e)).count()
    }

    /// A line per event, for a person who looks for the reason.
    pub(crate) fn told(&self) -> String {
        let begun = self.decisions.first().map_or(0, |d| d.decided_unix_ms);
        let mut told = String::new();
        for decision in &self.decisions {
            let ms = decision.decided_unix_ms - begun;
            for event in decision.events.iter().filter_map(|e| e.kind.as_ref()) {
                let _ = writeln!(told, "  {ms:>6} ms  {}", line(event));
            }
        }
        told
    }
}

fn is_do(direction: i32) -> bool {
    direction == i32::from(Direction::Do)
}

fn line(event: &Kind) -> String {
    /// A failed test shows dozens of these.
    const SHOWN_CHARS: usize = 600;
    let text = match event {
        Kind::Accepted(e) => format!("Accepted by {}", e.submitted_by),
        Kind::TaskDone(e) => {
            let checks = e.done.iter().flat_map(|d| &d.checks);
            let checks: Vec<String> = checks
                .map(|c| format!("{} {} {} {}", c.id, c.measured, c.op, c.threshold))
                .collect();
            let back = if is_do(e.direction) { "" } else { "undo of " };
            format!("TaskDone {back}{} #{}: {}", e.task_id, e.attempt, checks.join("; "))
        }
        Kind::TaskFailed(e) => {
            let failure = e.failure.clone().unwrap_or_default();
            let class = failure.error_class();
            format!("TaskFailed {} #{}: {class:?} {}", e.task_id, e.attempt, failure.message)
        }
        other => format!("{other:?}"),
    };
    text.chars().take(SHOWN_CHARS).collect()
}
