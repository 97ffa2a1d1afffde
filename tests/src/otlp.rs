//! A collector in the test's own process: takes spans over OTLP and shows what it was given.
//!
//! ```no_run
//! # async fn example() {
//! let collector = deadelus_tests::otlp::Collector::start().await;
//! // … point a process's exporter at `collector.endpoint()` …
//! let is_there = |spans: &[deadelus_tests::otlp::Span]| !spans.is_empty();
//! let spans = collector.wait_for(is_there, std::time::Duration::from_secs(10)).await;
//! # }
//! ```

#![expect(clippy::expect_used, reason = "test support: a collector that fails ends the test")]

mod span;
mod tree;

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tonic::{Request, Response, Status, transport::Server};

pub use span::Span;
pub use tree::{Tree, orphans, per_service, trees};

/// More spans than any test makes; what comes after is refused and counted.
const SPANS_MAX: usize = 100_000;

/// A running collector. It stops taking spans when this is dropped.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    collected: watch::Receiver<Collected>,
    server: JoinHandle<()>,
}

/// What came in so far.
#[derive(Debug, Default)]
struct Collected {
    spans: Vec<Span>,
    refused: u64,
}

impl Collector {
    /// Starts one on a free port of the loopback interface.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("a local address"));
        let (intake, collected) = watch::channel(Collected::default());
        let service = TraceServiceServer::new(Intake(intake));
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
        let server = tokio::spawn(async move { serving.await.expect("the collector serves") });
        Self { endpoint, collected, server }
    }

    /// What an exporter is pointed at: `http://127.0.0.1:<port>`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All spans so far, in the order of their arrival.
    pub fn spans(&self) -> Vec<Span> {
        self.collected.borrow().spans.clone()
    }

    /// Spans that were refused because there were too many; a test that counts checks this.
    pub fn refused(&self) -> u64 {
        self.collected.borrow().refused
    }

    /// Waits until `enough` holds for the spans so far, and returns them.
    ///
    /// # Panics
    /// When it does not hold within that time; the message draws what there is instead.
    pub async fn wait_for(&self, enough: impl Fn(&[Span]) -> bool, within: Duration) -> Vec<Span> {
        let mut collected = self.collected.clone();
        let waiting = collected.wait_for(|collected| enough(&collected.spans));
        let found = match tokio::time::timeout(within, waiting).await {
            Ok(collected) => Some(collected.expect("the collector runs").spans.clone()),
            Err(_) => None,
        };
        found.unwrap_or_else(|| {
            let drawn: String = trees(&self.spans()).iter().map(ToString::to_string).collect();
            panic!("not within {within:?}; so far there are:\n{drawn}")
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The service's side of the channel.
#[derive(Debug)]
struct Intake(watch::Sender<Collected>);

#[tonic::async_trait]
impl TraceService for Intake {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = span::read(request.into_inner());
        let mut rejected_spans = 0;
        self.0.send_modify(|collected| {
            let room = SPANS_MAX - collected.spans.len();
            rejected_spans = i64::try_from(spans.len().saturating_sub(room)).unwrap_or(i64::MAX);
            collected.spans.extend(spans.into_iter().take(room));
            collected.refused += rejected_spans.unsigned_abs();
        });
        let partial_success = (rejected_spans > 0).then(|| ExportTracePartialSuccess {
            rejected_spans,
            error_message: format!("at most {SPANS_MAX} spans are kept"),
        });
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        collector::trace::v1::trace_service_client::TraceServiceClient,
        trace::v1::{ResourceSpans, ScopeSpans, Span as Wire},
    };

    use super::*;

    fn export(names: &[&str]) -> ExportTraceServiceRequest {
        let wire = |name: &&str| Wire { name: (*name).to_owned(), ..Wire::default() };
        let scope = ScopeSpans { spans: names.iter().map(wire).collect(), ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![resource] }
    }

    #[tokio::test]
    async fn what_is_sent_is_shown_once_it_is_there() {
        let collector = Collector::start().await;
        let mut exporter = TraceServiceClient::connect(collector.endpoint().to_owned())
            .await
            .expect("the collector listens");
        let three = collector.wait_for(|spans| spans.len() == 3, Duration::from_secs(30));
        let send = async {
            exporter.export(export(&["a"])).await.expect("taken");
            exporter.export(export(&["b", "c"])).await.expect("taken");
        };
        let (three, ()) = tokio::join!(three, send);
        let names: Vec<_> = three.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!((collector.spans(), collector.refused()), (three, 0));
    }

    #[tokio::test]
    async fn too_many_are_refused_and_counted() {
        let collected = Collected { spans: vec![Span::default(); SPANS_MAX - 1], refused: 0 };
        let (intake, shown) = watch::channel(collected);
        let answer = Intake(intake).export(Request::new(export(&["a", "b", "c"]))).await;
        let partial = answer.expect("an answer").into_inner().partial_success.expect("refusals");
        assert_eq!(partial.rejected_spans, 2);
        assert_eq!((shown.borrow().spans.len(), shown.borrow().refused), (SPANS_MAX, 2));
    }

    #[tokio::test]
    #[should_panic(expected = "so far there are:\nlonely")]
    async fn what_does_not_come_is_reported_with_what_did() {
        let (intake, collected) = watch::channel(Collected::default());
        let intake = Intake(intake);
        let sent = intake.export(Request::new(export(&["lonely"]))).await;
        assert!(sent.is_ok());
        let server = tokio::spawn(async {});
        let collector = Collector { endpoint: String::new(), collected, server };
        collector.wait_for(|spans| spans.len() > 1, Duration::from_millis(1)).await;
    }
}
