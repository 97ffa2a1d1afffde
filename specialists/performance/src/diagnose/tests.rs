use super::*;
use crate::{
    run::Latency,
    samples::{latency, measurement, statement},
};

const LINES: &str = "SELECT id FROM order_line WHERE order_id = $1";
const PRODUCT: &str = "SELECT id, name FROM product WHERE id = $1";

fn scan(rows: f64) -> Vec<Plan> {
    let scan = FullScan {
        table: "order_line".to_owned(),
        columns: vec!["order_id".to_owned()],
        rows_estimate: Some(rows),
    };
    vec![Plan { statement: LINES.to_owned(), full_scans: vec![scan] }]
}

fn shop(parts: Latency, statements: Vec<Statement>) -> Measurement {
    Measurement { statements, ..measurement(parts) }
}

fn causes(measurement: &Measurement, plans: &[Plan]) -> Vec<(Cause, f64)> {
    let diagnosis = diagnose(measurement, plans, &Budget::default());
    for check in checks(&diagnosis) {
        assert!(check.pass, "{check:?} of {diagnosis:#?}");
    }
    assert_eq!(diagnosis.cause, diagnosis.causes[0].cause);
    diagnosis.causes.iter().map(|finding| (finding.cause, finding.share)).collect()
}

fn first(measurement: &Measurement, plans: &[Plan]) -> Cause {
    let causes = causes(measurement, plans);
    assert!(causes.is_sorted_by(|a, b| a.1 >= b.1), "{causes:?}");
    causes[0].0
}

/// Where the N+1 and the scan are both there: the figures of a shop of 300,000 order lines.
fn slow_shop() -> Measurement {
    let statements = vec![statement(LINES, 1.0, 5.0, 28.0), statement(PRODUCT, 5.0, 1.0, 0.4)];
    shop(latency(40.0, 30.0, 2.0, 0.0, 0.0), statements)
}

#[test]
fn the_greater_cause_comes_first_and_the_other_stays_visible() {
    let both = causes(&slow_shop(), &scan(300_000.0));
    assert_eq!(both[0].0, Cause::MissingIndex);
    assert!(both.iter().any(|(cause, _)| *cause == Cause::NPlusOne), "{both:?}");

    let statements = vec![statement(LINES, 1.0, 5.0, 1.0), statement(PRODUCT, 50.0, 1.0, 0.5)];
    let looping = shop(latency(40.0, 26.0, 2.0, 0.0, 0.0), statements);
    assert_eq!(first(&looping, &scan(300_000.0)), Cause::NPlusOne);
}

#[test]
fn the_statement_to_cure_is_handed_on() {
    let diagnosis = diagnose(&slow_shop(), &scan(300_000.0), &Budget::default());
    assert_eq!(diagnosis.statement.unwrap().text, LINES);
    assert!(diagnosis.causes[0].evidence.contains("order_line"), "{:?}", diagnosis.causes[0]);
    assert!(diagnosis.causes[0].advice.contains("order_line(order_id)"));
}

#[test]
fn no_index_is_missing_without_a_scan_worth_sparing() {
    let table_too_small = scan(500.0);
    let mut everything_wanted = scan(300_000.0);
    everything_wanted[0].full_scans[0].columns.clear();
    for plans in [vec![], table_too_small, everything_wanted] {
        let causes = causes(&slow_shop(), &plans);
        assert!(causes.iter().all(|(cause, _)| *cause != Cause::MissingIndex), "{causes:?}");
    }
    let half_of_it = vec![statement(LINES, 1.0, 60_000.0, 28.0)];
    let report = shop(latency(40.0, 30.0, 2.0, 0.0, 0.0), half_of_it);
    assert_eq!(first(&report, &scan(120_000.0)), Cause::Cpu);
}

#[test]
fn a_loop_is_seen_in_a_mix_where_it_is_rare() {
    // One request in ten is a checkout: half a call per request, and still five for each.
    let rare = vec![statement(LINES, 0.1, 5.0, 1.0), statement(PRODUCT, 0.5, 1.0, 40.0)];
    let shop_of_many = shop(latency(40.0, 30.0, 2.0, 0.0, 0.0), rare);
    assert_eq!(first(&shop_of_many, &[]), Cause::NPlusOne);
    // The same calls without anything they would follow from are no loop.
    let alone = vec![statement(PRODUCT, 0.5, 1.0, 40.0)];
    assert_eq!(first(&shop(latency(40.0, 30.0, 2.0, 0.0, 0.0), alone), &[]), Cause::Cpu);
    let inserts = vec![statement("INSERT INTO order_line VALUES ($1)", 5.0, 1.0, 6.0)];
    assert_eq!(first(&shop(latency(40.0, 30.0, 2.0, 0.0, 0.0), inserts), &[]), Cause::Cpu);
}

/// All of these have the scan too, and it must not be blamed: it takes 1 ms.
#[test]
fn what_an_index_cannot_cure_is_not_blamed_on_one() {
    let cases = [
        ("44 ms floor", latency(46.0, 1.2, 0.1, 0.0, 0.0), Cause::NotDb),
        ("sleeping dependency", latency(210.0, 1.2, 0.1, 0.0, 205.0), Cause::SlowExternal),
        ("lock held elsewhere", latency(900.0, 1.2, 0.1, 880.0, 0.0), Cause::LockWait),
        ("pool of one", latency(400.0, 1.2, 350.0, 0.0, 40.0), Cause::PoolExhausted),
    ];
    for (name, parts, expected) in cases {
        let mut slow = shop(parts, vec![statement(LINES, 1.0, 5.0, 1.0)]);
        slow.pool_size = Some(if name == "pool of one" { 1 } else { 4 });
        assert_eq!(first(&slow, &scan(300_000.0)), expected, "{name}");
        let advice = &diagnose(&slow, &scan(300_000.0), &Budget::default()).causes[0].advice;
        assert!(!advice.contains("db.advise"), "{name}: {advice}");
    }
}

#[test]
fn requests_that_queue_behind_scans_do_not_make_the_pool_guilty() {
    // Four connections are busy 76 ms of each request at 50 requests/s: 95 % of their time.
    let statements = vec![statement(LINES, 1.0, 5.0, 76.0)];
    let mut queueing = shop(latency(500.0, 76.0, 420.0, 0.0, 0.0), statements);
    assert_eq!(first(&queueing, &scan(300_000.0)), Cause::MissingIndex);
    // The same wait while connections are held for something that is not a statement.
    queueing.statements[0].ms_per_call = 4.0;
    queueing.latency = latency(500.0, 4.0, 420.0, 0.0, 70.0);
    assert_eq!(first(&queueing, &scan(300_000.0)), Cause::PoolExhausted);
    // Or behind a lock.
    queueing.latency = latency(500.0, 4.0, 400.0, 76.0, 0.0);
    assert_eq!(first(&queueing, &scan(300_000.0)), Cause::LockWait);
    // Nobody knows how many connections there are.
    queueing.pool_size = None;
    assert_eq!(first(&queueing, &scan(300_000.0)), Cause::PoolExhausted);
}

#[test]
fn work_of_the_service_is_told_from_waiting_when_it_is_counted() {
    let mut parts = latency(60.0, 1.0, 0.0, 0.0, 0.0);
    assert_eq!(first(&measurement(parts), &[]), Cause::NotDb);
    parts.cpu_ms = Some(50.0);
    assert_eq!(causes(&measurement(parts), &[])[0], (Cause::Cpu, 0.85));
}

#[test]
fn a_statement_that_waited_for_a_lock_is_not_blamed_for_the_wait() {
    // 30 ms in the statement, of which 25 were seen waiting for a lock.
    let parts = latency(32.0, 5.0, 0.0, 25.0, 0.0);
    let causes = causes(&shop(parts, vec![statement(LINES, 1.0, 5.0, 30.0)]), &scan(300_000.0));
    assert_eq!(causes[0].0, Cause::LockWait);
    assert_eq!(causes[1], (Cause::MissingIndex, 0.156));
}

#[test]
fn nothing_is_looked_for_within_the_budget() {
    let cause = |budget: &Budget| diagnose(&slow_shop(), &scan(300_000.0), budget).cause;
    let p95 = |p95_ms| Budget { p95_ms: Some(p95_ms), ..Budget::default() };
    assert_eq!(cause(&p95(80.0)), Cause::None);
    assert_eq!(cause(&p95(79.0)), Cause::MissingIndex);
    assert_eq!(first(&measurement(latency(5.0, 1.0, 0.0, 0.0, 0.0)), &[]), Cause::None);
    let mut failing = measurement(latency(5.0, 1.0, 0.0, 0.0, 0.0));
    failing.runs[0].endpoints[0].errors = 1;
    assert_eq!(first(&failing, &[]), Cause::NotDb);
}

#[test]
fn without_counters_nothing_is_claimed() {
    let mut parts = latency(40.0, 0.0, 0.0, 0.0, 0.0);
    parts.db_ms = None;
    let mut blind = measurement(parts);
    for run in &mut blind.runs {
        run.counters = crate::run::Counters::default();
    }
    assert_eq!(causes(&blind, &scan(300_000.0)), [(Cause::Unattributed, 1.0)]);
}

#[test]
fn counters_that_hold_more_than_the_latency_are_not_believed() {
    let two_side_by_side = measurement(latency(40.0, 70.0, 0.0, 0.0, 0.0));
    let diagnosis = diagnose(&two_side_by_side, &[], &Budget::default());
    assert!(checks(&diagnosis).iter().any(|check| check.id == "shares_add_up" && !check.pass));
}
