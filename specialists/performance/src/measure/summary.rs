//! From what was observed to what is reported. Pure.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::Observed;
use crate::{
    load::{
        Tally,
        tally::{EndpointTally, histogram, milliseconds},
    },
    run::{Counters, EndpointFigures, Latency, Measurement, Run, Statement, as_f64, rounded},
    sql,
    target::{Load, Role, Site, Step},
    usage::Usage,
};

/// Statements that are reported; what comes after took a share that no advice is about.
const STATEMENTS_MAX: usize = 20;
/// Characters of a statement's text: twenty of them stay far inside an inline payload.
const TEXT_MAX_CHARS: usize = 4_000;
/// Below this part of what was intended the service did not keep up.
pub(super) const ACHIEVED_MIN: f64 = 0.95;

/// All runs together. There is at least one.
pub(super) fn measurement(site: &Site, load: &Load, observed: &[Observed]) -> Measurement {
    let mut usage = Usage::default();
    let (mut requests, mut lag_ms) = (0, 0.0);
    for one in observed {
        usage.add(&one.usage);
        requests += counted(one);
        lag_ms += one.tally.lag_ms();
    }
    let (judged, all) = latencies(site, observed);
    let lag_ms = lag_ms / as_f64(all.len().max(1));
    Measurement {
        revision: observed.last().and_then(|one| one.revision[1].clone()),
        runs: observed.iter().map(|one| run(site, load, one)).collect(),
        statements: statements(&usage, requests),
        latency: attribution(&judged, &all, lag_ms, &usage.counters(requests)),
        pool_size: observed.last().and_then(|one| one.pool_size),
    }
}

/// One run.
pub(super) fn run(site: &Site, load: &Load, observed: &Observed) -> Run {
    let tally = &observed.tally;
    let achieved = tally.achieved_rate_per_s(load.duration_s);
    let writing: u64 = site
        .endpoints
        .iter()
        .zip(&tally.endpoints)
        .filter(|(step, _)| step.role == Role::Write)
        .map(|(_, endpoint)| endpoint.latency.len())
        .sum();
    Run {
        endpoints: site.endpoints.iter().zip(&tally.endpoints).map(figures).collect(),
        achieved_rate_per_s: rounded(achieved),
        intended_rate_per_s: load.rate_per_s,
        saturated: achieved < ACHIEVED_MIN * load.rate_per_s && is_on_time(tally),
        counters: rounded_counters(observed.usage.counters(counted(observed))),
        write_counters: observed.usage.write_counters(writing).map(rounded_counters),
    }
}

/// One line for each latency that occurred.
pub(super) fn histogram_csv(site: &Site, tally: &Tally) -> String {
    let mut csv = String::from("endpoint,latency_us,requests\n");
    for (step, endpoint) in site.endpoints.iter().zip(&tally.endpoints) {
        for step_of_latency in endpoint.latency.iter_recorded() {
            let (us, n) = (step_of_latency.value_iterated_to(), step_of_latency.count_at_value());
            // Writing to a string cannot fail.
            writeln!(csv, "{},{us},{n}", step.name).ok();
        }
    }
    csv
}

/// Whether the generator sent when it should: what it lost is small against what it measured.
pub(super) fn is_on_time(tally: &Tally) -> bool {
    tally.lag_p95_ms() <= lag_max_ms(tally)
}

/// Ten milliseconds, or a tenth of the p95 where that is more: beyond it the generator's own
/// machine is what was measured.
pub(super) fn lag_max_ms(tally: &Tally) -> f64 {
    (milliseconds(tally.latency().value_at_quantile(0.95)) / 10.0).max(10.0)
}

/// What "per request" divides by: the service's own count also has the requests of others, whose
/// statements are in its counters too.
fn counted(observed: &Observed) -> u64 {
    observed.usage.requests.unwrap_or_else(|| observed.tally.answered())
}

fn figures((step, tally): (&Step, &EndpointTally)) -> EndpointFigures {
    let at = |quantile| milliseconds(tally.latency.value_at_quantile(quantile));
    EndpointFigures {
        name: step.name.clone(),
        role: step.role,
        requests: tally.latency.len(),
        errors: tally.errors(),
        dropped: tally.dropped,
        p50_ms: at(0.50),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        mean_ms: rounded(tally.latency.mean() / 1_000.0),
    }
}

fn statements(usage: &Usage, requests: u64) -> Vec<Statement> {
    let all_ms: f64 = usage.statements.iter().map(|s| s.total_ms).sum();
    let mut statements: Vec<Statement> = usage
        .statements
        .iter()
        .filter(|s| !sql::is_control(&s.text))
        .map(|s| {
            let per_call = |sum: u64| rounded(as_f64(sum) / as_f64(s.calls.max(1)));
            Statement {
                text: s.text.chars().take(TEXT_MAX_CHARS).collect(),
                calls_per_request: rounded(as_f64(s.calls) / as_f64(requests.max(1))),
                rows_per_call: per_call(s.rows),
                ms_per_call: rounded(s.total_ms / as_f64(s.calls.max(1))),
                blocks_per_call: s.blocks.map(per_call),
                scan_steps_per_call: s.scan_steps.map(per_call),
                share_of_db: if all_ms > 0.0 { rounded(s.total_ms / all_ms) } else { 0.0 },
            }
        })
        .collect();
    statements.sort_by(|a, b| b.share_of_db.total_cmp(&a.share_of_db));
    statements.truncate(STATEMENTS_MAX);
    statements
}

/// Over all runs: of the slowest endpoint that reads (see [`Run::judged`]), and of all together.
fn latencies(site: &Site, observed: &[Observed]) -> (Histogram<u64>, Histogram<u64>) {
    let (mut slowest, mut all) = (histogram(), histogram());
    let any_reads = site.endpoints.iter().any(|step| step.role == Role::Read);
    for (place, step) in site.endpoints.iter().enumerate() {
        let mut latency = histogram();
        for one in observed {
            latency.add(&one.tally.endpoints[place].latency).ok();
        }
        // Histograms that resize themselves refuse nothing.
        all.add(&latency).ok();
        let p95 = |of: &Histogram<u64>| of.value_at_quantile(0.95);
        if (!any_reads || step.role == Role::Read) && p95(&latency) >= p95(&slowest) {
            slowest = latency;
        }
    }
    (slowest, all)
}

fn attribution(
    judged: &Histogram<u64>,
    all: &Histogram<u64>,
    lag_ms: f64,
    counters: &Counters,
) -> Latency {
    let at = |quantile| milliseconds(judged.value_at_quantile(quantile));
    let mean_ms = all.mean() / 1_000.0;
    let parts =
        [counters.db_ms, counters.pool_wait_ms, counters.lock_wait_ms, counters.external_ms];
    Latency {
        mean_ms: rounded(mean_ms),
        p50_ms: at(0.50),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        db_ms: counters.db_ms.map(rounded),
        pool_wait_ms: counters.pool_wait_ms.map(rounded),
        lock_wait_ms: counters.lock_wait_ms.map(rounded),
        external_ms: counters.external_ms.map(rounded),
        cpu_ms: counters.cpu_ms.map(rounded),
        generator_lag_ms: rounded(lag_ms),
        rest_ms: rounded(mean_ms - lag_ms - parts.into_iter().flatten().sum::<f64>()),
    }
}

fn rounded_counters(counters: Counters) -> Counters {
    Counters {
        db_ms: counters.db_ms.map(rounded),
        pool_wait_ms: counters.pool_wait_ms.map(rounded),
        external_ms: counters.external_ms.map(rounded),
        lock_wait_ms: counters.lock_wait_ms.map(rounded),
        handler_ms: counters.handler_ms.map(rounded),
        cpu_ms: counters.cpu_ms.map(rounded),
        statements: counters.statements.map(rounded),
        blocks: counters.blocks.map(rounded),
        scan_steps: counters.scan_steps.map(rounded),
        vm_steps: counters.vm_steps.map(rounded),
    }
}
