//! What is seen of a request: in the trace, and in the metrics.

use std::time::{Duration, Instant};

use deadelus_tests::{
    fleet::{Fleet, ORCHESTRATOR},
    otlp::{Collector, Span},
};
use serde_json::json;
use tempfile::TempDir;

use super::{approval, configured, gated, http::Http, token};
use crate::{
    person::{PATIENCE, POLL},
    quiet,
    shop::{Database, Engine},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_part_of_the_workflows_trace_and_of_the_metrics() {
    let _others = quiet::among_others().await;
    let collector = Collector::start().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(100);
    let (target, lines) = (database.target("shop"), configured(""));
    let specialists = [("db", target.as_str()), (ORCHESTRATOR, lines.as_str())];
    let mut fleet = Fleet::traced(&specialists, collector.endpoint());
    let http = Http::of(&mut fleet);
    let otto = token("otto");

    let plan = http.post("/v1/plans", &otto, &json!({"plan_file": gated()})).await.expect(200);
    let start = json!({"workflow": "wf-seen", "plan": plan["plan"], "plan_digest": plan["digest"]});
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let header = [("traceparent", parent.as_str())];
    http.post_with("/v1/workflows", &otto, &header, &start).await.expect(201);
    let shown = http.get("/v1/workflows/wf-seen", &otto).await.expect(200);
    let trace = shown["traceparent"].as_str().unwrap().split('-').nth(1);
    assert_eq!(trace, Some(TRACE), "the workflow goes on in the caller's trace: {shown}");

    let gate = "/v1/workflows/wf-seen/gates/plan";
    let digest = plan["digest"].as_str().unwrap();
    http.post(gate, &token("anna"), &approval(digest)).await.expect(200);
    let begun = Instant::now();
    let counted = "http_server_request_duration_seconds_count{http_request_method=\"POST\",\
                   http_response_status_code=\"201\",http_route=\"/v1/workflows\"} 1";
    loop {
        let page = http.get("/metrics", &token("vera")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        // What the process counts besides is there, too.
        let is_sent = page.body.contains("messaging_client_sent_messages_total{");
        if is_sent && page.body.lines().any(|line| line == counted) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "never counted:\n{}", page.body);
        tokio::time::sleep(POLL).await;
    }

    // Whoever leaves sends what is left.
    tokio::task::block_in_place(|| assert!(fleet.terminate(ORCHESTRATOR).success()));
    let is_request = |span: &Span| span.name == "POST /v1/workflows" && span.trace_id == TRACE;
    let there = |spans: &[Span]| spans.iter().any(is_request);
    let spans = collector.wait_for(there, Duration::from_secs(10)).await;
    let request = spans.iter().find(|span| is_request(span)).unwrap();
    assert_eq!(request.attributes.get("user.id").map(String::as_str), Some("otto"));
    let told = format!("{spans:?}");
    assert!(!told.contains(&otto), "a token is in a trace");
}
