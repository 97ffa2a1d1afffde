//! The shop's side of a provider of payments: one address, one key, three things that can happen
//! besides success.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, header};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;

/// A provider answers within seconds; what takes longer is asked for again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A page of a hundred payments has some 60 KiB.
const BODY_MAX_BYTES: usize = 1 << 20;

/// A key to the provider's account. Never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ProviderKey(String);

impl fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A provider of payments.
#[derive(Debug)]
pub(crate) struct Provider {
    base: String,
    key: ProviderKey,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What else can happen.
#[derive(Debug)]
pub(crate) enum ProviderError {
    /// No answer: it may be done.
    Lost,
    /// Too many requests: nothing is done.
    Busy,
    /// It failed, and repeats that under the same key; it may be done.
    Broken,
    /// What was named is not there.
    Missing(String),
    /// It said no.
    Refused(String),
}

impl Provider {
    pub(crate) fn new(url: &str, key: ProviderKey) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { base: url.trim_end_matches('/').to_owned(), key, http }
    }

    /// Pays at once; the provider's id.
    pub(crate) async fn pay(
        &self,
        under: &str,
        key: &str,
        amount: i64,
        currency: &str,
    ) -> Result<String, ProviderError> {
        let amount = amount.to_string();
        let form = [
            ("amount", amount.as_str()),
            ("currency", currency),
            ("payment_method", "pm_card_visa"),
            ("confirm", "true"),
            ("metadata[payment_key]", key),
        ];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let paid = self.ask(Method::POST, "/v1/payment_intents", form, Some(under)).await?;
        id(&paid).ok_or(ProviderError::Lost)
    }

    /// The payment of a key among the last hundred, if it was made.
    pub(crate) async fn find(&self, key: &str) -> Result<Option<String>, ProviderError> {
        let path = "/v1/payment_intents?limit=100";
        let page = self.ask(Method::GET, path, String::new(), None).await?;
        let all = page["data"].as_array().ok_or(ProviderError::Lost)?;
        Ok(all.iter().find(|p| p["metadata"]["payment_key"] == key).and_then(id))
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        form: String,
        under: Option<&str>,
    ) -> Result<Value, ProviderError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key.0))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(under) = under {
            request = request.header("idempotency-key", under);
        }
        let request = request.body(Full::new(Bytes::from(form)));
        let request = request.map_err(|e| ProviderError::Refused(e.to_string()))?;
        let asked = async {
            let answer = self.http.request(request).await.map_err(|_| ProviderError::Lost)?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), BODY_MAX_BYTES).collect().await;
            Ok((status, body.map_err(|_| ProviderError::Lost)?.to_bytes()))
        };
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, asked).await;
        let (status, body) = answered.map_err(|_| ProviderError::Lost)??;
        let body: Value = serde_json::from_slice(&body).map_err(|_| ProviderError::Lost)?;
        match status {
            200..300 => Ok(body),
            429 => Err(ProviderError::Busy),
            500.. => Err(ProviderError::Broken),
            _ if body["error"]["code"] == "resource_missing" => {
                Err(ProviderError::Missing(body["error"]["message"].to_string()))
            }
            _ => Err(ProviderError::Refused(body["error"]["message"].to_string())),
        }
    }
}

pub(crate) fn id(object: &Value) -> Option<String> {
    object["id"].as_str().map(str::to_owned)
}
