//! Whether a measurement can be believed. Pure.

use deadelus_runtime::Check;

use super::{
    Observed,
    summary::{ACHIEVED_MIN, lag_max_ms},
};
use crate::{
    run::{Measurement, Run, rounded},
    target::Load,
};

/// What is checked, for the descriptor.
pub(super) const KINDS: &[(&str, &str)] = &[
    ("generator_on_time", "the generator sent each request when it was due, in every run"),
    ("rate_held", "at least 95 % of the intended rate was answered, or the service was saturated"),
    ("requests_answered", "in every run the service gave answers"),
    ("requests_counted", "the service counted the requests that were answered, and no others"),
    ("one_revision", "one revision of the service answered from the first run to the last"),
];

/// Checks that say how quiet the generator's machine was, and nothing of the service.
pub(crate) const OF_THE_MACHINE: [&str; 2] = ["generator_on_time", "rate_held"];

/// The worst run decides each.
pub(super) fn of(load: &Load, observed: &[Observed], measured: &Measurement) -> Vec<Check> {
    let mut checks = vec![on_time(observed), rate_held(load, &measured.runs), answered(observed)];
    if observed.iter().any(|one| one.usage.requests.is_some()) {
        checks.push(counted(observed));
    }
    if observed.iter().any(|one| one.revision[0].is_some()) {
        checks.push(one_revision(observed));
    }
    checks
}

fn on_time(observed: &[Observed]) -> Check {
    let late = |one: &Observed| one.tally.lag_p95_ms() - lag_max_ms(&one.tally);
    let worst = observed.iter().max_by(|a, b| late(a).total_cmp(&late(b)));
    let (lag, most) = worst.map_or((0.0, 0.0), |o| (o.tally.lag_p95_ms(), lag_max_ms(&o.tally)));
    Check::at_most("generator_on_time", Milliseconds(lag), Milliseconds(rounded(most)))
        .note("p95 of how late the generator itself was, in the worst run")
}

fn rate_held(load: &Load, runs: &[Run]) -> Check {
    let slowest = |a: &&Run, b: &&Run| a.achieved_rate_per_s.total_cmp(&b.achieved_rate_per_s);
    let behind = runs.iter().filter(|run| !run.saturated).min_by(slowest);
    let saturated = runs.iter().filter(|run| run.saturated).count();
    let achieved = behind.map_or(load.rate_per_s, |run| run.achieved_rate_per_s);
    let check = Check::at_least(
        "rate_held",
        PerSecond(achieved),
        PerSecond(rounded(ACHIEVED_MIN * load.rate_per_s)),
    );
    match saturated {
        0 => check,
        n => check.note(format!("in {n} of {} runs the service did not keep up", runs.len())),
    }
}

fn answered(observed: &[Observed]) -> Check {
    let fewest = observed.iter().map(|one| one.tally.answered()).min().unwrap_or(0);
    let dropped: u64 = observed.iter().map(|one| one.tally.dropped()).sum();
    let lost: u64 = observed.iter().map(|one| one.tally.unanswered()).sum();
    Check::at_least("requests_answered", fewest, 1).note(format!(
        "in the worst run; over all runs {dropped} were dropped and {lost} got no answer"
    ))
}

/// A request without an answer may or may not have been counted.
fn counted(observed: &[Observed]) -> Check {
    let off = observed.iter().filter_map(|one| {
        let counted = one.usage.requests?;
        let (low, high) = (one.tally.answered(), one.tally.sent());
        Some(low.saturating_sub(counted).max(counted.saturating_sub(high)))
    });
    Check::equal("requests_counted", off.max().unwrap_or(0), 0).note(
        "difference between the service's count and the generator's, in the worst run; \
         other traffic or a second process behind the address makes one",
    )
}

fn one_revision(observed: &[Observed]) -> Check {
    let mut seen: Vec<&str> =
        observed.iter().flat_map(|one| &one.revision).flatten().map(String::as_str).collect();
    seen.sort_unstable();
    seen.dedup();
    Check::equal("one_revision", seen.len(), 1).note(seen.join(", "))
}

/// Shown with its unit.
#[derive(PartialEq, PartialOrd)]
struct Milliseconds(f64);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Shown with its unit.
#[derive(PartialEq, PartialOrd)]
struct PerSecond(f64);

impl std::fmt::Display for PerSecond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/s", self.0)
    }
}
