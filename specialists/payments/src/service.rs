//! Asking the service that takes payments, as one of its customers would: no key of the provider is
//! ever sent there, and what the service knows us by is sent nowhere else.

use std::time::Duration;

use bytes::Bytes;
use deadelus_runtime::Secret;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, header};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// A thousand payments on one page are some 200 KiB.
const BODY_MAX_BYTES: usize = 4 << 20;

/// The header of an event's signature.
const SIGNATURE: &str = "stripe-signature";

/// A service under change.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    base: String,
    token: Secret,
    timeout: Duration,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// What it answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Null when it is no JSON.
    pub(crate) body: Value,
}

/// It gave no answer, or not a whole one.
#[derive(Debug, thiserror::Error)]
#[error("the service gave no answer: {0}")]
pub(crate) struct Silence(String);

impl Service {
    pub(crate) fn new(url: &str, token: Secret, timeout: Duration) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { base: url.trim_end_matches('/').to_owned(), token, timeout, http }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Silence> {
        self.ask(Method::GET, path, ("", ""), Bytes::new()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answer, Silence> {
        self.ask(Method::DELETE, path, ("", ""), Bytes::new()).await
    }

    /// As the provider does: bytes that are signed, and under which signature.
    pub(crate) async fn deliver(
        &self,
        path: &str,
        signature: &str,
        body: &str,
    ) -> Result<Answer, Silence> {
        let signature = (SIGNATURE, signature);
        self.ask(Method::POST, path, signature, body.to_owned().into()).await
    }

    /// Under a key of idempotency.
    pub(crate) async fn post(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Answer, Silence> {
        self.ask(Method::POST, path, ("idempotency-key", key), body.to_string().into()).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        (name, value): (&str, &str),
        body: Bytes,
    ) -> Result<Answer, Silence> {
        let silence = |why: &dyn std::fmt::Display| Silence(why.to_string());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json");
        if !name.is_empty() {
            request = request.header(name, value);
        }
        // The provider has no token of the service's.
        if !self.token.is_empty() && name != SIGNATURE {
            let bearer = format!("Bearer {}", self.token.expose());
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let request = request.body(Full::new(body)).map_err(|e| silence(&e))?;
        let asked = async {
            let answer = self.http.request(request).await.map_err(|e| silence(&e))?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), BODY_MAX_BYTES).collect().await;
            let body = body.map_err(|e| silence(&e))?.to_bytes();
            Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
        };
        tokio::time::timeout(self.timeout, asked).await.map_err(|e| silence(&e))?
    }
}
