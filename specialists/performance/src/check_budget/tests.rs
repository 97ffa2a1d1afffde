use super::*;
use crate::{
    run::Counters,
    samples::{latency, measurement, run},
};

fn runs(p95s: &[f64], counters: Counters) -> Vec<Run> {
    p95s.iter().map(|p95| run(*p95, 0.0, counters)).collect()
}

fn one(runs: &[Run], budget: &Budget) -> Line {
    let mut lines = lines(runs, budget);
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

#[test]
fn a_limit_is_met_missed_or_not_known() {
    let budget = Budget { p95_ms: Some(50.0), ..Budget::default() };
    let verdict = |p95s: &[f64]| one(&runs(p95s, Counters::default()), &budget).verdict;
    assert_eq!(verdict(&[40.0, 42.0, 44.0]), LineVerdict::Met);
    assert_eq!(verdict(&[60.0, 62.0, 64.0]), LineVerdict::Missed);
    assert_eq!(verdict(&[40.0, 48.0, 58.0]), LineVerdict::Inconclusive);
    assert_eq!(verdict(&[40.0, 42.0]), LineVerdict::Inconclusive);
    assert_eq!(verdict(&[]), LineVerdict::Missed);
}

#[test]
fn reads_and_writes_have_limits_of_their_own() {
    let budget = Budget { p95_ms: Some(50.0), ..Budget::default() };
    let writing = Budget { write_p95_ms: Some(50.0), ..Budget::default() };
    let runs: Vec<_> = [60.0; 3].map(|write| run(5.0, write, Counters::default())).to_vec();
    assert_eq!(one(&runs, &budget).verdict, LineVerdict::Met);
    assert_eq!(one(&runs, &writing).verdict, LineVerdict::Missed);
    let only_reads: Vec<_> = [5.0; 3].map(|read| run(read, 0.0, Counters::default())).to_vec();
    assert_eq!(one(&only_reads, &writing).measured, None);
    let mut only_writes = runs;
    only_writes.iter_mut().for_each(|run| run.endpoints[0].requests = 0);
    assert_eq!(one(&only_writes, &budget).verdict, LineVerdict::Missed);
}

#[test]
fn what_was_not_measured_has_failed() {
    let budget = Budget { blocks: Some(50.0), ..Budget::default() };
    let missing = one(&runs(&[1.0; 3], Counters::default()), &budget);
    assert_eq!((missing.verdict, missing.measured), (LineVerdict::Missed, None));
    let check = check(&missing);
    assert!(!check.pass && check.measured == "not measured", "{check:?}");
    let mut partly = runs(&[1.0; 3], Counters { blocks: Some(7.0), ..Counters::default() });
    assert_eq!(one(&partly, &budget).verdict, LineVerdict::Met);
    partly[1].counters.blocks = None;
    assert_eq!(one(&partly, &budget).verdict, LineVerdict::Missed);
}

#[test]
fn failures_and_drops_count_against_the_error_rate() {
    let budget = Budget { error_rate: Some(0.01), ..Budget::default() };
    let mut runs = runs(&[1.0; 3], Counters::default());
    assert_eq!(one(&runs, &budget).verdict, LineVerdict::Met);
    runs.iter_mut().for_each(|run| run.endpoints[0].dropped = 8);
    runs.iter_mut().for_each(|run| run.endpoints[0].errors = 8);
    assert_eq!(one(&runs, &budget).measured, Some(0.02));
    assert_eq!(one(&runs, &budget).verdict, LineVerdict::Missed);
}

#[tokio::test]
async fn the_targets_own_budget_holds_unless_the_task_has_one() {
    let target: crate::PerformanceTarget = serde_json::from_value(serde_json::json!({
        "base_url": "http://127.0.0.1:1", "rate_per_s": 1.0, "budget": {"p95_ms": 10.0},
        "scenario": [{"name": "a", "method": "GET", "path": "/", "role": "read"}],
    }))
    .unwrap();
    let sites = Sites([("shop".parse().unwrap(), target.check().unwrap())].into());
    let capability = CheckBudget(Arc::new(sites));
    let ask = async |budget: Option<Budget>| {
        let measurement = measurement(latency(20.0, 1.0, 0.0, 0.0, 0.0));
        capability.perform(&Context::detached("shop"), BudgetInputs { measurement, budget }).await
    };
    assert_eq!(ask(None).await.unwrap().outputs.verdict, LineVerdict::Missed);
    let wide = Budget { p95_ms: Some(41.0), statements: Some(9.0), ..Budget::default() };
    let report = ask(Some(wide)).await.unwrap();
    assert_eq!(report.outputs.lines[0].verdict, LineVerdict::Met);
    assert_eq!(report.outputs.verdict, LineVerdict::Missed, "statements were not measured");
    let none = ask(Some(Budget::default())).await.unwrap_err();
    assert_eq!(none.class, ErrorClass::InvalidInput);
}
