//! The report for a terminal.

use super::{
    Figure,
    document::{Block, Document},
};
use crate::{
    table::table,
    term::{Term, Tone, hang},
};

pub(super) fn write(document: &Document, term: Term) -> String {
    let mut out = format!("{}\n", term.paint(Tone::Strong, &document.title));
    out.push_str(&hang("", &document.lead, term.width));
    for section in &document.sections {
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
            let plain = |row: &Vec<String>| row.iter().map(|c| (Tone::Plain, short(c))).collect();
            indented(&table(term, head, rows.iter().map(plain).collect()))
        }
        Block::Figures(figures) => {
            let head = ["", "before", "after", "change"];
            indented(&table(term, &head, figures.iter().map(row).collect()))
        }
        Block::Command(text) => format!("  {text}\n"),
    }
}

/// Digests cut to what `deadelus artefact` takes: whole ones would fill the terminal.
fn short(cell: &str) -> String {
    if cell.len() == DIGEST_CHARS && cell.bytes().all(|b| b.is_ascii_hexdigit()) {
        return cell[..SHORT_CHARS].to_owned();
    }
    // A comparison with one.
    match cell.split_once(' ') {
        Some((op, digest)) if digest.len() == DIGEST_CHARS => format!("{op} {}", short(digest)),
        Some(_) | None => cell.to_owned(),
    }
}

/// Of a SHA-256 in hexadecimal.
const DIGEST_CHARS: usize = 64;
/// Two artefacts in a store of millions rarely share this much.
const SHORT_CHARS: usize = 12;

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
