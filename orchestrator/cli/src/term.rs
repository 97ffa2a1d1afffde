//! How text reaches a person: colour, width, and a pipe that may be closed.

use std::io::{self, IsTerminal, Write};

use deadelus_view::term::HEIGHT_DEFAULT_LINES;
pub(crate) use deadelus_view::term::{Term, Tone, cut, hang};

use crate::error::CliError;

/// Columns of a terminal that does not say how wide it is, and of files and pipes.
const WIDTH_DEFAULT_COLUMNS: usize = 100;
/// Narrower than this a table is no table any more.
const WIDTH_MIN_COLUMNS: usize = 40;
/// Wider lines are not read.
const WIDTH_MAX_COLUMNS: usize = 140;

/// What standard output is like. `NO_COLOR` (any value but the empty one) and `TERM=dumb` are
/// honoured.
pub(crate) fn stdout() -> Term {
    let terminal = io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    Term {
        colour: terminal && !dumb && !set("NO_COLOR"),
        width: columns().clamp(WIDTH_MIN_COLUMNS, WIDTH_MAX_COLUMNS),
        height: size().map_or(HEIGHT_DEFAULT_LINES, |(_, lines)| lines),
        live: terminal && !dumb,
    }
}

/// Writes to standard output, all of it.
///
/// # Errors
/// [`CliError::Output`]; a reader that has gone away is one of them, and `main` ends quietly then.
pub(crate) fn say(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// The same with a line's end.
pub(crate) fn say_line(text: &str) -> Result<(), CliError> {
    say(&format!("{text}\n"))
}

/// A value as JSON, for programs.
pub(crate) fn say_json<T: serde::Serialize>(value: &T) -> Result<(), CliError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|e| CliError::Output(io::Error::other(e)))?;
    say_line(&text)
}

/// A line for the person on standard error: progress, warnings. Lost when nobody listens.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn columns() -> usize {
    let said = || std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let asked = size().map(|(columns, _)| columns);
    asked.or_else(said).unwrap_or(WIDTH_DEFAULT_COLUMNS)
}

/// Columns and lines of the terminal that standard output is, if it is one and says so.
fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    let (columns, lines) = (usize::from(size.ws_col), usize::from(size.ws_row));
    (columns > 0 && lines > 0).then_some((columns, lines))
}
