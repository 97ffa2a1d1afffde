//! `deadelus show`: where a workflow and each of its tasks stand, read from its log.

use deadelus_core::{Status, TaskStatus, Workflow};
use deadelus_proto::WorkflowId;
use serde::Serialize;

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

#[derive(Serialize)]
struct Shown {
    workflow: String,
    status: String,
    request: String,
    target: Option<String>,
    title: String,
    plan_digest: String,
    submitted_by: String,
    traceparent: String,
    accepted_unix_ms: i64,
    updated_unix_ms: i64,
    reason: Option<String>,
    gates: Vec<GateShown>,
    tasks: Vec<Line>,
    residue: Vec<String>,
    alarms: Vec<String>,
}

#[derive(Serialize)]
struct GateShown {
    gate: String,
    reason: String,
    since_unix_ms: i64,
    asks: String,
    deadline_unix_ms: Option<i64>,
    approved: Option<bool>,
    by: String,
}

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    let history = client.history(id).await?;
    let now = time::now_unix_ms();
    let Some(workflow) = history.workflow() else {
        let problem = history.alarms().join("; ");
        return Err(CliError::Log { workflow: id.to_string(), problem });
    };
    if output.is_json() {
        term::say_json(&shown(&history, workflow, now))?;
    } else {
        term::say(&text(&history, workflow, now, Term::stdout()))?;
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
    if history.needs_reconcile() {
        return (Tone::Bad, "needs-reconcile".to_owned());
    }
    let status = workflow.status();
    let tone = match status {
        Status::Ended(deadelus_core::Ending::Done) => Tone::Good,
        Status::Stuck => Tone::Bad,
        Status::Ended(_) | Status::Approval | Status::Paused | Status::TakingBack => Tone::Warn,
        Status::Running => Tone::Busy,
    };
    (tone, status.to_string())
}

fn shown(history: &History, workflow: &Workflow, now: i64) -> Shown {
    let plan = workflow.plan();
    let gates = workflow.gates().iter().map(|(gate, state)| GateShown {
        gate: gate.to_string(),
        reason: state.reason.clone(),
        since_unix_ms: state.since_unix_ms,
        asks: state.asks.clone(),
        deadline_unix_ms: state.deadline_unix_ms,
        approved: state.decision.as_ref().map(|(approved, _, _)| *approved),
        by: state.decision.as_ref().map(|(_, by, _)| by.clone()).unwrap_or_default(),
    });
    Shown {
        workflow: workflow.id().to_string(),
        status: status(history, workflow).1,
        request: plan.plan().request.clone(),
        target: plan.plan().target.clone(),
        title: plan.plan().title.clone(),
        plan_digest: plan.digest().to_string(),
        submitted_by: workflow.submitted_by().to_owned(),
        traceparent: workflow.traceparent().to_owned(),
        accepted_unix_ms: workflow.accepted_unix_ms(),
        updated_unix_ms: workflow.last_unix_ms(),
        reason: reason(workflow),
        gates: gates.collect(),
        tasks: lines::lines(history, now),
        residue: workflow
            .residue()
            .into_iter()
            .map(|r| format!("{}: {}", r.task, r.what))
            .collect(),
        alarms: history.alarms().to_vec(),
    }
}

/// Why it ended, or why nothing more starts.
fn reason(workflow: &Workflow) -> Option<String> {
    let ended = workflow.ended().map(|(_, reason)| reason);
    ended.or(workflow.pause().map(|pause| pause.reason.as_str())).map(str::to_owned)
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
