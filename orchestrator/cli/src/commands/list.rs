//! `deadelus list`: the open workflows and the newest that have ended, in a line each; for programs,
//! all of them.

use deadelus_mesh::lists::{Line, Shelf};
use serde::Serialize;

use crate::{
    args::{List, ListFormat, Place},
    client,
    error::CliError,
    exit::Exit,
    shelves::{self, Newest},
    table::table,
    term::{self, Term, Tone, cut},
    time,
};

/// Of those that have ended a person sees so many: a screenful.
const ENDED_SHOWN_LINES: usize = 20;

/// Written at once: few system calls, and little that waits in memory.
const WRITTEN_BYTES: usize = 64 * 1024;

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
    archived: bool,
}

pub(crate) async fn run(place: &Place, args: &List) -> Result<Exit, CliError> {
    let client = client::connect(place).await?;
    let lists = client.lists().await?;
    let state = args.state.as_deref();
    match (args.output, args.limit) {
        (ListFormat::Text, limit) => {
            let limit = limit.unwrap_or(ENDED_SHOWN_LINES);
            let newest = Box::pin(shelves::newest(&lists, state, limit)).await?;
            term::say(&text(&newest, time::now_unix_ms(), term::stdout()))?;
        }
        (format @ (ListFormat::Ids | ListFormat::Json), Some(limit)) => {
            let newest = Box::pin(shelves::newest(&lists, state, limit)).await?;
            let mut out = Out::new(format);
            newest.open.iter().chain(&newest.ended).try_for_each(|line| out.line(line))?;
            out.end()?;
        }
        (format @ (ListFormat::Ids | ListFormat::Json), None) => {
            let mut out = Out::new(format);
            Box::pin(shelves::each(&lists, state, |line| out.line(line))).await?;
            out.end()?;
        }
    }
    Ok(Exit::Done)
}

/// Lines for programs, written as they come.
struct Out {
    is_json: bool,
    is_first: bool,
    waiting: String,
}

impl Out {
    fn new(format: ListFormat) -> Self {
        let is_json = format == ListFormat::Json;
        let waiting = if is_json { "[".to_owned() } else { String::new() };
        Self { is_json, is_first: true, waiting }
    }

    fn line(&mut self, line: &Line) -> Result<(), CliError> {
        if self.is_json {
            let row = serde_json::to_string(&row(line)).map_err(|e| CliError::Output(e.into()))?;
            self.waiting.push_str(if self.is_first { "\n  " } else { ",\n  " });
            self.waiting.push_str(&row);
        } else {
            self.waiting.push_str(&line.summary.workflow_id);
            self.waiting.push('\n');
        }
        self.is_first = false;
        if self.waiting.len() >= WRITTEN_BYTES {
            term::say(&std::mem::take(&mut self.waiting))?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), CliError> {
        if self.is_json {
            self.waiting.push_str(if self.is_first { "]\n" } else { "\n]\n" });
        }
        term::say(&self.waiting)
    }
}

fn row(line: &Line) -> Row<'_> {
    let s = &line.summary;
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
        archived: line.shelf == Shelf::Archived,
    }
}

fn text(newest: &Newest, now_unix_ms: i64, term: Term) -> String {
    let Newest { open, ended, more } = newest;
    if open.is_empty() && ended.is_empty() && *more == 0 {
        return "no workflows; begin one with `deadelus run \"…\" --target NAME`\n".to_owned();
    }
    // What the other columns take, so that each workflow keeps to one line.
    let room = term.width.saturating_sub(58).max(12);
    let rows = open.iter().chain(ended).map(|line| {
        let s = &line.summary;
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
    let head = ["workflow", "state", "tasks", "target", "age", "request"];
    let shown = table(term, &head, rows.collect());
    match more {
        0 => shown,
        more => format!(
            "{shown}and {more} more that have ended: --limit N shows more of them, --state STATE \
             those in a state, -o ids and -o json all\n"
        ),
    }
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
    use deadelus_proto::pb::WorkflowSummary;

    use super::*;

    fn line(shelf: Shelf) -> Line {
        let summary = WorkflowSummary {
            workflow_id: "wf-1jdx3k9qz-7f3k".into(),
            request: "The checkout process is taking too long and timing out".into(),
            target: "shop".into(),
            status: "running".into(),
            tasks_total: 24,
            tasks_settled: 3,
            ..WorkflowSummary::default()
        };
        Line { shelf, sequence: 1, summary }
    }

    #[test]
    fn a_workflow_is_a_line_of_eighty_columns() {
        let newest = Newest { open: vec![line(Shelf::Open)], ended: vec![], more: 0 };
        let shown = text(&newest, 65_000, Term::plain(80));
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
        assert!(shown.contains("3/24") && shown.contains("1m 05s"), "{shown}");
    }

    #[test]
    fn what_is_not_shown_is_counted_and_how_to_see_it_said() {
        let newest = Newest { open: vec![], ended: vec![line(Shelf::Ended)], more: 99_980 };
        let shown = text(&newest, 65_000, Term::plain(80));
        assert!(shown.contains("and 99980 more") && shown.contains("--limit"), "{shown}");
        assert!(text(&Newest::default(), 0, Term::plain(80)).contains("no workflows"));
    }

    #[test]
    fn json_is_one_document_however_many_lines_it_has() {
        for count in 0..3 {
            let mut out = Out::new(ListFormat::Json);
            for _ in 0..count {
                out.line(&line(Shelf::Archived)).unwrap();
            }
            out.waiting.push_str(if count == 0 { "]" } else { "\n]" });
            let rows: Vec<serde_json::Value> = serde_json::from_str(&out.waiting).unwrap();
            assert_eq!(rows.len(), count);
            assert!(rows.iter().all(|row| row["archived"] == true), "{rows:?}");
        }
    }
}
