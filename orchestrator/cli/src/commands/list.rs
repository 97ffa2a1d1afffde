//! `deadelus list`: every workflow in a line, the newest first.

use deadelus_proto::pb::WorkflowSummary;
use serde::Serialize;

use crate::{
    args::{List, ListFormat, Place},
    client::Client,
    error::CliError,
    exit::Exit,
    table::table,
    term::{self, Term, Tone, cut},
    time,
};

/// As `-o json` shows it.
#[derive(Serialize)]
struct Row<'a> {
    workflow: &'a str,
    title: &'a str,
    request: &'a str,
    target: &'a str,
    state: &'a str,
    reason: &'a str,
    tasks_total: u32,
    tasks_settled: u32,
    started_unix_ms: i64,
    updated_unix_ms: i64,
    ended: bool,
}

pub(crate) async fn run(place: &Place, args: &List) -> Result<Exit, CliError> {
    let client = Client::connect(place).await?;
    let all = client.summaries().await?;
    let wanted = |s: &&WorkflowSummary| args.state.as_ref().is_none_or(|w| *w == s.status);
    let all: Vec<&WorkflowSummary> = all.iter().filter(wanted).collect();
    match args.output {
        ListFormat::Ids => {
            let ids: String = all.iter().map(|s| format!("{}\n", s.workflow_id)).collect();
            term::say(&ids)?;
        }
        ListFormat::Json => {
            term::say_json(&all.into_iter().map(row).collect::<Vec<_>>())?;
        }
        ListFormat::Text if all.is_empty() => {
            term::say_line("no workflows; begin one with `deadelus run \"…\" --target NAME`")?;
        }
        ListFormat::Text => term::say(&text(&all, time::now_unix_ms(), Term::stdout()))?,
    }
    Ok(Exit::Done)
}

fn row(s: &WorkflowSummary) -> Row<'_> {
    Row {
        workflow: &s.workflow_id,
        title: &s.title,
        request: &s.request,
        target: &s.target,
        state: &s.status,
        reason: &s.reason,
        tasks_total: s.tasks_total,
        tasks_settled: s.tasks_settled,
        started_unix_ms: s.started_unix_ms,
        updated_unix_ms: s.updated_unix_ms,
        ended: s.ended,
    }
}

fn text(all: &[&WorkflowSummary], now_unix_ms: i64, term: Term) -> String {
    // What the other columns take, so that each workflow keeps to one line.
    let room = term.width.saturating_sub(58).max(12);
    let rows = all.iter().map(|s| {
        let what = if s.request.is_empty() { &s.title } else { &s.request };
        vec![
            (Tone::Strong, s.workflow_id.clone()),
            (tone(&s.status), s.status.clone()),
            (Tone::Plain, format!("{}/{}", s.tasks_settled, s.tasks_total)),
            (Tone::Plain, s.target.clone()),
            (Tone::Dim, time::span(now_unix_ms - s.started_unix_ms)),
            (Tone::Plain, cut(what, room)),
        ]
    });
    table(term, &["workflow", "state", "tasks", "target", "age", "request"], rows.collect())
}

fn tone(state: &str) -> Tone {
    match state {
        "done" => Tone::Good,
        "stuck" | "needs-reconcile" => Tone::Bad,
        "undone" | "cancelled" | "rejected" | "paused" | "waiting" | "undoing" => Tone::Warn,
        _ => Tone::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_is_a_line_of_eighty_columns() {
        let summary = WorkflowSummary {
            workflow_id: "wf-1jdx3k9qz-7f3k".into(),
            request: "The checkout process is taking too long and timing out".into(),
            target: "shop".into(),
            status: "running".into(),
            tasks_total: 24,
            tasks_settled: 3,
            ..WorkflowSummary::default()
        };
        let shown = text(&[&summary], 65_000, Term::plain(80));
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
        assert!(shown.contains("3/24") && shown.contains("1m 05s"), "{shown}");
    }
}
