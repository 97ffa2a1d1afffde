//! Spans of a process as a collector receives them. One test: telemetry is set up once per process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::{net::SocketAddr, time::Duration};

use deadelus_mesh::{config::TelemetryConfig, names, telemetry, trace};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{Request, Response, Status, transport::Server};

const DEADLINE: Duration = Duration::from_secs(20);

struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// While the collector is away work goes on and spans are counted; once it is there, the spans
/// that are made arrive, with their resource and their parents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_may_come_late() {
    let address = free_address().await;
    let config =
        TelemetryConfig { otlp_endpoint: Some(format!("http://{address}")), ..Default::default() };
    let telemetry = telemetry::init(&config, "deadelus-db", "db-1").unwrap();
    assert!(telemetry::init(&config, "deadelus-db", "db-1").is_err(), "twice");

    tracing::info_span!("early").in_scope(|| {});
    let mut polls = 0;
    while telemetry.dropped_spans() == 0 {
        polls += 1;
        assert!(polls < 2_000, "the early span was never counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let (sender, mut received) = mpsc::unbounded_channel();
    let service = Server::builder().add_service(TraceServiceServer::new(Collector(sender)));
    tokio::spawn(service.serve(address));
    polls = 0;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        polls += 1;
        assert!(polls < 2_000, "the collector never came up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let outer = tracing::info_span!("outer", { names::WORKFLOW_ID } = "wf-1");
    let traceparent = outer.in_scope(|| {
        tracing::debug_span!("below the filter").in_scope(|| {});
        tracing::info_span!("inner").in_scope(trace::traceparent).unwrap()
    });
    drop(outer);
    assert_eq!(telemetry.shutdown(DEADLINE).await, 1, "only the early span is lost");

    let mut spans: Vec<Span> = vec![];
    while let Ok(request) = received.try_recv() {
        for resource in request.resource_spans {
            let text = format!("{:?}", resource.resource);
            assert!(text.contains("deadelus-db") && text.contains("db-1"), "{text}");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (outer, inner) = (find("outer"), find("inner"));
    assert_eq!(inner.parent_span_id, outer.span_id);
    assert!(traceparent.contains(&hex(&outer.trace_id)), "{traceparent}");
    assert!(outer.attributes.iter().any(|a| a.key == names::WORKFLOW_ID), "{outer:?}");
    assert!(!spans.iter().any(|span| span.name == "early"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
