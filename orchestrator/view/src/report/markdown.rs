//! The report for a ticket or a pull request.

use super::document::{Block, Document};

pub(super) fn write(document: &Document) -> String {
    let lead = format!("{}: {}", document.status, document.lead);
    let mut out = format!("# {}\n\n**{}**\n", plain(&document.title), plain(&lead));
    for section in &document.sections {
        out.push_str(&format!("\n## {}\n\n", section.title));
        let blocks = section.blocks.iter().map(block).filter(|block| !block.is_empty());
        let blocks: Vec<String> = blocks.collect();
        out.push_str(&blocks.join("\n"));
    }
    out
}

fn block(block: &Block) -> String {
    match block {
        Block::Facts(facts) => {
            facts.iter().map(|(name, value)| format!("- {name}: {}\n", plain(value))).collect()
        }
        Block::Paragraph(text) => format!("{}\n", plain(text)),
        Block::List(items) => items.iter().map(|item| format!("- {}\n", plain(item))).collect(),
        Block::Table { head, rows } => table(head, rows),
        Block::Figures(figures) => {
            let rows: Vec<Vec<String>> = figures
                .iter()
                .map(|f| {
                    let after = f.after.map_or_else(|| "-".to_owned(), |after| f.value(after));
                    vec![f.name.clone(), f.value(f.before), after, f.change()]
                })
                .collect();
            table(&["", "before", "after", "change"], &rows)
        }
        // A drawing; the table of tasks has the times.
        Block::Waterfall(..) => String::new(),
        Block::Command(text) => format!("```sh\n{text}\n```\n"),
    }
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell).replace('|', "\\|")).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

/// Text that came from elsewhere must not become a heading, a link or markup.
fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    for c in line.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
