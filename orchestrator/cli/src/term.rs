//! How text reaches a person: colour, width, and a pipe that may be closed.

use std::io::{self, IsTerminal, Write};

use crate::error::CliError;

/// Columns of a terminal that does not say how wide it is, and of files and pipes.
const WIDTH_DEFAULT_COLUMNS: usize = 100;
/// Narrower than this a table is no table any more.
const WIDTH_MIN_COLUMNS: usize = 40;
/// Wider lines are not read.
const WIDTH_MAX_COLUMNS: usize = 140;

/// Lines of a terminal that does not say how high it is.
const HEIGHT_DEFAULT_LINES: usize = 24;

/// What the output is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    /// Whether to colour.
    pub(crate) colour: bool,
    /// Columns to fit into.
    pub(crate) width: usize,
    /// Lines that can be drawn again.
    pub(crate) height: usize,
    /// Whether a person sits in front of it: lines may be drawn again.
    pub(crate) live: bool,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
    Busy,
}

impl Term {
    /// Of standard output. `NO_COLOR` (any value but the empty one) and `TERM=dumb` are honoured.
    pub(crate) fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Self {
            colour: terminal && !dumb && !set("NO_COLOR"),
            width: columns().clamp(WIDTH_MIN_COLUMNS, WIDTH_MAX_COLUMNS),
            height: size().map_or(HEIGHT_DEFAULT_LINES, |(_, lines)| lines),
            live: terminal && !dumb,
        }
    }

    /// No colour: what tests and files get.
    #[cfg(test)]
    pub(crate) fn plain(width: usize) -> Self {
        Self { colour: false, width, height: HEIGHT_DEFAULT_LINES, live: false }
    }

    /// The text in a tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => "1",
            Tone::Dim => "2",
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Busy => "36",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
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

/// The text in lines of at most `width` columns, broken at blanks. A longer word stays whole.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = line.chars().count();
        if length > 0 && length + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The text wrapped, with `first` before the first line and as many blanks before the others.
pub(crate) fn hang(first: &str, text: &str, width: usize) -> String {
    let indent = first.chars().count();
    let lines = wrap(text, width.saturating_sub(indent).max(20));
    let blanks = " ".repeat(indent);
    let mut out = String::new();
    for (n, line) in lines.iter().enumerate() {
        out.push_str(if n == 0 { first } else { &blanks });
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// The text cut to a number of columns, with an ellipsis.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= columns {
        return text;
    }
    let mut short: String = text.chars().take(columns.saturating_sub(1)).collect();
    short.push('…');
    short
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keeps_every_word_and_the_width() {
        let text = "an index that makes writing dearer than reading gains";
        let lines = wrap(text, 20);
        assert!(lines.iter().all(|l| l.chars().count() <= 20), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(hang("- ", "a b", 80), "- a b\n");
        assert_eq!(cut("one  two three", 8), "one two…");
    }

    #[test]
    fn nothing_is_coloured_without_a_terminal() {
        assert_eq!(Term::plain(80).paint(Tone::Bad, "x"), "x");
    }
}
