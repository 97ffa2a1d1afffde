use super::*;

fn reading(json: serde_json::Value) -> Reading {
    Reading { service: Some(serde_json::from_value(json).unwrap()), postgres: None }
}

fn statement(text: &str, calls: u64, total_ms: f64, steps: u64) -> serde_json::Value {
    serde_json::json!({
        "text": text, "calls": calls, "rows": calls * 5, "total_ms": total_ms,
        "blocks": null, "scan_steps": steps, "vm_steps": steps * 7,
    })
}

fn pg(text: &str, calls: u64, total_ms: f64, blocks: u64) -> PgStatement {
    PgStatement { text: text.to_owned(), calls, rows: calls, total_ms, blocks }
}

fn page(requests: u64, db_ms: f64, statements: &[serde_json::Value]) -> serde_json::Value {
    serde_json::json!({
        "revision": "v1", "requests": requests, "requests_by_route": {"GET /checkout/{id}": 1},
        "statements": statements, "pool": {"size": 4, "busy": 1, "waiting": 0, "wait_ms": 2.0},
        "external_ms": 1.5, "lock_wait_ms": 0.5, "db_ms": db_ms, "handler_ms": 100.0,
    })
}

#[test]
fn usage_is_the_difference_and_counters_are_per_request() {
    let before = reading(page(10, 50.0, &[statement("SELECT 1 FROM a", 10, 40.0, 1_000)]));
    let after = reading(page(
        30,
        250.0,
        &[statement("SELECT 1 FROM a", 30, 200.0, 7_000), statement("COMMIT", 20, 1.0, 0)],
    ));
    let usage = Usage::between(&before, &after, None).unwrap();
    assert_eq!(usage.requests, Some(20));
    let counters = usage.counters(20);
    assert_eq!(counters.db_ms, Some(10.0));
    assert_eq!(counters.statements, Some(1.0), "COMMIT is no work");
    assert_eq!(counters.scan_steps, Some(300.0));
    assert_eq!(counters.pool_wait_ms, Some(0.0));
    assert_eq!((counters.blocks, counters.cpu_ms), (None, None));
    assert_eq!(usage.write_counters(0), None);
    assert_eq!(usage.write_counters(5), None, "nothing wrote");
}

#[test]
fn writes_are_what_the_writing_statements_cost_per_request_that_writes() {
    let after = reading(page(
        10,
        10.0,
        &[
            statement("SELECT 1", 100, 5.0, 1_000),
            statement("INSERT INTO a VALUES (1)", 6, 3.0, 20),
        ],
    ));
    let usage = Usage::between(&reading(page(0, 0.0, &[])), &after, None).unwrap();
    let writes = usage.write_counters(2).unwrap();
    assert_eq!((writes.statements, writes.vm_steps), (Some(3.0), Some(70.0)));
    assert_eq!((writes.db_ms, writes.handler_ms), (Some(1.5), None));
}

#[test]
fn a_service_that_was_restarted_is_not_measured() {
    let (many, few) = (reading(page(30, 250.0, &[])), reading(page(10, 300.0, &[])));
    assert_eq!(Usage::between(&many, &few, None), Err(WentBack("requests")));
    let (slow, fast) = (reading(page(10, 250.0, &[])), reading(page(30, 20.0, &[])));
    assert_eq!(Usage::between(&slow, &fast, None), Err(WentBack("db_ms")));
}

#[test]
fn a_page_with_requests_alone_measures_requests_alone() {
    let reading = |n| reading(serde_json::json!({"requests": n, "somebody_elses": true}));
    let counters = Usage::between(&reading(1), &reading(5), None).unwrap().counters(4);
    assert_eq!(counters, Counters::default());
}

#[test]
fn the_service_keeps_its_times_and_gets_the_databases_blocks() {
    let service = |calls| {
        page(calls, 10.0, &[statement("SELECT a FROM t WHERE b = 1", calls, 0.9 * calls as f64, 0)])
    };
    let postgres = |n| {
        Some(vec![
            pg("SELECT a FROM t WHERE b = $1", n, 0.1, n * 7),
            pg("SELECT something_of_somebody_else()", n, 50.0, n * 999),
        ])
    };
    let before = Reading { postgres: postgres(3), ..reading(service(0)) };
    let after = Reading { postgres: postgres(13), ..reading(service(10)) };
    let usage = Usage::between(&before, &after, None).unwrap();
    assert_eq!(usage.statements.len(), 1);
    assert_eq!(usage.statements[0].total_ms, 9.0);
    assert_eq!(usage.counters(10).blocks, Some(7.0));
}

#[test]
fn without_a_service_that_counts_the_database_does() {
    let of = |statements| Reading { service: None, postgres: Some(statements) };
    let before = of(vec![pg("SELECT a", 5, 10.0, 50), pg("SELECT evicted", 9, 1.0, 1)]);
    let after = of(vec![
        pg("SELECT a", 15, 40.0, 150),
        pg("SELECT evicted", 2, 1.0, 1),
        pg("/* deadelus-performance */ SELECT 1", 99, 99.0, 99),
    ]);
    let usage = Usage::between(&before, &after, Some(20.0)).unwrap();
    assert_eq!(usage.requests, None);
    assert_eq!(usage.statements.iter().map(|s| s.text.as_str()).collect::<Vec<_>>(), ["SELECT a"]);
    let counters = usage.counters(10);
    assert_eq!(counters.lock_wait_ms, Some(2.0));
    assert_eq!(counters.db_ms, Some(1.0), "30 ms in statements, 20 of them waiting for a lock");
    assert_eq!((counters.handler_ms, counters.pool_wait_ms), (None, None));
}

#[test]
fn runs_add_up() {
    let empty = reading(page(0, 0.0, &[]));
    let one = Usage::between(&empty, &reading(page(10, 9.0, &[statement("A", 1, 1.0, 3)])), None);
    let two = Usage::between(&empty, &reading(page(20, 1.0, &[statement("B", 2, 1.0, 4)])), None);
    let (one, two) = (one.unwrap(), two.unwrap());
    let mut all = Usage::default();
    all.add(&one);
    all.add(&two);
    all.add(&two);
    assert_eq!((all.requests, all.db_ms), (Some(50), Some(11.0)));
    let calls: Vec<_> = all.statements.iter().map(|s| (s.text.as_str(), s.calls)).collect();
    assert_eq!(calls, [("A", 1), ("B", 4)]);
}
