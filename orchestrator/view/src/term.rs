//! Text for a person: colour, width, lines broken at blanks. No terminal is looked at here.

/// Lines of a terminal that does not say how high it is.
pub const HEIGHT_DEFAULT_LINES: usize = 24;

/// What the output is like.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// Whether to colour.
    pub colour: bool,
    /// Columns to fit into.
    pub width: usize,
    /// Lines that can be drawn again.
    pub height: usize,
    /// Whether a person sits in front of it: lines may be drawn again.
    pub live: bool,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
    Busy,
}

impl Term {
    /// No colour: what files and other programs get.
    pub fn plain(width: usize) -> Self {
        Self { colour: false, width, height: HEIGHT_DEFAULT_LINES, live: false }
    }

    /// The text in a tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
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

/// The text in lines of at most `width` columns, broken at blanks. A longer word stays whole.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
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
pub fn hang(first: &str, text: &str, width: usize) -> String {
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
pub fn cut(text: &str, columns: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= columns {
        return text;
    }
    let mut short: String = text.chars().take(columns.saturating_sub(1)).collect();
    short.push('…');
    short
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
