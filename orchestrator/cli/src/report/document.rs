//! The report as headings, paragraphs, lists and tables: what all ways of writing it share.

use super::{Change, Figure, Report};
use crate::time;

/// Checks that passed are counted when there are more of them than this.
const CHECKS_MAX: usize = 40;

/// A title and its sections.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) title: String,
    /// The outcome in a sentence.
    pub(super) lead: String,
    pub(super) sections: Vec<Section>,
}

#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug)]
pub(super) enum Block {
    /// Names and what they are.
    Facts(Vec<(&'static str, String)>),
    Paragraph(String),
    List(Vec<String>),
    Table {
        head: Vec<&'static str>,
        rows: Vec<Vec<String>>,
    },
    /// Before and after, which may be drawn.
    Figures(Vec<Figure>),
    /// A command to type.
    Command(String),
}

/// Only sections that say something.
pub(super) fn of(report: &Report) -> Document {
    let sections = [
        ("What was asked", vec![asked(report)]),
        ("Before and after", figures(report)),
        ("What was changed", changed(report)),
        ("What was tried and taken back", taken_back(&report.taken_back)),
        ("What was found", found(report)),
        ("Budget", report.budget.iter().map(|b| Block::Paragraph(b.verdict.clone())).collect()),
        (
            "What failed",
            list(report.failed.iter().map(|f| format!("{} ({}): {}", f.title, f.task, f.message))),
        ),
        ("What is left behind", list(report.residue.iter().cloned())),
        ("Incidents", list(report.incidents.iter().cloned())),
        ("Evidence", evidence(report)),
        ("How to take it back", command(&report.undo)),
    ];
    let sections = sections.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    Document {
        title: report.title.clone(),
        lead: format!("{}: {}", report.status, report.outcome),
        sections: sections.map(|(title, blocks)| Section { title, blocks }).collect(),
    }
}

fn asked(report: &Report) -> Block {
    let took = time::span(report.updated_unix_ms - report.started_unix_ms);
    let facts = [
        ("request", report.request.clone()),
        ("target", report.target.clone()),
        ("workflow", report.workflow.clone()),
        ("started", format!("{} by {}", time::moment(report.started_unix_ms), report.submitted_by)),
        ("approved", report.approved_by.clone()),
        ("took", took),
        ("plan", report.plan_digest.clone()),
        ("trace", report.trace_id.clone()),
    ];
    Block::Facts(facts.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

fn figures(report: &Report) -> Vec<Block> {
    if report.figures.is_empty() { vec![] } else { vec![Block::Figures(report.figures.clone())] }
}

fn changed(report: &Report) -> Vec<Block> {
    if report.kept.is_empty() {
        return vec![Block::Paragraph("Nothing stands.".to_owned())];
    }
    list(report.kept.iter().map(|change| {
        format!("{} ({}): {}; {}", change.title, change.task, change.what, change.way_back)
    }))
}

fn taken_back(changes: &[Change]) -> Vec<Block> {
    list(changes.iter().map(|change| {
        let gone = if change.is_gone { "" } else { " (not yet)" };
        let reason = if change.reason.is_empty() { "" } else { ": because " };
        let (task, what) = (&change.task, &change.what);
        format!("{} ({task}): {what}{gone}{reason}{}", change.title, change.reason)
    }))
}

fn found(report: &Report) -> Vec<Block> {
    let mut blocks = vec![];
    for diagnosis in &report.found {
        let when = if diagnosis.is_current { "as it is now" } else { "at that time" };
        blocks.push(Block::Paragraph(format!("Where the time went, {when} ({}):", diagnosis.task)));
        blocks.extend(list(diagnosis.causes.iter().map(|cause| {
            let percent = cause.share * 100.0;
            let parts = [cause.evidence.as_str(), cause.advice.as_str()];
            let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
            format!("{percent:.0} % {}: {}", cause.cause.replace('_', " "), parts.join(" → "))
        })));
    }
    blocks
}

fn evidence(report: &Report) -> Vec<Block> {
    let mut blocks = vec![];
    let failed = report.checks.iter().filter(|c| !c.pass);
    let passed = report.checks.iter().filter(|c| c.pass);
    let shown: Vec<_> = failed.chain(passed).take(CHECKS_MAX).collect();
    if !shown.is_empty() {
        let rows = shown.into_iter().map(|c| {
            let verdict = if c.pass { "passed" } else { "failed" };
            vec![
                c.task.clone(),
                c.check.clone(),
                c.measured.clone(),
                c.wanted.clone(),
                verdict.into(),
            ]
        });
        let head = vec!["task", "check", "measured", "wanted", "verdict"];
        blocks.push(Block::Table { head, rows: rows.collect() });
    }
    if report.checks.len() > CHECKS_MAX {
        let rest = report.checks.len() - CHECKS_MAX;
        blocks.push(Block::Paragraph(format!("and {rest} more that passed")));
    }
    let rows = report
        .artefacts
        .iter()
        .map(|a| vec![a.task.clone(), a.name.clone(), size(a.size_bytes), a.sha256.clone()]);
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        let head = vec!["task", "artefact", "size", "sha256"];
        blocks.push(Block::Table { head, rows });
        blocks.push(Block::Command("deadelus artefact SHA256 > FILE".to_owned()));
    }
    blocks
}

fn command(text: &str) -> Vec<Block> {
    if text.is_empty() { vec![] } else { vec![Block::Command(text.to_owned())] }
}

fn list(items: impl Iterator<Item = String>) -> Vec<Block> {
    let items: Vec<String> = items.collect();
    if items.is_empty() { vec![] } else { vec![Block::List(items)] }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
