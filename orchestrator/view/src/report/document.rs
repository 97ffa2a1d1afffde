//! The report as headings, paragraphs, lists and tables: what all ways of writing it share.

use super::{Change, Checked, Crew, Criterion, Figure, Report, Step};
use crate::{time, timeline::Try};

/// A title and its sections.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) title: String,
    pub(super) status: String,
    /// The outcome in a sentence.
    pub(super) lead: String,
    pub(super) sections: Vec<Section>,
}

#[derive(Debug)]
pub(super) struct Section {
    pub(super) title: &'static str,
    /// The plan line by line: a terminal has `show` and `trace` for that.
    pub(super) is_detail: bool,
    pub(super) blocks: Vec<Block>,
}

/// What a cell says, where it is a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    Warn,
    Bad,
}

impl Mark {
    /// Of a cell's whole text.
    pub(super) fn of(cell: &str) -> Option<Self> {
        match cell {
            "passed" | "met" | "done" | "reached" => Some(Self::Good),
            "failed" | "not met" | "not reached" | "held" | "stuck" | "needs-reconcile" => {
                Some(Self::Bad)
            }
            "not measured"
            | "not met, and taken back"
            | "met, then taken back"
            | "taken back"
            | "undone"
            | "skipped"
            | "passed over"
            | "cancelled"
            | "rejected" => Some(Self::Warn),
            _ => None,
        }
    }
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
    /// When each task was worked on, which may be drawn; what is open lasts to the moment given.
    Waterfall(Vec<Try>, i64),
    /// A command to type.
    Command(String),
}

/// Only sections that say something, those first that say most.
pub(super) fn of(report: &Report) -> Document {
    let brief = [
        ("Success", criteria(&report.criteria)),
        ("What was asked", vec![asked(report)]),
        ("Before and after", figures(report)),
        ("What was changed", changed(report)),
        ("What was tried and taken back", taken_back(&report.taken_back)),
        ("What is left behind", list(report.residue.iter().cloned())),
        ("Deviations from the approved plan", deviations(report)),
        ("What was found", found(report)),
        ("Budget", report.budget.iter().map(|b| Block::Paragraph(b.verdict.clone())).collect()),
        ("Incidents", list(report.incidents.iter().cloned())),
        ("How to take it back", command(&report.undo)),
    ];
    let detail = [
        ("Tasks", steps(&report.tasks)),
        ("Specialists", crews(&report.specialists)),
        ("Order", order(report)),
        ("Risks, and the way back", risks(report)),
    ];
    let evidence = [("Evidence", evidence(report))];
    let all = brief.into_iter().map(|s| (s, false));
    let all = all.chain(detail.into_iter().map(|s| (s, true)));
    let all = all.chain(evidence.into_iter().map(|s| (s, false)));
    let said = all.filter(|((_, blocks), _)| !blocks.is_empty());
    Document {
        title: report.title.clone(),
        status: report.status.clone(),
        lead: report.outcome.clone(),
        sections: said
            .map(|((title, blocks), is_detail)| Section { title, is_detail, blocks })
            .collect(),
    }
}

fn criteria(criteria: &[Criterion]) -> Vec<Block> {
    let rows = criteria.iter().map(|c| {
        let measured = c.checks.iter().map(in_words).collect::<Vec<_>>().join("; ");
        let reason = if c.reason.is_empty() { measured } else { c.reason.clone() };
        let verdict = c.verdict.in_words().to_owned();
        vec![
            verdict,
            c.criterion.clone(),
            c.kind.in_words().to_owned(),
            c.checked_by.clone(),
            reason,
        ]
    });
    table(&["verdict", "criterion", "kind", "checked in", "measured"], rows)
}

/// `p95_ms 21.3 <= 50`
fn in_words(check: &Checked) -> String {
    format!("{} {}, wanted {}", check.check, short(&check.measured), short(&check.wanted))
}

fn deviations(report: &Report) -> Vec<Block> {
    match &report.deviations[..] {
        [] if report.is_over => vec![Block::Paragraph("None.".to_owned())],
        sentences => list(sentences.iter().cloned()),
    }
}

fn steps(steps: &[Step]) -> Vec<Block> {
    let rows = steps.iter().map(|step| {
        let checks = match step.checks {
            0 => String::new(),
            all => format!("{} of {all}", step.checks_passed),
        };
        let took = match step.tries {
            0 => String::new(),
            1 => time::span(step.took_ms),
            tries => format!("{} in {tries} tries", time::span(step.took_ms)),
        };
        let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
        let what = format!("{}{note}", step.title);
        let does = format!("{} ({})", step.does, step.effect);
        vec![step.task.clone(), step.status.clone(), what, does, checks, took, step.by.clone()]
    });
    table(&["task", "came to", "what", "does", "checks", "took", "by"], rows)
}

fn crews(crews: &[Crew]) -> Vec<Block> {
    let rows = crews.iter().map(|crew| {
        vec![
            crew.specialist.clone(),
            crew.roles.join(", "),
            format!("{} of {}", crew.done, crew.tasks),
            time::span(crew.busy_ms),
            crew.instances.join(", "),
        ]
    });
    table(&["specialist", "roles", "tasks done", "busy", "processes"], rows)
}

fn order(report: &Report) -> Vec<Block> {
    let rows = report.phases.iter().map(|phase| {
        let tasks = format!("{} of {}", phase.done, phase.tasks);
        vec![phase.title.clone(), phase.milestone.clone(), phase.state.to_owned(), tasks]
    });
    let mut blocks = table(&["phase", "milestone", "state", "tasks done"], rows);
    if !report.tries.is_empty() {
        blocks.push(Block::Waterfall(report.tries.clone(), report.updated_unix_ms));
    }
    blocks
}

fn risks(report: &Report) -> Vec<Block> {
    let risks = report.risks.iter().map(|r| {
        let odds = format!("likelihood {}, impact {}", r.likelihood, r.impact);
        vec![r.risk.clone(), odds, r.mitigation.clone()]
    });
    let mut blocks = table(&["risk", "odds", "what was done about it"], risks);
    let ways = report
        .ways_back
        .iter()
        .map(|w| vec![w.task.clone(), w.promised.clone(), w.happened.clone()]);
    blocks.extend(table(&["task", "way back", "what came of it"], ways));
    blocks
}

/// No table without rows.
fn table(head: &[&'static str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Block> {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { vec![] } else { vec![Block::Table { head: head.to_vec(), rows }] }
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
        let what = what(change);
        format!("{}. Way back: {}", what.trim_end_matches(['.', ';']), change.way_back)
    }))
}

fn taken_back(changes: &[Change]) -> Vec<Block> {
    list(changes.iter().map(|change| {
        let gone = if change.is_gone { "" } else { " (not yet)" };
        let reason = if change.reason.is_empty() { "" } else { ": because " };
        format!("{}{gone}{reason}{}", what(change), change.reason)
    }))
}

/// `Create an index (index1): CREATE INDEX …`; what has no words of its own is its title.
fn what(Change { task, title, what, .. }: &Change) -> String {
    if what.starts_with(title) { what.clone() } else { format!("{title} ({task}): {what}") }
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
    let failed = report.checks.iter().filter(|c| !c.pass);
    let passed = report.checks.iter().filter(|c| c.pass);
    let checks = failed.chain(passed).map(|c| {
        let verdict = if c.pass { "passed" } else { "failed" };
        let (task, check) = (c.task.clone(), c.check.clone());
        let proof = c.evidence.as_deref().map(short).unwrap_or_default();
        vec![task, check, short(&c.measured), short(&c.wanted), verdict.to_owned(), proof]
    });
    let mut blocks =
        table(&["task", "check", "measured", "wanted", "verdict", "proved by"], checks);
    if !report.artefacts.is_empty() {
        let rows = report
            .artefacts
            .iter()
            .map(|a| vec![a.task.clone(), a.name.clone(), size(a.size_bytes), a.sha256.clone()]);
        blocks.extend(table(&["task", "artefact", "size", "sha256"], rows));
        blocks.push(Block::Command("deadelus artefact SHA256 > FILE".to_owned()));
    }
    blocks
}

/// Digests cut to what `deadelus artefact` takes: whole ones would hide what stands beside them.
pub(super) fn short(text: &str) -> String {
    if text.len() == DIGEST_CHARS && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return text[..SHORT_CHARS].to_owned();
    }
    // A comparison with one.
    match text.split_once(' ') {
        Some((op, digest)) if digest.len() == DIGEST_CHARS => format!("{op} {}", short(digest)),
        Some(_) | None => text.to_owned(),
    }
}

/// Of a SHA-256 in hexadecimal.
const DIGEST_CHARS: usize = 64;
/// Two artefacts in a store of millions rarely share this much.
const SHORT_CHARS: usize = 12;

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
