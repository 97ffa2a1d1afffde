use deadelus_runtime::Check;
use fastrand::Rng;

use super::*;
use crate::samples::run;

fn inputs(before: Vec<Run>, after: Vec<Run>) -> CompareInputs {
    CompareInputs {
        before,
        after,
        counter: CounterChoice::Auto,
        min_counter_drop_percent: MIN_COUNTER_DROP_PERCENT,
        min_effect_percent: MIN_EFFECT_PERCENT,
        max_write_regression_percent: MAX_WRITE_REGRESSION_PERCENT,
    }
}

fn work(scan_steps: f64, blocks: f64, statements: f64) -> Counters {
    Counters {
        scan_steps: Some(scan_steps),
        blocks: Some(blocks),
        statements: Some(statements),
        ..Counters::default()
    }
}

/// Three runs that differ by a per cent.
fn runs(read_p95_ms: f64, write_p95_ms: f64, counters: Counters) -> Vec<Run> {
    [0.99, 1.0, 1.01].map(|f| run(read_p95_ms * f, write_p95_ms * f, counters)).to_vec()
}

fn judged(inputs: &CompareInputs) -> (Comparison, Vec<Check>) {
    let (comparison, checks) = judge::judge(inputs);
    let all_pass = checks.iter().all(|check| check.pass);
    assert_eq!(all_pass, comparison.verdict == Verdict::Better, "{comparison:#?} {checks:#?}");
    assert_eq!(checks.len(), judge::KINDS.len());
    (comparison, checks)
}

fn verdict(before: Vec<Run>, after: Vec<Run>) -> Verdict {
    judged(&inputs(before, after)).0.verdict
}

#[test]
fn an_index_is_seen_by_the_counter_that_it_is_about() {
    let (before, after) = (work(300_000.0, 2_206.0, 6.0), work(0.0, 23.0, 6.0));
    let (comparison, _) = judged(&inputs(runs(40.0, 5.0, before), runs(1.5, 5.0, after)));
    assert_eq!(comparison.verdict, Verdict::Better, "{}", comparison.reason);
    assert_eq!(comparison.read.counter.unwrap().counter, CounterChoice::ScanSteps);

    let (before, after) = (work(0.0, 23.0, 6.0), work(0.0, 23.0, 1.0));
    let (comparison, _) = judged(&inputs(runs(5.0, 5.0, before), runs(1.5, 5.0, after)));
    assert_eq!(comparison.verdict, Verdict::Better, "{}", comparison.reason);
    assert_eq!(comparison.read.counter.unwrap().counter, CounterChoice::Statements);
}

#[test]
fn one_of_counter_and_clock_is_not_enough() {
    let (full, less) = (work(300_000.0, 2_206.0, 6.0), work(0.0, 23.0, 6.0));
    // The 44 ms floor: the database does 1 % of the work, and nobody notices.
    assert_eq!(verdict(runs(46.0, 0.0, full), runs(45.0, 0.0, less)), Verdict::NoChange);
    // A quiet minute.
    assert_eq!(verdict(runs(40.0, 0.0, full), runs(20.0, 0.0, full)), Verdict::NoChange);
    // A loud one.
    assert_eq!(verdict(runs(40.0, 0.0, full), runs(60.0, 0.0, less)), Verdict::Worse);
}

#[test]
fn runs_that_differ_too_much_among_themselves_are_noise() {
    let spread = |counters| [10.0, 40.0, 100.0].map(|p95| run(p95, 0.0, counters)).to_vec();
    let (full, less) = (work(300_000.0, 2_206.0, 6.0), work(0.0, 23.0, 6.0));
    assert_eq!(verdict(spread(full), spread(less)), Verdict::Noisy);
}

#[test]
fn an_index_that_makes_writes_dear_is_refused_whatever_the_clocks_say() {
    let reads = (work(300_000.0, 2_206.0, 6.0), work(0.0, 23.0, 6.0));
    let with = |write_p95_ms: f64, counters, write: Counters| {
        let mut runs = runs(40.0, write_p95_ms, counters);
        runs.iter_mut().for_each(|run| run.write_counters = Some(write));
        runs
    };
    let after = |write| {
        let mut runs = with(5.0, reads.1, write);
        runs.iter_mut().for_each(|run| run.endpoints[0].p95_ms /= 20.0);
        runs
    };
    let blocks = |n| Counters { blocks: Some(n), ..Counters::default() };
    let vm_steps = |n| Counters { vm_steps: Some(n), ..Counters::default() };
    // Measured on PostgreSQL and SQLite with one more index on order_line: 3 and 2,000 rows.
    let cases = [
        (blocks(25.0), blocks(31.0), Verdict::Better),
        (blocks(6_078.0), blocks(8_190.0), Verdict::Worse),
        (vm_steps(209.0), vm_steps(227.0), Verdict::Better),
        (vm_steps(76_095.0), vm_steps(86_098.0), Verdict::Worse),
    ];
    for (write_before, write_after, expected) in cases {
        let (before, after) = (with(5.0, reads.0, write_before), after(write_after));
        let (comparison, checks) = judged(&inputs(before, after));
        assert_eq!(comparison.verdict, expected, "{write_after:?}: {}", comparison.reason);
        let write = checks.iter().find(|check| check.id == "writes_hold").unwrap();
        assert_eq!(write.pass, expected == Verdict::Better, "{write:?}");
    }
}

#[test]
fn slow_writes_are_refused_by_the_clock_when_all_of_the_interval_says_so() {
    let (full, less) = (work(300_000.0, 2_206.0, 6.0), work(0.0, 23.0, 6.0));
    assert_eq!(verdict(runs(40.0, 20.0, full), runs(2.0, 30.0, less)), Verdict::Worse);
    assert_eq!(verdict(runs(40.0, 2.0, full), runs(2.0, 2.6, less)), Verdict::Better);
    let noisy = [15.0, 25.0, 40.0].map(|write| run(2.0, write, less)).to_vec();
    assert_eq!(verdict(runs(40.0, 20.0, full), noisy), Verdict::Better);
}

#[test]
fn the_slowest_of_a_few_writes_does_not_outweigh_what_the_counter_says() {
    let (full, less) = (work(300_000.0, 2_206.0, 6.0), work(0.0, 23.0, 6.0));
    let few = |mut runs: Vec<Run>, counted: bool| {
        for run in &mut runs {
            let writes = run.endpoints.iter_mut().filter(|e| e.role == Role::Write);
            writes.for_each(|endpoint| endpoint.requests = 3);
            run.write_counters = counted.then(|| work(0.0, 25.0, 7.0));
        }
        runs
    };
    let with =
        |counted| verdict(few(runs(40.0, 8.0, full), counted), few(runs(2.0, 15.0, less), counted));
    assert_eq!(with(true), Verdict::Better);
    assert_eq!(with(false), Verdict::Worse, "without a counter the clock is all there is");
}

#[test]
fn what_fails_fast_is_not_better() {
    let (full, less) = (work(300_000.0, 2_206.0, 6.0), work(0.0, 23.0, 6.0));
    let mut failing = runs(2.0, 0.0, less);
    failing.iter_mut().for_each(|run| run.endpoints[0].errors = 10);
    assert_eq!(verdict(runs(40.0, 0.0, full), failing), Verdict::Worse);
    let mut dropping = runs(2.0, 0.0, less);
    dropping.iter_mut().for_each(|run| run.endpoints[0].dropped = 10);
    assert_eq!(verdict(runs(40.0, 0.0, full), dropping), Verdict::Worse);
}

#[test]
fn writes_in_the_mix_do_not_hide_what_reads_save() {
    // 5 statements of each write are in the count of both sides.
    let mix = |reads: f64| {
        let mut runs =
            runs(if reads > 1.0 { 40.0 } else { 4.0 }, 5.0, work(0.0, 0.0, 0.8 * reads + 1.0));
        runs.iter_mut().for_each(|run| {
            run.write_counters = Some(Counters { statements: Some(5.0), ..Counters::default() });
        });
        runs
    };
    let (comparison, _) = judged(&inputs(mix(7.0), mix(1.0)));
    let change = comparison.read.counter.unwrap();
    assert!((change.before - 7.0).abs() < 0.01 && (change.after - 1.0).abs() < 0.01, "{change:?}");
    assert_eq!(comparison.verdict, Verdict::Better);
}

#[test]
fn a_counter_that_was_not_measured_is_not_zero() {
    let nothing = || runs(40.0, 0.0, Counters::default());
    let (comparison, checks) = judged(&inputs(nothing(), runs(2.0, 0.0, Counters::default())));
    assert_eq!(comparison.verdict, Verdict::NoChange);
    assert_eq!(checks[0].measured, "not measured");
    let mut named =
        inputs(runs(40.0, 0.0, work(0.0, 0.0, 6.0)), runs(2.0, 0.0, work(0.0, 0.0, 6.0)));
    named.counter = CounterChoice::PoolWaitMs;
    assert_eq!(judged(&named).1[0].measured, "not measured");
}

#[test]
fn two_different_loads_are_not_compared() {
    let good = || runs(40.0, 5.0, work(1.0, 1.0, 1.0));
    let refused = |before: Vec<Run>, after: Vec<Run>| {
        let failure = comparable(&inputs(before, after)).unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput);
        failure.message
    };
    assert!(comparable(&inputs(good(), good())).is_ok());
    assert!(refused(good(), good()[..2].to_vec()).contains("2 after"));
    assert!(refused(good(), runs(40.0, 0.0, work(1.0, 1.0, 1.0))).contains("one load"));
    let mut faster = good();
    faster[2].intended_rate_per_s = 60.0;
    assert!(refused(good(), faster).contains("one load"));
    let mut writing = good();
    writing.iter_mut().for_each(|run| run.endpoints[0].requests = 0);
    assert!(refused(writing.clone(), writing).contains("role read"));
}

/// The same service measured twice. The clock alone is fooled now and then, as three runs must
/// be; the verdict never, because no counter fell.
#[test]
fn a_service_that_did_not_change_is_never_called_better() {
    const PAIRS: u64 = 2_000;
    let mut rng = Rng::with_seed(7);
    // The p95 of a run on a busy machine: a third more or less, now and then three times as long.
    let p95 = |rng: &mut Rng| {
        let spread = (0..4).map(|_| rng.f64() - 0.5).sum::<f64>() * 0.6;
        10.0 * spread.exp() * if rng.u8(..20) == 0 { 3.0 } else { 1.0 }
    };
    let mut fooled = 0;
    for _ in 0..PAIRS {
        let mut side = || -> Vec<Run> {
            (0..3).map(|_| run(p95(&mut rng), p95(&mut rng), work(300.0, 20.0, 6.0))).collect()
        };
        let (comparison, checks) = judged(&inputs(side(), side()));
        assert_ne!(comparison.verdict, Verdict::Better, "{comparison:?}");
        fooled += u64::from(checks[1].pass);
    }
    // Three and three runs fall apart by chance in one case of twenty.
    assert!(fooled <= PAIRS * 8 / 100, "p95_fell passed {fooled} times of {PAIRS}");
    println!("by the clock alone: {fooled} of {PAIRS} pairs; with a counter: 0");
}
