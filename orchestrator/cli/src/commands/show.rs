//! `deadelus show`: where a workflow and each of its tasks stand, read from its log.

use deadelus_core::{Status, TaskStatus, Workflow};
use deadelus_proto::WorkflowId;
use deadelus_view::standing;

use crate::{
    args::Output,
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    lines::{self, Line},
    table::table,
    term::{self, Term, Tone, cut, hang},
    time,
};

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    let history = client.history(id).await?;
    let now = time::now_unix_ms();
    let workflow = history.accepted()?;
    if output.is_json() {
        term::say_json(&standing::standing(&history, workflow, now))?;
    } else {
        term::say(&text(&history, workflow, now, term::stdout()))?;
    }
    Ok(Exit::Done)
}

/// What the exit code says of a workflow that somebody follows.
pub(crate) fn exit_of(history: &History) -> Exit {
    if history.needs_reconcile() {
        return Exit::Stuck;
    }
    match history.workflow().map(Workflow::status) {
        Some(Status::Ended(ending)) => Exit::of_ending(ending),
        Some(Status::Stuck) => Exit::Stuck,
        Some(Status::Approval | Status::Running | Status::Paused | Status::TakingBack) | None => {
            Exit::Waiting
        }
    }
}

/// `running`, in the colour of what it means.
pub(crate) fn status(history: &History, workflow: &Workflow) -> (Tone, String) {
    let tone = match workflow.status() {
        _ if history.needs_reconcile() => Tone::Bad,
        Status::Ended(deadelus_core::Ending::Done) => Tone::Good,
        Status::Stuck => Tone::Bad,
        Status::Ended(_) | Status::Approval | Status::Paused | Status::TakingBack => Tone::Warn,
        Status::Running => Tone::Busy,
    };
    (tone, standing::status(history, workflow))
}

fn text(history: &History, workflow: &Workflow, now: i64, term: Term) -> String {
    let mut out = head(history, workflow, now, term);
    if let Some(pause) = workflow.pause() {
        out.push_str(&hang("paused: ", &pause.reason, term.width));
    }
    for (gate, state) in workflow.gates() {
        let what = match &state.decision {
            Some((true, by, reason)) => format!("approved by {by}: {reason}"),
            Some((false, by, reason)) => format!("rejected by {by}: {reason}"),
            None if state.asks.is_empty() => format!("waits for a person: {}", state.reason),
            None => format!("waits for {}: {}", state.asks, state.reason),
        };
        let what = what.trim_end_matches([':', ' ']);
        out.push_str(&hang(&format!("gate {gate}: "), what, term.width));
    }
    for alarm in history.alarms() {
        out.push_str(&hang("! ", alarm, term.width));
    }
    out.push('\n');
    out.push_str(&task_table(&lines::lines(history, now), term));
    for residue in workflow.residue() {
        let what = format!("{}: {}", residue.task, residue.what);
        out.push_str(&hang("left behind: ", &what, term.width));
    }
    out
}

/// The two lines above everything.
pub(crate) fn head(history: &History, workflow: &Workflow, now: i64, term: Term) -> String {
    let plan = workflow.plan().plan();
    let (tone, status) = status(history, workflow);
    let settled = workflow.tasks().filter(|(_, state)| state.is_settled()).count();
    let until = if workflow.ended().is_some() { workflow.last_unix_ms() } else { now };
    let (id, status) =
        (term.paint(Tone::Strong, workflow.id().as_str()), term.paint(tone, &status));
    let total = workflow.plan().tasks().len();
    let took = time::span(until - workflow.accepted_unix_ms());
    let asked = if plan.request.is_empty() { &plan.title } else { &plan.request };
    let asked = cut(asked, term.width);
    format!(
        "{id}  {status}  {settled} of {total} tasks  {took}\n{}\n",
        term.paint(Tone::Dim, &asked)
    )
}

fn task_table(lines: &[Line], term: Term) -> String {
    let id = lines.iter().map(|l| l.task.as_str().len()).max().unwrap_or(0);
    // What the other columns take, so that each task keeps to one line.
    let room = term.width.saturating_sub(id + OTHER_COLUMNS).max(20);
    let rows = lines.iter().map(|line| {
        let (mark, tone) = lines::mark(line.status);
        let tries = line.attempts + line.undo_attempts;
        let quiet = matches!(line.status, TaskStatus::Waiting | TaskStatus::Skipped);
        let what =
            if line.note.is_empty() || quiet { line.title.clone() } else { line.note.clone() };
        vec![
            (Tone::Plain, line.task.to_string()),
            (tone, format!("{mark} {}", line.status)),
            (Tone::Plain, if tries == 0 { String::new() } else { tries.to_string() }),
            (Tone::Plain, line.took_ms.map(time::span).unwrap_or_default()),
            (if quiet { Tone::Dim } else { Tone::Plain }, cut(&what, room)),
        ]
    });
    table(term, &["task", "state", "tries", "took", "what"], rows.collect())
}

/// State, tries and duration with the gaps between. What does not fit beside them stands in
/// `report` and `-o json`.
const OTHER_COLUMNS: usize = 34;
