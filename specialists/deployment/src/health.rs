//! One question to a service: how are you, and which revision do you serve?
//!
//! A probe keeps what it saw, so that whoever doubts the verdict can read it. Only the configured
//! address is asked, each time over a connection of its own, and redirects are not followed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
use tracing::{Instrument as _, Span, field};

/// An answer about health is one small object; a longer one is another page.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// Of a body, for the reader of a timeline.
const BODY_SHOWN_CHARS: usize = 200;

/// What one question brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Probe {
    pub(crate) at_unix_ms: u64,
    pub(crate) latency_ms: u64,
    /// Of HTTP; none when there was no answer.
    pub(crate) status: Option<u16>,
    /// The first characters of the body.
    pub(crate) body: String,
    /// What it means.
    #[serde(flatten)]
    pub(crate) answer: Answer,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// Well, and serving what it was told to.
    Serving { revision: String },
    /// Well, but it cannot follow the file and stays on another revision.
    Refusing { revision: String, reason: String },
    /// Not well, not understood, or not there.
    Failed { reason: String },
}

impl Answer {
    /// The revision that is served; none when that could not be seen.
    pub(crate) fn revision(&self) -> Option<&str> {
        match self {
            Self::Serving { revision } | Self::Refusing { revision, .. } => Some(revision),
            Self::Failed { .. } => None,
        }
    }

    /// Why this is not the answer of a healthy service; none when it is.
    pub(crate) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Serving { .. } => None,
            Self::Refusing { reason, .. } | Self::Failed { reason } => Some(reason),
        }
    }

    /// The decision: what a status and a body mean.
    fn of(status: u16, body: &[u8]) -> Self {
        if status != StatusCode::OK {
            let status = StatusCode::from_u16(status).map_or(status.to_string(), |s| s.to_string());
            return Self::Failed { reason: format!("status {status}") };
        }
        match serde_json::from_slice(body) {
            Err(e) => Self::Failed { reason: format!("the body is no health report: {e}") },
            Ok(Health { status, .. }) if status != "ok" => {
                Self::Failed { reason: format!("the service says it is {status:?}") }
            }
            Ok(Health { revision, error: None, .. }) => Self::Serving { revision },
            Ok(Health { revision, wanted, error: Some(error), .. }) => {
                let wanted = wanted.unwrap_or_else(|| "what the file says".to_owned());
                Self::Refusing { revision, reason: format!("it does not follow {wanted}: {error}") }
            }
        }
    }
}

/// What a service answers.
#[derive(Debug, Deserialize)]
struct Health {
    status: String,
    revision: String,
    wanted: Option<String>,
    error: Option<String>,
}

/// Asks one service.
#[derive(Debug, Clone)]
pub(crate) struct Prober {
    url: Uri,
    timeout: Duration,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Prober {
    pub(crate) fn new(url: Uri, timeout: Duration) -> Self {
        // Nothing is kept open: each probe proves that the service still accepts connections.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(HttpConnector::new());
        Self { url, timeout, client }
    }

    /// Whom it asks.
    pub(crate) fn url(&self) -> &Uri {
        &self.url
    }

    /// Asks once, for at most the configured time.
    pub(crate) async fn probe(&self) -> Probe {
        let span = tracing::info_span!(
            "GET",
            otel.kind = "client",
            http.request.method = "GET",
            url.full = %self.url,
            http.response.status_code = field::Empty,
            error.r#type = field::Empty,
        );
        let (begun, at) = (Instant::now(), SystemTime::now());
        let (status, body, answer) = match self.page().instrument(span.clone()).await {
            Ok(page) => {
                (Some(page.status), page.shown(), Answer::of(page.status, page.text.as_bytes()))
            }
            Err(reason) => (None, String::new(), Answer::Failed { reason }),
        };
        record(&span, status, &answer);
        let at_unix_ms = millis(at.duration_since(UNIX_EPOCH).unwrap_or_default());
        Probe { at_unix_ms, latency_ms: millis(begun.elapsed()), status, body, answer }
    }

    /// The whole answer to one question; or why there was none.
    pub(crate) async fn page(&self) -> Result<Page, String> {
        let late = |_| format!("no answer within {} ms", self.timeout.as_millis());
        tokio::time::timeout(self.timeout, self.ask()).await.map_err(late)?
    }

    /// Asks once as a customer would: none when there was an answer below 500.
    pub(crate) async fn no_answer(&self) -> Option<String> {
        match self.page().await {
            Err(reason) => Some(reason),
            Ok(page) => (page.status >= 500).then(|| format!("status {}", page.status)),
        }
    }

    async fn ask(&self) -> Result<Page, String> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.url.clone();
        let response = self.client.request(request).await.map_err(|e| with_causes(&e))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_MAX_BYTES);
        let body = body.collect().await.map_err(|e| format!("the body broke off: {e}"))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok(Page { status: head.status.as_u16(), headers: head.headers, text })
    }
}

fn record(span: &Span, status: Option<u16>, answer: &Answer) {
    if let Some(status) = status {
        span.record("http.response.status_code", status);
    }
    match answer {
        Answer::Serving { .. } => {}
        Answer::Refusing { .. } => {
            span.record("error.type", "refusing");
        }
        Answer::Failed { .. } => {
            span.record("error.type", status.map_or("unreachable", |_| "unhealthy"));
        }
    }
}

/// One whole answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// The first characters of the body.
    pub(crate) fn shown(&self) -> String {
        self.text.chars().take(BODY_SHOWN_CHARS).collect()
    }
}

/// `client error (Connect): tcp connect error: Connection refused`
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_means() {
        let of = |status: u16, body: &str| Answer::of(status, body.as_bytes());
        let well = r#"{"status":"ok","revision":"v1","uptime_s":7}"#;
        assert_eq!(of(200, well), Answer::Serving { revision: "v1".to_owned() });
        let refusing =
            of(200, r#"{"status":"ok","revision":"v1","wanted":"v9","error":"unknown revision"}"#);
        assert_eq!(refusing.revision(), Some("v1"));
        assert_eq!(refusing.trouble(), Some("it does not follow v9: unknown revision"));
        for (status, body) in [
            (503, well),
            (302, well),
            (200, r#"{"status":"starting","revision":"v1"}"#),
            (200, r#"{"status":"ok"}"#),
            (200, "<html>"),
        ] {
            assert_eq!(of(status, body).revision(), None, "{status} {body}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_an_answer_too() {
        // Bound and not listening any more: nobody else is given the port meanwhile.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}/healthz", socket.local_addr().unwrap()).parse().unwrap();
        let prober = Prober::new(url, Duration::from_secs(5));
        let probe = prober.probe().await;
        assert_eq!(probe.status, None);
        assert!(probe.answer.trouble().unwrap().contains("refused"), "{probe:?}");
    }
}
