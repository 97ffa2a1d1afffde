//! Asking one service, and no other.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Method, Request, Uri, header::ALLOW};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A service that takes longer does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The address of a service, as an operator configured it.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// `http://127.0.0.1:8080/api`, without a slash at its end.
    base: String,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl Address {
    /// Takes `http://` addresses without credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url: Uri = text.parse().map_err(|e| format!("{text:?}: {e}"))?;
        let authority = url.authority().ok_or_else(|| format!("{text:?} has no host"))?;
        if url.scheme_str() != Some("http") {
            return Err(format!("{text:?}: the service itself is asked, over http://"));
        }
        // The address is in artefacts and logs.
        if authority.as_str().contains('@') || url.query().is_some() {
            return Err("must hold neither credentials nor a query".to_owned());
        }
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Ok(Self { base: text.trim_end_matches('/').to_owned(), client })
    }

    /// The status and the `Allow` header of an answer, or why there is none. The body is not read.
    pub(super) async fn ask(
        &self,
        method: &Method,
        path: &str,
    ) -> Result<(u16, Option<String>), String> {
        let uri: Uri =
            format!("{}{path}", self.base).parse().map_err(|e| format!("{path}: {e}"))?;
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri;
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(request))
            .await
            .map_err(|_| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))?
            .map_err(|e| with_causes(&e))?;
        let allow = answer.headers().get(ALLOW).and_then(|allow| allow.to_str().ok());
        Ok((answer.status().as_u16(), allow.map(str::to_owned)))
    }
}

/// `client error (Connect): tcp connect error: Connection refused`
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
