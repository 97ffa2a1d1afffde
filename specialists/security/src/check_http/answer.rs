//! One request to the configured service, and what came back. Nothing is judged here.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use deadelus_runtime::{ErrorClass, Failure};
use http_body_util::{BodyExt as _, Empty};
use hyper::{HeaderMap, Request, StatusCode, Uri, body::Incoming, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// Of a body: a stack trace stands in its first pages. What follows is not read.
const BODY_MAX_BYTES: usize = 1 << 20;

/// What a service said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Asks, without following redirects.
#[derive(Debug)]
pub(super) struct Asker {
    client: Client<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
}

impl Asker {
    pub(super) fn new(timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { client, timeout }
    }

    /// The answer to a GET of a page of `origin`.
    pub(super) async fn get(&self, url: Uri, origin: &str) -> Result<Answer, Failure> {
        let unavailable = |what: String| {
            Failure::new(ErrorClass::Unavailable, format!("GET {url}: {what}"))
                .help("is the service running at the address of the target's configuration?")
        };
        let request = Request::get(url.clone())
            .header(header::ORIGIN, origin)
            .header(header::USER_AGENT, "deadelus-security")
            .body(Empty::new())
            .map_err(|e| unavailable(e.to_string()))?;
        let asked = async {
            let response = self.client.request(request).await.map_err(|e| with_causes(&e))?;
            let (parts, body) = response.into_parts();
            let body = beginning(body).await.map_err(|e| with_causes(&e))?;
            Ok::<_, String>(Answer { status: parts.status, headers: parts.headers, body })
        };
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(answer) => answer.map_err(unavailable),
            Err(_) => Err(unavailable(format!("no answer in {} ms", self.timeout.as_millis()))),
        }
    }
}

/// What comes first of a body. One that breaks off before is no answer: what it hides is not known.
async fn beginning(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut begin = BytesMut::new();
    while begin.len() < BODY_MAX_BYTES
        && let Some(frame) = body.frame().await
    {
        if let Ok(data) = frame?.into_data() {
            let room = BODY_MAX_BYTES - begin.len();
            begin.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(begin.freeze())
}

/// `client error (Connect): tcp connect error: Connection refused`
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
