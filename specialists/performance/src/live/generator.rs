//! The generator against what can be worked out on paper.

use std::time::Duration;

use serde_json::json;

use super::{
    server::{FIXED, STALL, Server},
    site,
};
use crate::{
    load::{HttpClient, Schedule, Tally, fire, tally::ErrorKind, tally::milliseconds},
    target::Site,
};

async fn load(site: &Site) -> Tally {
    let load = site.defaults;
    let schedule = Schedule::new(&site.endpoints, load.rate_per_s, load.duration_s, 1);
    fire(site, &HttpClient::new(site.max_in_flight), schedule).await
}

fn at(tally: &Tally, quantile: f64) -> f64 {
    milliseconds(tally.latency().value_at_quantile(quantile))
}

/// The acceptance test of the generator. A service that freezes once for 2 s under 100 requests
/// a second for 10 s keeps one fifth of them waiting, evenly from 0 to 2 s: the p90 is 1.0 s and
/// the p95 is 1.5 s. A closed loop has one request under way during the freeze and says 2 ms.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_seen_by_every_request_that_was_due_in_it() {
    let server = Server::open().await;
    let tally =
        load(&site(&server.url, "/stall", &json!({"rate_per_s": 100.0, "duration_s": 10.0}))).await;
    assert_eq!((tally.sent(), tally.dropped()), (1_000, 0));
    let (p90, p95) = (at(&tally, 0.90), at(&tally, 0.95));
    assert!((800.0..1_200.0).contains(&p90), "p90 {p90} ms");
    assert!((1_300.0..1_700.0).contains(&p95), "p95 {p95} ms");
    // Two more figures that follow: the longest wait is the stall, the mean a fifth of 1 s.
    let (longest, mean) = (at(&tally, 1.0), tally.latency().mean() / 1_000.0);
    assert!((longest - STALL.as_secs_f64() * 1_000.0).abs() < 300.0, "longest {longest} ms");
    assert!((150.0..260.0).contains(&mean), "mean {mean} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_latency_is_the_median_and_never_less() {
    let server = Server::open().await;
    let tally = load(&site(&server.url, "/fixed", &json!({"rate_per_s": 100.0}))).await;
    let fixed = FIXED.as_secs_f64() * 1_000.0;
    assert!(at(&tally, 0.0) >= fixed, "{} ms", at(&tally, 0.0));
    assert!(at(&tally, 0.5) < fixed * 2.0, "{} ms", at(&tally, 0.5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_dropped_and_counted() {
    let server = Server::open().await;
    let few = json!({"rate_per_s": 200.0, "max_in_flight": 3, "timeout_ms": 400});
    let tally = load(&site(&server.url, "/hang", &few)).await;
    assert_eq!(tally.sent() + tally.dropped(), 200, "none was forgotten");
    // Three at once, each for 0.4 s, in one second: three rounds at most.
    assert!((3..=9).contains(&tally.sent()), "{} sent", tally.sent());
    assert_eq!(tally.sent(), server.requests());
    assert_eq!(tally.endpoints[0].errors, [(ErrorKind::Timeout, tally.sent())].into());
    assert_eq!(tally.answered(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_by_class() {
    let server = Server::open().await;
    let tally = load(&site(&server.url, "/broken", &json!({}))).await;
    let errors = [(ErrorKind::ClientError, 25), (ErrorKind::ServerError, 25)];
    assert_eq!(tally.endpoints[0].errors, errors.into());
    assert_eq!(tally.answered(), 50);

    let nobody = site("http://127.0.0.1:1", "/", &json!({}));
    let tally = load(&nobody).await;
    assert_eq!(tally.refused(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_load_stops_it() {
    let server = Server::open().await;
    let long = site(&server.url, "/fixed", &json!({"rate_per_s": 0.01, "duration_s": 600.0}));
    let cut = tokio::time::timeout(Duration::from_millis(300), load(&long)).await;
    assert!(cut.is_err());
    // The thread that keeps time notices, and the runtime can end: were it not so, this test
    // would last until the second request is due, 100 s after the first.
}
