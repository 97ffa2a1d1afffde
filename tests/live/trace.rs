//! One trace for the whole workflow: four processes, one trace id, nobody without a parent.

use std::time::Duration;

use deadelus_proto::pb::{Ending, event::Kind};
use deadelus_tests::{
    fleet::{Fleet, ORCHESTRATOR},
    otlp::{Collector, Span, orphans, per_service, trees},
};

use crate::{
    golden2::SHORT_RUNS,
    person::Person,
    quiet,
    shop::{Engine, Shop},
};

/// What a workflow of three specialists looks like.
const PLAN: &str = r"
deadelus: 1
title: Somebody of each
target: shop
approval: none
tasks:
  measure:
    does: performance.measure
    title: Measure
    inputs: { runs: 1, duration_s: 1 }
  index:
    does: db.create_index
    title: Change the database
    needs: [measure]
    inputs: { table: order_line, columns: [order_id] }
  release:
    does: deployment.release
    title: Release
    needs: [index]
    inputs: { revision: v2 }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_of_four_processes_is_one_trace() {
    let _alone = quiet::alone().await;
    let collector = Collector::start().await;
    let shop = Shop::open("trace", Engine::Sqlite, 5_000, "").unwrap();
    let targets = shop.targets(SHORT_RUNS);
    let mut fleet = Fleet::traced(&targets.specialists(), collector.endpoint());
    let ada = Person::at(&fleet).await;
    let id = ada.start("wf-trace", PLAN).await;
    let story = ada.until_ended(&id, Ending::Done).await;
    let trace = story.events().find_map(|event| match event {
        Kind::Accepted(e) => e.traceparent.split('-').nth(1).map(str::to_owned),
        _ => None,
    });
    let trace = trace.expect("the first decision names the trace");

    // Whoever leaves sends what is left; nothing has to be waited for after that.
    tokio::task::block_in_place(|| {
        for name in ["performance", "db", "deployment", ORCHESTRATOR] {
            assert!(fleet.terminate(name).success(), "{name}");
        }
    });
    let all = |spans: &[Span]| per_service(spans, &trace).len() >= 4;
    let spans = collector.wait_for(all, Duration::from_secs(10)).await;
    let drawn: String = trees(&spans).iter().map(ToString::to_string).collect();
    assert_eq!(orphans(&spans, &trace), Vec::<&Span>::new(), "{drawn}");
    let services: Vec<&str> = per_service(&spans, &trace).into_keys().collect();
    let wanted =
        ["deadelus-db", "deadelus-deployment", "deadelus-orchestrator", "deadelus-performance"];
    assert_eq!(services, wanted, "{drawn}");
    for (service, attribute) in [
        ("deadelus-db", "db.system.name"),
        ("deadelus-deployment", "http.request.method"),
        ("deadelus-performance", "http.request.method"),
    ] {
        let children = spans.iter().filter(|span| {
            span.trace_id == trace
                && span.service == service
                && span.attributes.contains_key(attribute)
        });
        assert!(children.count() > 0, "{service} shows nothing with {attribute}\n{drawn}");
    }
}
