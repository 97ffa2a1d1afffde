//! The report for a terminal.

use super::{
    Figure,
    document::{Block, Document, Mark, short},
};
use crate::{
    table::table,
    term::{Term, Tone, hang},
};

/// Rows of one table in a terminal; what matters stands first.
const ROWS_MAX: usize = 40;

pub(super) fn write(document: &Document, term: Term) -> String {
    let mut out = format!("{}\n", term.paint(Tone::Strong, &document.title));
    let lead = format!("{}: {}", document.status, document.lead);
    out.push_str(&hang("", &lead, term.width));
    for section in document.sections.iter().filter(|section| !section.is_detail) {
        out.push_str(&format!("\n{}\n", term.paint(Tone::Strong, section.title)));
        for block in &section.blocks {
            out.push_str(&self::block(block, term));
        }
    }
    out
}

fn block(block: &Block, term: Term) -> String {
    match block {
        Block::Facts(facts) => {
            let line =
                |(name, value): &(&str, String)| hang(&format!("  {name:<9} "), value, term.width);
            facts.iter().map(line).collect()
        }
        Block::Paragraph(text) => hang("  ", text, term.width),
        Block::List(items) => items.iter().map(|item| hang("  - ", item, term.width)).collect(),
        Block::Table { head, rows } => {
            let cells = |row: &Vec<String>| row.iter().map(|c| (tone(c), short(c))).collect();
            let mut out = table(term, head, rows.iter().take(ROWS_MAX).map(cells).collect());
            if rows.len() > ROWS_MAX {
                let rest = rows.len() - ROWS_MAX;
                out.push_str(&format!("and {rest} more, which -o md and -o html have\n"));
            }
            indented(&out)
        }
        Block::Figures(figures) => {
            let head = ["", "before", "after", "change"];
            indented(&table(term, &head, figures.iter().map(row).collect()))
        }
        Block::Waterfall(..) => String::new(),
        Block::Command(text) => format!("  {text}\n"),
    }
}

fn tone(cell: &str) -> Tone {
    match Mark::of(cell) {
        Some(Mark::Good) => Tone::Good,
        Some(Mark::Warn) => Tone::Warn,
        Some(Mark::Bad) => Tone::Bad,
        None => Tone::Plain,
    }
}

fn row(figure: &Figure) -> Vec<(Tone, String)> {
    let tone = match figure.after {
        Some(after) if after < figure.before * 0.9 => Tone::Good,
        Some(after) if after > figure.before * 1.1 => Tone::Bad,
        Some(_) | None => Tone::Plain,
    };
    let after = figure.after.map_or_else(|| "-".to_owned(), |after| figure.value(after));
    vec![
        (Tone::Plain, figure.name.clone()),
        (Tone::Plain, figure.value(figure.before)),
        (tone, after),
        (tone, figure.change()),
    ]
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
