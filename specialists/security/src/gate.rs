//! What every scan ends with: findings are judged, kept as SARIF, and measured as one check.

use std::collections::BTreeSet;

use deadelus_runtime::{Artefact, Check, Context, ErrorClass, Failure, sarif::MEDIA_TYPE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    files::Skipped,
    finding::{self, Finding, Judged, Level},
    sarif,
    target::SecurityTarget,
    waiver_file,
    waivers::Day,
};

/// Findings told inline, those that count first; the report has all of them.
const FINDINGS_TOLD_MAX: usize = 100;
/// Places named in a check's note: enough to begin with.
const PLACES_NOTED_MAX: usize = 3;
/// Files named that could not be read; where there are more, something else is wrong.
const UNREAD_TOLD_MAX: usize = 100;

/// Findings of one scan, and how many there are of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Findings {
    /// Those that count, at most 100; all are in the report.
    pub findings: Vec<Finding>,
    /// Neither known nor waived.
    pub new: usize,
    /// In the baseline.
    pub known: usize,
    /// Accepted for a time.
    pub waived: usize,
}

/// Where sources and configurations are looked for, and what counts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inputs {
    /// One of the target's roots; may be left out where there is only one.
    pub root: Option<String>,
    /// Files and folders in the root; all of it when there are none.
    pub paths: Vec<String>,
    /// Findings from this level on count; `error` when it is not given.
    pub fail_on: Level,
    /// The `.sarif` of an earlier scan of the same kind: what it has is known and does not count.
    pub baseline: Option<Artefact>,
}

/// What was seen in files.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) findings: Vec<Finding>,
    /// How many were looked at.
    pub(crate) files: usize,
    /// Those that should have been and could not.
    pub(crate) unread: Vec<Skipped>,
}

/// The same, judged: the checks, and the files to name.
#[derive(Debug)]
pub(crate) struct Weaknesses {
    pub(crate) found: Findings,
    pub(crate) checks: Vec<Check>,
    pub(crate) unread: Vec<Skipped>,
    pub(crate) report: Artefact,
}

/// The checks of every scan for weaknesses.
pub(crate) const WEAKNESS_CHECKS: &[(&str, &str)] = &[
    ("no_new_weakness", "nothing at or above the level, neither waived nor known"),
    ("every_file_read", "each file of such a kind could be read and understood"),
    ("something_read", "there was at least one such file"),
];

/// A scan and what it is judged by.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    /// `scan_secrets`
    pub(crate) verb: &'static str,
    /// Of the check that no finding counts.
    pub(crate) check: &'static str,
    pub(crate) findings: Vec<Finding>,
    /// The report of an earlier scan: what it has is known.
    pub(crate) baseline: Option<&'a Artefact>,
    /// Findings from this level on count.
    pub(crate) fail_on: Level,
}

/// What a scan comes to.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) findings: Findings,
    pub(crate) check: Check,
    pub(crate) report: Artefact,
}

/// Judges what was seen in files: of what was not read nothing is known, and where nothing was read
/// nothing is clean.
pub(crate) async fn weaknesses(
    cx: &Context,
    target: &SecurityTarget,
    verb: &'static str,
    inputs: &Inputs,
    seen: Seen,
) -> Result<Weaknesses, Failure> {
    let Seen { findings, files, mut unread } = seen;
    let scan = Scan {
        verb,
        check: "no_new_weakness",
        findings,
        baseline: inputs.baseline.as_ref(),
        fail_on: inputs.fail_on,
    };
    let Verdict { findings: found, check, report } = conclude(cx, target, scan).await?;
    let first = unread.first().map(|one| format!("{}: {}", one.path, one.reason));
    let every = Check::equal("every_file_read", unread.len(), 0).note(first.unwrap_or_default());
    unread.truncate(UNREAD_TOLD_MAX);
    let checks = vec![check, every, Check::at_least("something_read", files, 1)];
    Ok(Weaknesses { found, checks, unread, report })
}

/// Judges findings by baseline and waivers, and keeps the report.
pub(crate) async fn conclude(
    cx: &Context,
    target: &SecurityTarget,
    scan: Scan<'_>,
) -> Result<Verdict, Failure> {
    let baseline = match scan.baseline {
        Some(artefact) => read_baseline(cx, artefact).await?,
        None => BTreeSet::new(),
    };
    let waivers = match &target.waivers {
        Some(path) => waiver_file::read(path)?.waivers().map(|(_, waiver)| waiver).collect(),
        None => Vec::new(),
    };
    let judged = finding::judge(scan.findings, &baseline, &waivers, Day::today());
    let report = sarif::report(scan.verb, &judged).to_string().into_bytes();
    let name = format!("{}.sarif", scan.verb);
    let report = cx.keep(&name, MEDIA_TYPE, report.into()).await?;
    let counting: Vec<&Finding> = judged.new.iter().filter(|f| f.level >= scan.fail_on).collect();
    let check = Check::equal(scan.check, counting.len(), 0)
        .note(places(&counting))
        .evidence(report.clone());
    Ok(Verdict { findings: told(judged), check, report })
}

async fn read_baseline(cx: &Context, artefact: &Artefact) -> Result<BTreeSet<String>, Failure> {
    let report = cx.fetch(artefact).await?;
    sarif::fingerprints(&report).ok_or_else(|| {
        let text = format!("baseline: {} is no report of this specialist", artefact.name);
        Failure::new(ErrorClass::InvalidInput, text)
            .help("use the .sarif artefact of an earlier scan")
    })
}

fn told(mut judged: Judged) -> Findings {
    let (new, known, waived) = (judged.new.len(), judged.known.len(), judged.waived.len());
    // Stable: within a level the order of the files stays.
    judged.new.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    judged.new.truncate(FINDINGS_TOLD_MAX);
    Findings { findings: judged.new, new, known, waived }
}

fn places(counting: &[&Finding]) -> String {
    let first = counting.iter().take(PLACES_NOTED_MAX).map(|finding| finding.in_short());
    let more = counting.len().saturating_sub(PLACES_NOTED_MAX);
    let more = (more > 0).then(|| format!("and {more} more"));
    first.chain(more).collect::<Vec<_>>().join("; ")
}
