//! Tables that fit the terminal.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use crate::term::{Term, Tone};

/// A table without lines: its head, then one row after the other.
pub fn table(term: Term, head: &[&str], rows: Vec<Vec<(Tone, String)>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(term.width).unwrap_or(u16::MAX));
    if term.colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(head.iter().map(|h| cell((Tone::Dim, h.to_uppercase()))));
    for row in rows {
        table.add_row(row.into_iter().map(cell));
    }
    let text = table.to_string();
    let lines =
        text.lines().map(|line| line.trim_end().strip_prefix(' ').unwrap_or(line.trim_end()));
    lines.map(|line| format!("{line}\n")).collect()
}

fn cell((tone, text): (Tone, String)) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(comfy_table::Attribute::Bold),
        Tone::Dim => cell.add_attribute(comfy_table::Attribute::Dim),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Warn => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::Busy => cell.fg(Color::DarkCyan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fits_and_has_no_trailing_blanks() {
        let row = |text: &str| vec![(Tone::Good, "db".to_owned()), (Tone::Plain, text.to_owned())];
        let long = "a note that is much longer than the terminal is wide, so it is wrapped";
        let shown = table(Term::plain(40), &["name", "note"], vec![row("x"), row(long)]);
        assert!(shown.lines().all(|l| l.chars().count() <= 40 && l == l.trim_end()), "{shown}");
        assert!(shown.starts_with("NAME"), "{shown}");
    }
}
