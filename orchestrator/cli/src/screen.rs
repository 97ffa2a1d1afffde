//! What a person who watches sees: on a terminal a few lines that are drawn again, elsewhere one
//! line for each thing that happens. Pure: text in, text out.

use std::collections::BTreeMap;

use deadelus_core::{TaskStatus, Workflow};
use deadelus_proto::TaskId;
use deadelus_view::telling;

use crate::{
    commands::show,
    history::{Entry, History},
    lines::{self, Line},
    term::{Term, Tone, cut},
    time,
};

/// The last word on each task that is under way.
pub(crate) type Progress = BTreeMap<TaskId, String>;

/// The picture of this moment, a line each; none is wider than the terminal.
pub(crate) fn frame(
    history: &History,
    workflow: &Workflow,
    progress: &Progress,
    now_unix_ms: i64,
    term: Term,
) -> Vec<String> {
    let head = show::head(history, workflow, now_unix_ms, term);
    let mut out: Vec<String> = head.lines().map(str::to_owned).collect();
    let lines = lines::lines(history, now_unix_ms);
    let width = lines.iter().map(|l| l.task.as_str().len()).max().unwrap_or(0);
    let (mut waiting, mut skipped) = (0, 0);
    for line in &lines {
        match line.status {
            TaskStatus::Waiting => waiting += 1,
            TaskStatus::Skipped => skipped += 1,
            TaskStatus::Running
            | TaskStatus::Retrying
            | TaskStatus::Held
            | TaskStatus::Done
            | TaskStatus::Failed
            | TaskStatus::Undoing
            | TaskStatus::Undone
            | TaskStatus::Stuck => out.push(row(line, progress.get(&line.task), width, term)),
        }
    }
    if let Some(pause) = workflow.pause() {
        let text = cut(&format!("‖ paused: {}", pause.reason), term.width);
        out.push(term.paint(Tone::Warn, &text));
    }
    for (gate, state) in workflow.open_gates() {
        let text = cut(&format!("? gate {gate} waits: {}", state.reason), term.width);
        out.push(term.paint(Tone::Warn, &text));
    }
    if waiting + skipped > 0 {
        let text = format!("· {waiting} wait, {skipped} skipped");
        out.push(term.paint(Tone::Dim, &text));
    }
    // What has scrolled away cannot be drawn again: the oldest tasks make room for the newest.
    let surplus = (out.len() + 1).saturating_sub(term.height.max(HEAD_LINES + 1));
    out.drain(HEAD_LINES..HEAD_LINES + surplus);
    out
}

/// Who it is and what was asked stay in sight.
const HEAD_LINES: usize = 2;

fn row(line: &Line, progress: Option<&String>, width: usize, term: Term) -> String {
    let (mark, tone) = lines::mark(line.status);
    let took = line.took_ms.map(time::span).unwrap_or_default();
    let says = match line.status {
        TaskStatus::Running | TaskStatus::Undoing => progress.unwrap_or(&line.title),
        TaskStatus::Waiting
        | TaskStatus::Retrying
        | TaskStatus::Held
        | TaskStatus::Done
        | TaskStatus::Failed
        | TaskStatus::Skipped
        | TaskStatus::Undone
        | TaskStatus::Stuck => {
            if line.note.is_empty() {
                &line.title
            } else {
                &line.note
            }
        }
    };
    let first = format!("{:<width$} {took:>8}  ", line.task.as_str());
    let room = term.width.saturating_sub(first.chars().count() + 2);
    format!("{} {first}{}", term.paint(tone, mark), cut(says, room))
}

/// One line for an event, for logs and pipes; none for what a reader does not need.
pub(crate) fn plain(entry: &Entry, workflow: &Workflow) -> Option<String> {
    let text = telling::told(&entry.event, workflow)?;
    Some(format!("{} {text}", time::clock(entry.at_unix_ms)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::{self, Story};

    #[test]
    fn a_frame_shows_what_is_done_under_way_and_how_much_waits() {
        let mut story = Story::begin();
        story.approve();
        story.done("measure0", json!({}));
        let history = story.history();
        let progress = Progress::from([("diagnose1".parse().unwrap(), "42 %  dividing".into())]);
        let now = story.now_ms() + 3_000;
        let frame = frame(history, history.workflow().unwrap(), &progress, now, Term::plain(60));
        assert!(frame.iter().all(|l| l.chars().count() <= 60), "{frame:#?}");
        let shown = frame.join("\n");
        for part in ["1 of 11 tasks", "✓ measure0", "▸ diagnose1", "42 % dividing", "· 9 wait"]
        {
            assert!(shown.contains(part), "{part:?} is missing:\n{shown}");
        }
    }

    #[test]
    fn a_low_terminal_keeps_the_head_and_the_newest() {
        let history = fixture::told();
        let term = Term { height: 6, ..Term::plain(80) };
        let frame = frame(&history, history.workflow().unwrap(), &Progress::new(), 0, term);
        assert_eq!(frame.len(), 5, "{frame:#?}");
        assert!(frame[0].contains("wf-1") && frame[3].contains("budget"), "{frame:#?}");
    }

    #[test]
    fn a_pipe_gets_a_line_for_everything_that_happened() {
        let history = fixture::told();
        let workflow = history.workflow().unwrap();
        let lines: Vec<_> = history.entries().iter().filter_map(|e| plain(e, workflow)).collect();
        let parts = [
            "accepted from ada",
            "gate plan approved by ada",
            "compare2: failed: check_failed: writes got 40 % slower",
            "round2: nothing of it is left",
            "undo index2: done",
            "done:",
        ];
        for part in parts {
            assert!(lines.iter().any(|l| l.contains(part)), "{part:?} is missing: {lines:#?}");
        }
    }
}
