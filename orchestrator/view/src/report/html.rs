//! The report as one HTML file: nothing is loaded, nothing is run.

use super::{
    Figure,
    document::{Block, Document, Mark, short},
    waterfall,
};

const STYLE: &str = "\
:root{--good:#1a7f37;--warn:#9a6700;--bad:#cf222e;--quiet:#57606a;--line:#d0d7de;--soft:#f6f8fa}\
body{font:16px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
h1{font-size:1.6rem;margin-bottom:.4rem}\
h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid var(--line)}\
.lead{font-size:1.1rem;background:var(--soft);border-left:5px solid var(--quiet);padding:.7rem 1rem}\
.lead b{text-transform:uppercase;letter-spacing:.04em;margin-right:.6rem}\
.lead.good{border-color:var(--good)}.lead.warn{border-color:var(--warn)}.lead.bad{border-color:var(--bad)}\
.wide{overflow-x:auto;margin-bottom:1rem}table{border-collapse:collapse;width:100%;font-size:.88rem}\
td,th{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #eaeef2;overflow-wrap:break-word}\
th{color:var(--quiet);font-weight:600;white-space:nowrap}td.brief{white-space:nowrap}td.hash{font-family:ui-monospace,monospace;font-size:.78rem;overflow-wrap:anywhere}\
td.good,td.warn,td.bad{white-space:nowrap;font-weight:600}\
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}p.lead{color:inherit}\
dl{display:grid;grid-template-columns:7rem 1fr;gap:.2rem}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}\
pre{background:var(--soft);padding:.6rem 1rem;overflow-x:auto}svg{vertical-align:middle}\
.chart{width:100%;font-size:12px;margin-top:1rem}.chart line{stroke:var(--line)}.chart .tick{fill:var(--quiet)}\
rect.good{fill:var(--good)}rect.back{fill:#bf8700}rect.bad{fill:var(--bad)}rect.open{fill:#afb8c1}\
.key{color:var(--quiet);font-size:.85rem}\
@media print{body{max-width:none;margin:0}h2{break-after:avoid}tr{break-inside:avoid}}";

/// Pixels of the longest bar.
const BAR_MAX_PIXELS: f64 = 160.0;

pub(super) fn write(document: &Document) -> String {
    let title = text(&document.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n\
         <p class=\"lead {}\"><b class=\"{0}\">{}</b>{}</p>\n",
        Mark::of(&document.status).map(class).unwrap_or_default(),
        text(&document.status),
        text(&document.lead)
    );
    for section in &document.sections {
        out.push_str(&format!("<h2>{}</h2>\n", section.title));
        out.extend(section.blocks.iter().map(block));
    }
    out.push_str("</body></html>\n");
    out
}

fn block(block: &Block) -> String {
    match block {
        Block::Facts(facts) => {
            let fact = |(name, value): &(&str, String)| {
                format!("<dt>{}</dt><dd>{}</dd>\n", text(name), text(value))
            };
            format!("<dl>\n{}</dl>\n", facts.iter().map(fact).collect::<String>())
        }
        Block::Paragraph(words) => format!("<p>{}</p>\n", text(words)),
        Block::List(items) => {
            let items: String = items.iter().map(|i| format!("<li>{}</li>\n", text(i))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Table { head, rows } => {
            let rows: String = rows.iter().map(|row| table_row(row)).collect();
            format!("<div class=\"wide\"><table>\n{}{rows}</table></div>\n", table_head(head))
        }
        Block::Figures(figures) => {
            let rows: String = figures.iter().map(figure_row).collect();
            let head = table_head(&["", "before", "after", "change", ""]);
            format!("<table>\n{head}{rows}</table>\n")
        }
        Block::Waterfall(tries, until) => format!("{}{KEY}", waterfall::draw(tries, *until)),
        Block::Command(words) => format!("<pre>{}</pre>\n", text(words)),
    }
}

/// What the colours of the waterfall mean.
const KEY: &str = "<p class=\"key\">Green: done. Red: failed or given up. Yellow: taken back. Grey: nobody \
                   has answered yet.</p>\n";

fn class(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "good",
        Mark::Warn => "warn",
        Mark::Bad => "bad",
    }
}

fn table_head(names: &[&str]) -> String {
    let cells: String = names.iter().map(|name| format!("<th>{name}</th>")).collect();
    format!("<tr>{cells}</tr>\n")
}

/// A number with its unit, a name: broken into lines it would be hard to read.
const BRIEF_MAX_BYTES: usize = 14;

fn table_row(cells: &[String]) -> String {
    let cell = |cell: &String| match Mark::of(cell) {
        Some(mark) => format!("<td class=\"{}\">{}</td>", class(mark), text(cell)),
        None if short(cell) != *cell => format!("<td class=\"hash\">{}</td>", text(cell)),
        None if cell.len() <= BRIEF_MAX_BYTES => format!("<td class=\"brief\">{}</td>", text(cell)),
        None => format!("<td>{}</td>", text(cell)),
    };
    format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
}

fn figure_row(figure: &Figure) -> String {
    let after = figure.after.map_or_else(|| "-".to_owned(), |after| figure.value(after));
    let cells = [figure.name.clone(), figure.value(figure.before), after, figure.change()];
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", text(cell))).collect();
    format!("<tr>{cells}<td>{}</td></tr>\n", bars(figure))
}

/// Two bars on one scale, before above after.
fn bars(figure: &Figure) -> String {
    let most = figure.before.max(figure.after.unwrap_or_default());
    if most <= 0.0 {
        return String::new();
    }
    let width = |value: f64| (value / most * BAR_MAX_PIXELS).max(1.0);
    let bar = |y: u8, value: f64, colour: &str| {
        format!("<rect y=\"{y}\" width=\"{:.0}\" height=\"8\" fill=\"{colour}\"/>", width(value))
    };
    let after = figure.after.map(|after| bar(10, after, "#0969da")).unwrap_or_default();
    format!(
        "<svg width=\"{BAR_MAX_PIXELS:.0}\" height=\"18\" role=\"img\" aria-label=\"{}\">{}{after}</svg>",
        text(&figure.in_words()),
        bar(0, figure.before, "#afb8c1"),
    )
}

/// Text that came from elsewhere must not become markup.
pub(super) fn text(words: &str) -> String {
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
