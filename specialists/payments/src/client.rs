//! Asking one provider, and no other.

use std::{fmt, time::Duration};

use bytes::Bytes;
use deadelus_runtime::{ErrorClass, Failure, Secret};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, header};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// A page of a hundred objects has a few hundred KiB; more is not the API we speak to.
const BODY_MAX_BYTES: usize = 4 << 20;
/// As many as the API gives at once.
const PAGE_LIMIT: usize = 100;
/// Ten thousand objects: what is more is not judged in one task, and never in part.
const PAGES_MAX: usize = 100;

/// A form, or the query of a list: names and values in order.
pub(crate) type Form = Vec<(String, String)>;

/// A provider and the key to it. `Debug` shows no key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    base: String,
    key: Secret,
    timeout: Duration,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// What goes wrong between us and a provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Nobody answers there: nothing was done.
    #[error("cannot reach the provider")]
    Unreachable,
    /// The request may have been done; the answer did not come, or not whole.
    #[error("contact with the provider was lost: {0}")]
    Lost(String),
    /// The provider failed: it may be done or not, and the answer is repeated under the same key.
    #[error("the provider failed with {status}: {message}")]
    Broken { status: u16, message: String },
    /// Too many requests: nothing was done.
    #[error("the provider has too much to do")]
    Busy,
    /// The provider said no: nothing was done.
    #[error("the provider refused with {status}: {message}")]
    Refused { status: u16, kind: String, message: String },
    /// A list that does not end where it must: no part of it may be judged.
    #[error("the list {path} is not whole: {why}")]
    Truncated { path: String, why: &'static str },
}

impl Fault {
    /// The failure of something that only looked.
    pub(crate) fn untouched(&self, doing: &str) -> Failure {
        let (class, help) = self.class();
        Failure::new(class, format!("{doing}: {self}")).help(help)
    }

    /// The failure of an effect, some of which may be there.
    pub(crate) fn begun(&self, doing: &str) -> Failure {
        let text = format!("{doing}: {self}");
        Failure::new(ErrorClass::UnknownOutcome, text)
            .help("the provider is looked at before anything is tried again")
    }

    fn class(&self) -> (ErrorClass, &'static str) {
        match self {
            Self::Unreachable => {
                (ErrorClass::Unavailable, "is it running, and is the target's `base_url` right?")
            }
            Self::Lost(_) | Self::Broken { .. } | Self::Busy => {
                (ErrorClass::Unavailable, "try again")
            }
            Self::Truncated { .. } => (ErrorClass::Unavailable, "nothing was judged; try again"),
            Self::Refused { status: 401 | 403, .. } => {
                (ErrorClass::Denied, "is the target's `api_key` right?")
            }
            Self::Refused { kind, .. } if kind == "idempotency_error" => {
                (ErrorClass::Conflict, "the task's key was used for another request")
            }
            Self::Refused { .. } => (ErrorClass::InvalidInput, ""),
        }
    }
}

impl Client {
    pub(crate) fn new(base_url: &str, key: Secret, timeout: Duration) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        Self { base: base_url.trim_end_matches('/').to_owned(), key, timeout, http }
    }

    /// One object; none if there is none.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Value>, Fault> {
        match self.ask(Method::GET, path, &[], None).await {
            Ok(object) => Ok(Some(object)),
            Err(Fault::Refused { status: 404, .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Creates or changes.
    pub(crate) async fn post(
        &self,
        path: &str,
        form: &[(String, String)],
        idempotency_key: Option<&str>,
    ) -> Result<Value, Fault> {
        self.ask(Method::POST, path, form, idempotency_key).await
    }

    /// Tells a provider for tests to go wrong once: JSON, as no other request.
    pub(crate) async fn set_fault(&self, trap: &Value) -> Result<Value, Fault> {
        self.send(Method::POST, "/_faults", trap.to_string(), None).await
    }

    /// Takes away what can be.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Fault> {
        self.ask(Method::DELETE, path, &[], None).await
    }

    /// All objects of a list, or a fault: never a part.
    pub(crate) async fn list(&self, path: &str, narrow: &Form) -> Result<Vec<Value>, Fault> {
        let truncated = |why| Fault::Truncated { path: path.to_owned(), why };
        let mut all: Vec<Value> = vec![];
        for _ in 0..PAGES_MAX {
            let mut query = narrow.clone();
            query.push(("limit".to_owned(), PAGE_LIMIT.to_string()));
            if let Some(last) = all.last() {
                let id = last["id"].as_str().ok_or_else(|| truncated("an object has no id"))?;
                query.push(("starting_after".to_owned(), id.to_owned()));
            }
            let page = match self.ask(Method::GET, &with_query(path, &query), &[], None).await {
                // The object that the next page begins after is gone.
                Err(Fault::Refused { .. }) if !all.is_empty() => {
                    return Err(truncated("the next page is refused"));
                }
                page => page?,
            };
            let (Some(data), Some(more)) = (page["data"].as_array(), page["has_more"].as_bool())
            else {
                return Err(truncated(
                    "a page says neither what it has nor whether it is the last",
                ));
            };
            all.extend(data.iter().cloned());
            match (more, data.is_empty()) {
                (false, _) => return Ok(all),
                (true, true) => return Err(truncated("there is more, but the page is empty")),
                (true, false) => {}
            }
        }
        Err(truncated("it has more than 10,000 objects"))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        form: &[(String, String)],
        idempotency_key: Option<&str>,
    ) -> Result<Value, Fault> {
        self.send(method, path, encoded(form), idempotency_key).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
        idempotency_key: Option<&str>,
    ) -> Result<Value, Fault> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key.expose()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        // An address that cannot be one reaches nobody.
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|_| Fault::Unreachable)?;
        let lost = |why: &dyn fmt::Display| Fault::Lost(self.hide(&why.to_string()));
        let asked = async {
            let answer = self.http.request(request).await.map_err(|error| {
                if error.is_connect() { Fault::Unreachable } else { lost(&error) }
            })?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), BODY_MAX_BYTES).collect().await;
            Ok((status, body.map_err(|error| lost(&error))?.to_bytes()))
        };
        let (status, body) =
            tokio::time::timeout(self.timeout, asked).await.map_err(|e| lost(&e))??;
        let body = serde_json::from_slice::<Value>(&body);
        match (status, body) {
            (200..300, Ok(body)) => Ok(body),
            (200..300, Err(error)) => Err(lost(&error)),
            (429, _) => Err(Fault::Busy),
            (status, body) => Err(self.refusal(status, &body.unwrap_or_default())),
        }
    }

    fn refusal(&self, status: u16, body: &Value) -> Fault {
        let text = |name: &str| body["error"][name].as_str().unwrap_or_default();
        let (kind, message) = (text("type").to_owned(), self.hide(text("message")));
        if status >= 500 {
            return Fault::Broken { status, message };
        }
        Fault::Refused { status, kind, message }
    }

    /// Providers have repeated keys in their messages.
    fn hide(&self, text: &str) -> String {
        text.replace(self.key.expose(), "***")
    }
}

/// A path with a query behind it.
fn with_query(path: &str, query: &[(String, String)]) -> String {
    format!("{path}?{}", encoded(query))
}

fn encoded(form: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
