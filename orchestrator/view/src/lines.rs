//! Where every task stands, one line each: what `show` lists and what `watch` draws. Pure.

use std::collections::BTreeMap;

use deadelus_core::{EffectState, Progress, TaskState, TaskStatus};
use deadelus_proto::{Check, Direction, TaskId};
use serde::Serialize;

use crate::{
    history::History,
    term::Tone,
    timeline::{self, Outcome, Try},
};

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Line {
    /// Its id.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// For people.
    pub title: String,
    /// `db.create_index`
    pub does: String,
    /// `done`
    #[serde(serialize_with = "as_str")]
    #[schema(value_type = String)]
    pub status: TaskStatus,
    /// Attempts at doing it so far.
    pub attempts: u32,
    /// Attempts at taking it back so far.
    pub undo_attempts: u32,
    /// How long doing it took, or has taken, milliseconds; none before it began.
    pub took_ms: Option<i64>,
    /// Who did it last.
    pub instance: String,
    /// Why it stands there: a failure, the reason it was skipped, what was measured.
    pub note: String,
    /// What was measured.
    #[schema(value_type = Vec<Object>)]
    pub checks: Vec<Check>,
}

/// The tasks in the plan's order, as of `now`.
pub fn lines(history: &History, now_unix_ms: i64) -> Vec<Line> {
    let Some(workflow) = history.workflow() else { return vec![] };
    let now = if workflow.ended().is_some() { workflow.last_unix_ms() } else { now_unix_ms };
    let mut tries: BTreeMap<TaskId, Vec<Try>> = BTreeMap::new();
    for one in timeline::tries(history) {
        tries.entry(one.task.clone()).or_default().push(one);
    }
    let line = |(spec, state): (&deadelus_core::plan::CheckedTask, &TaskState)| {
        let tries = tries.get(&spec.id).map_or(&[][..], Vec::as_slice);
        Line {
            task: spec.id.clone(),
            title: spec.title.clone(),
            does: spec.does.to_string(),
            status: state.status(),
            attempts: state.attempt,
            undo_attempts: state.undo_attempt,
            took_ms: took(tries, now),
            instance: tries.last().map(|t| t.instance.clone()).unwrap_or_default(),
            note: note(state),
            checks: checks(state),
        }
    };
    workflow.tasks().map(line).collect()
}

/// The mark before a task, and its colour.
pub fn mark(status: TaskStatus) -> (&'static str, Tone) {
    match status {
        TaskStatus::Waiting => ("·", Tone::Dim),
        TaskStatus::Running => ("▸", Tone::Busy),
        TaskStatus::Retrying => ("↻", Tone::Warn),
        TaskStatus::Held => ("‖", Tone::Bad),
        TaskStatus::Done => ("✓", Tone::Good),
        TaskStatus::Failed => ("✗", Tone::Bad),
        TaskStatus::Skipped => ("–", Tone::Dim),
        TaskStatus::Undoing => ("↶", Tone::Warn),
        TaskStatus::Undone => ("↶", Tone::Dim),
        TaskStatus::Stuck => ("!", Tone::Bad),
    }
}

fn took(tries: &[Try], now: i64) -> Option<i64> {
    let doing = tries.iter().filter(|t| t.direction == Direction::Do);
    let spans = doing.filter(|t| t.outcome != Outcome::Dropped).map(|t| t.span(now));
    spans.map(|(from, to)| to - from).reduce(|a, b| a + b)
}

fn note(state: &TaskState) -> String {
    let kept = if state.is_inherited { "kept from before the fork; " } else { "" };
    format!("{kept}{}", own_note(state)).trim_end_matches([';', ' ']).to_owned()
}

fn own_note(state: &TaskState) -> String {
    match (&state.effect, &state.progress) {
        (EffectState::Stuck(failure) | EffectState::UndoAgain { failure, .. }, _) => {
            format!("undo: {failure}")
        }
        (EffectState::Undone(residue), _) if !residue.is_empty() => {
            format!("left behind: {}", residue.join("; "))
        }
        (
            _,
            Progress::Failed(failure) | Progress::Held(failure) | Progress::Again { failure, .. },
        ) => failure.to_string(),
        (_, Progress::Skipped(skip)) if skip.by.is_empty() => skip.reason.clone(),
        (_, Progress::Skipped(skip)) => format!("left out by {}: {}", skip.by, skip.reason),
        (_, Progress::Done(done)) => measured(&done.checks),
        (_, Progress::Waiting | Progress::Doing(_)) => String::new(),
    }
}

fn measured(checks: &[Check]) -> String {
    match checks {
        [] => String::new(),
        [only] => format!("{} {} {} {}", only.id, only.measured, only.op, only.threshold),
        many => format!("{} checks passed", many.len()),
    }
}

fn checks(state: &TaskState) -> Vec<Check> {
    match &state.progress {
        Progress::Done(done) => done.checks.clone(),
        Progress::Failed(failure) | Progress::Held(failure) | Progress::Again { failure, .. } => {
            failure.checks.clone()
        }
        Progress::Waiting | Progress::Doing(_) | Progress::Skipped(_) => vec![],
    }
}

fn as_str<S: serde::Serializer>(status: &TaskStatus, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.as_str())
}
