use super::*;
use crate::routing::table::routes;

/// The new servers `v2-0`, `v2-1`, … as they come: on addresses of their own.
fn new(count: u16) -> Vec<Server> {
    let address = |n| ([127, 0, 0, 1], 9_500 + n).into();
    (0..count).map(|n| Server { name: format!("v2-{n}"), address: address(n), weight: 0 }).collect()
}

fn steps(strategy: &Strategy, before: &str, replicas: u16) -> Vec<String> {
    let line = |table: &Routes| {
        let words: Vec<_> =
            table.servers.iter().map(|s| format!("{}={}", s.name, s.weight)).collect();
        words.join(" ")
    };
    tables(strategy, &routes(before), &new(replicas)).iter().map(line).collect()
}

#[test]
fn the_tables_of_each_strategy() {
    let canary = |percents: &[u8]| Strategy::Canary { percents: percents.to_vec() };
    let all = "v1-0=0 v1-1=0 v2-0=100 v2-1=100";
    let two = "v1-0=100 v1-1=100";
    assert_eq!(steps(&Strategy::BlueGreen, two, 2), [all]);
    assert_eq!(steps(&Strategy::Rolling, two, 2), ["v1-0=0 v1-1=100 v2-0=100 v2-1=0", all]);
    assert_eq!(
        steps(&canary(&[5, 50]), two, 2),
        ["v1-0=190 v1-1=190 v2-0=10 v2-1=10", "v1-0=100 v1-1=100 v2-0=100 v2-1=100", all]
    );
    // Ten percent of all, also where there are fewer of one than of the other.
    assert_eq!(
        steps(&canary(&[10]), two, 1),
        ["v1-0=90 v1-1=90 v2-0=20", "v1-0=0 v1-1=0 v2-0=100"]
    );
    // Nobody to move from, and somebody who is warm already.
    assert_eq!(steps(&canary(&[10]), "", 1), ["v2-0=100"]);
    assert_eq!(steps(&Strategy::BlueGreen, "v0-0=0 v1-0=1", 1), ["v0-0=0 v1-0=0 v2-0=100"]);
}

#[test]
fn a_heavy_table_is_scaled_and_nobody_is_forgotten() {
    assert_eq!(shares(1, 8, 8), (256, 3));
    assert_eq!(shares(99, 8, 1), (1, 256));
}

#[test]
fn what_was_cut_off_goes_on_where_it_stopped() {
    let before = routes("v1-0=100");
    let all = tables(&Strategy::Canary { percents: vec![10, 50] }, &before, &new(1));
    assert_eq!(rest(&all, &before, &before).unwrap().len(), 3);
    assert_eq!(rest(&all, &before, &all[1]).unwrap().len(), 2);
    assert_eq!(rest(&all, &before, &all[2]).unwrap().len(), 1);
    assert_eq!(rest(&all, &before, &routes("v1-0=0 v3-0=100")), None);
}

#[test]
fn strategies_and_gates_that_make_no_sense_are_named() {
    let gates = Gates::default();
    for percents in [vec![], vec![0], vec![100], vec![50, 10], vec![5, 5], (1..10).collect()] {
        assert!(problem(&Strategy::Canary { percents }, &gates).is_some());
    }
    assert_eq!(problem(&Strategy::Canary { percents: vec![5, 50] }, &gates), None);
    let wild = Gates { max_error_percent: f64::NAN, ..Gates::default() };
    assert!(problem(&Strategy::Rolling, &wild).is_some());
}

/// `(requests, errors, mean ms)` of the old and the new revision within a step.
fn after(old: (u64, u64, u64), new: (u64, u64, u64)) -> Report {
    let server = |name: &str, port: u16, (requests, errors, ms): (u64, u64, u64)| ServerReport {
        name: name.to_owned(),
        address: ([127, 0, 0, 1], port).into(),
        weight: 50,
        in_flight: 0,
        requests: 1_000 + requests,
        errors,
        spent: Spent::TotalUs(requests * ms * 1_000),
    };
    Report { servers: vec![server("v1-0", 1, old), server("v2-0", 2, new)] }
}

#[test]
fn a_step_is_judged_by_what_the_new_revision_showed_in_it() {
    let gates = Gates::default();
    let from = after((0, 0, 0), (0, 0, 0));
    for (old, new, held, good) in [
        ((180, 0, 2), (20, 0, 2), true, Some(true)),
        ((180, 0, 2), (20, 0, 2), false, None),
        ((180, 0, 2), (19, 0, 2), true, None),
        ((180, 0, 2), (3, 1, 2), false, Some(false)),
        ((900, 9, 2), (200, 2, 2), true, Some(true)),
        ((900, 0, 2), (200, 3, 2), true, Some(false)),
        ((180, 0, 4), (20, 0, 16), true, Some(true)),
        ((180, 0, 4), (20, 0, 40), true, Some(false)),
        // Nothing of the old one to compare with: it had no share.
        ((0, 0, 0), (20, 0, 40), true, Some(true)),
    ] {
        let verdict = match judge(&from, &after(old, new), "v2", &gates, held) {
            Verdict::Open => None,
            Verdict::Good => Some(true),
            Verdict::Bad(_) => Some(false),
        };
        assert_eq!(verdict, good, "{old:?} {new:?} {held}");
    }
}
