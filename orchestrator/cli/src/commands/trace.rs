//! `deadelus trace`: the waterfall of a workflow, read from its log.

use deadelus_proto::{Direction, WorkflowId};
use serde::Serialize;

use super::show;
use crate::{
    args::Output,
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    term::{self, Term, Tone},
    time,
    timeline::{self, Outcome, Try},
};

/// Columns for the duration behind a bar.
const TOOK_COLUMNS: usize = 9;
/// Fewer say nothing.
const BAR_MIN_COLUMNS: usize = 16;

#[derive(Serialize)]
struct Trace {
    workflow: String,
    traceparent: String,
    from_unix_ms: i64,
    to_unix_ms: i64,
    tries: Vec<Try>,
}

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    let history = client.history(id).await?;
    let now = time::now_unix_ms();
    if output.is_json() {
        term::say_json(&trace(&history, now))?;
    } else {
        term::say(&text(&history, now, term::stdout()))?;
    }
    Ok(Exit::Done)
}

fn trace(history: &History, now: i64) -> Trace {
    let (from_unix_ms, to_unix_ms) = bounds(history, now);
    let traceparent = history.workflow().map(|w| w.traceparent().to_owned()).unwrap_or_default();
    let workflow = history.id().to_string();
    Trace { workflow, traceparent, from_unix_ms, to_unix_ms, tries: timeline::tries(history) }
}

/// The waterfall: a bar for every try, `░` while it waits for a worker, `█` while it is done, `▓`
/// while it is taken back.
pub(crate) fn text(history: &History, now: i64, term: Term) -> String {
    let Some(workflow) = history.workflow() else { return history.alarms().join("\n") };
    let mut out = show::head(history, workflow, now, term);
    let tries = timeline::tries(history);
    let (from, to) = bounds(history, now);
    let label = tries.iter().map(|t| label(t).chars().count()).max().unwrap_or(0);
    let who = tries.iter().map(|t| t.instance.chars().count()).max().unwrap_or(0);
    let room = term.width.saturating_sub(label + TOOK_COLUMNS + who + 4).max(BAR_MIN_COLUMNS);
    for one in &tries {
        let (bar, end) = bar(one, (from, to), room);
        let (begun, over) = one.span(to);
        let took = format!("{:>TOOK_COLUMNS$}", time::span(over - begun));
        let (mark, tone) = mark(one);
        let line = format!(
            "{mark} {:<label$} {}{:pad$}{took} {}",
            self::label(one),
            term.paint(tone, &bar),
            "",
            term.paint(Tone::Dim, &one.instance),
            pad = room - end,
        );
        out.push_str(line.trim_end());
        out.push('\n');
        if !one.message.is_empty() {
            let text = term::cut(&one.message, term.width.saturating_sub(label + 3));
            out.push_str(&format!("  {:label$} {}\n", "", term.paint(Tone::Dim, &text)));
        }
    }
    out
}

fn bounds(history: &History, now: i64) -> (i64, i64) {
    let Some(workflow) = history.workflow() else { return (now, now) };
    let (from, last) = timeline::extent(workflow);
    (from, if workflow.ended().is_some() { last } else { last.max(now) })
}

/// `index1`, `index1 #2`, `↶ index1`
fn label(one: &Try) -> String {
    let way = match one.direction {
        Direction::Do => "",
        Direction::Undo => "↶ ",
    };
    let number = if one.number > 1 { format!(" #{}", one.number) } else { String::new() };
    format!("{way}{}{number}", one.task)
}

/// The bar with the blanks before it, and the column where it ends.
fn bar(one: &Try, (from, to): (i64, i64), columns: usize) -> (String, usize) {
    let whole = (to - from).max(1);
    let column = |at: i64| {
        let share = i64::try_from(columns).unwrap_or(0) * (at.clamp(from, to) - from) / whole;
        usize::try_from(share).unwrap_or(0)
    };
    let (begun, over) = one.span(to);
    let start = column(one.asked_unix_ms).min(columns - 1);
    let begin = column(begun).clamp(start, columns - 1);
    let end = column(over).clamp(begin + 1, columns);
    let ink = match one.direction {
        Direction::Do => "█",
        Direction::Undo => "▓",
    };
    let text = [" ".repeat(start), "░".repeat(begin - start), ink.repeat(end - begin)].concat();
    (text, end)
}

fn mark(one: &Try) -> (&'static str, Tone) {
    match one.outcome {
        Outcome::Open => ("▸", Tone::Busy),
        Outcome::Done if one.direction == Direction::Undo => ("✓", Tone::Warn),
        Outcome::Done => ("✓", Tone::Good),
        Outcome::Failed => ("✗", Tone::Bad),
        Outcome::TimedOut => ("⧖", Tone::Bad),
        Outcome::Dropped => ("–", Tone::Dim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn every_try_has_a_bar_and_the_undo_another_ink() {
        let shown = text(&fixture::told(), 0, Term::plain(80));
        assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
        let of = |task: &str| shown.lines().find(|l| l.contains(task)).unwrap();
        assert!(of("measure0").contains('█') && of("measure0").contains("2.4 s"), "{shown}");
        assert!(of("↶ index2").contains('▓'), "{shown}");
        assert!(of("compare2").starts_with('✗'), "{shown}");
        assert!(shown.contains("writes got 40 % slower"), "{shown}");
        let start = |task: &str| of(task).chars().position(|c| c == '█' || c == '▓').unwrap();
        assert!(start("measure0") < start("index1") && start("index1") < start("budget"));
    }
}
