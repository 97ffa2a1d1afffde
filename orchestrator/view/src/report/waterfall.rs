//! When each task was worked on, as a drawing. Pure.

use super::html::text;
use crate::{
    time,
    timeline::{Outcome, Try},
};
use deadelus_proto::Direction;

/// Units of the drawing; a browser fits it to the page.
const WIDTH: f64 = 900.0;
/// Where the bars begin.
const NAMES: f64 = 190.0;
/// From one task to the next.
const ROW: usize = 20;
/// Of the names: longer ones are cut.
const NAME_MAX_CHARS: usize = 24;
/// Tasks drawn; the table has all.
const ROWS_MAX: usize = 150;
/// Lines across, the last at the end.
const TICKS: u32 = 4;

/// One row a task, in the order in which they were first asked for; empty when none was.
pub(super) fn draw(tries: &[Try], now_unix_ms: i64) -> String {
    let Some(begin) = tries.iter().map(|one| one.asked_unix_ms).min() else {
        return String::new();
    };
    let end = tries.iter().map(|one| one.span(now_unix_ms).1).max().unwrap_or(begin);
    let whole = (end - begin).max(1);
    let mut names = vec![];
    for one in tries {
        if !names.contains(&&one.task) && names.len() < ROWS_MAX {
            names.push(&one.task);
        }
    }
    let height = (names.len() + 1) * ROW + 4;
    let mut out = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"When each task was \
         worked on\">\n"
    );
    out.extend((0..=TICKS).map(|n| tick(n, whole, height)));
    for (row, name) in names.into_iter().enumerate() {
        let y = (row + 1) * ROW;
        let short = crate::term::cut(name.as_str(), NAME_MAX_CHARS);
        out.push_str(&format!("<text x=\"0\" y=\"{}\">{}</text>\n", y + 12, text(&short)));
        let own = tries.iter().filter(|one| one.task == *name);
        out.extend(own.map(|one| bar(one, begin, whole, y, now_unix_ms)));
    }
    out.push_str("</svg>\n");
    out
}

fn place(ms: i64, whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
    let share = ms as f64 / whole as f64;
    NAMES + share * (WIDTH - NAMES)
}

fn tick(n: u32, whole: i64, height: usize) -> String {
    let ms = whole * i64::from(n) / i64::from(TICKS);
    let x = place(ms, whole);
    let anchor = if n == TICKS { "end" } else { "start" };
    format!(
        "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height}\"/><text class=\"tick\" x=\"{:.1}\" \
         y=\"12\" text-anchor=\"{anchor}\">{}</text>\n",
        if n == TICKS { x - 4.0 } else { x + 4.0 },
        time::span(ms),
    )
}

fn bar(one: &Try, begin: i64, whole: i64, y: usize, now_unix_ms: i64) -> String {
    let (from, to) = one.span(now_unix_ms);
    let (left, right) = (place(from - begin, whole), place(to - begin, whole));
    let class = match (one.direction, one.outcome) {
        (_, Outcome::Failed | Outcome::TimedOut | Outcome::Dropped) => "bad",
        (_, Outcome::Open) => "open",
        (Direction::Undo, Outcome::Done) => "back",
        (Direction::Do, Outcome::Done) => "good",
    };
    let way = if one.direction == Direction::Undo { "undo of " } else { "" };
    let told = format!("{way}{}, {}, {}", one.task, time::span(to - from), one.instance);
    format!(
        "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{}\" width=\"{:.1}\" height=\"12\" rx=\"2\">\
         <title>{}</title></rect>\n",
        y + 3,
        (right - left).max(2.0),
        text(told.trim_end_matches(", ")),
    )
}
