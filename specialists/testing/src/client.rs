//! Asking one service, and no other. Redirects are not followed.

use std::{fmt, time::Duration};

use bytes::Bytes;
use deadelus_runtime::Secret;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A service that takes longer does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer that is longer is not judged.
const ANSWER_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Below the service's address, with its query: `/orders?page=1`.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Bytes>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Without its parameters, in lower case: `application/json`.
    pub(crate) media_type: Option<String>,
    pub(crate) body: Bytes,
}

/// The address of a service, as an operator configured it.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// `http://127.0.0.1:8080/api`, without a slash at its end.
    base: String,
    /// Sent to it alone, and never shown.
    token: Secret,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl Address {
    /// Takes `http://` addresses without credentials.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let url: Uri = text.parse().map_err(|_| "is no address".to_owned())?;
        let Some(authority) = url.authority() else { return Err("has no host".to_owned()) };
        // The address is in artefacts and logs.
        if authority.as_str().contains('@') || url.query().is_some() {
            return Err("must hold neither credentials nor a query".to_owned());
        }
        if url.scheme_str() != Some("http") {
            return Err(format!("{text:?}: the service itself is asked, over http://"));
        }
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let base = text.trim_end_matches('/').to_owned();
        Ok(Self { base, token: Secret::default(), client })
    }

    /// The same, where everybody has to say who they are. A request with a token of its own keeps it.
    pub(crate) fn with_token(self, token: &Secret) -> Self {
        Self { token: token.clone(), ..self }
    }

    /// The answer, or in words why there is none.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, String> {
        // `http://host@elsewhere/` is another host.
        if !ask.path.starts_with('/') {
            return Err(format!("{:?} is no path", ask.path));
        }
        let mut request =
            Request::builder().method(ask.method.clone()).uri(format!("{}{}", self.base, ask.path));
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        let mut named = ask.headers.iter().map(|(name, _)| name);
        if !self.token.is_empty() && !named.any(|n| n.eq_ignore_ascii_case("authorization")) {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.token.expose()));
        }
        let body = Full::new(ask.body.clone().unwrap_or_default());
        let request = request.body(body).map_err(|e| format!("{}: {e}", ask.path))?;
        tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(request))
            .await
            .map_err(|_| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = self.client.request(request).await.map_err(|e| with_causes(&e))?;
        let media_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.map(essence);
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_MAX_BYTES).collect().await;
        let body = body.map_err(|e| format!("its body: {e}"))?.to_bytes();
        Ok(Answer { status, media_type, body })
    }

    /// What a person types to see it again.
    pub(crate) fn curl(&self, ask: &Ask) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let mut words = vec!["curl -i -X".to_owned(), ask.method.to_string()];
        words.extend(
            ask.headers
                .iter()
                .map(|(name, value)| format!("-H {}", quoted(&format!("{name}: {value}")))),
        );
        let body = ask.body.as_ref().map(|body| String::from_utf8_lossy(body));
        words.extend(body.map(|body| format!("-d {}", quoted(&body))));
        words.push(quoted(&format!("{}{}", self.base, ask.path)));
        words.join(" ")
    }
}

/// `Application/JSON; charset=utf-8` is `application/json`.
pub(crate) fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// As it may stand in a path or a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `client error (Connect): tcp connect error: Connection refused`
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_path_leads_to_another_host() {
        let address = Address::parse("http://127.0.0.1:1/").unwrap();
        for path in ["@elsewhere.test/", ".elsewhere.test/", "0/"] {
            let (method, path) = (Method::GET, path.to_owned());
            let ask = Ask { method, path, headers: vec![], body: None };
            assert!(address.send(&ask).await.unwrap_err().contains("is no path"));
        }
        for bad in ["https://a", "http://u:p@a", "/a", "http://a/?b"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_token_is_sent_unless_there_is_one_and_is_never_shown() {
        let heard = |headers: axum::http::HeaderMap| async move {
            headers["authorization"].to_str().unwrap().to_owned()
        };
        let base = crate::testing::serve(axum::Router::new().route("/", axum::routing::get(heard)));
        let address = Address::parse(&base.await).unwrap();
        let address = address.with_token(&Secret::from("hunter2".to_owned()));
        let own = vec![("Authorization".to_owned(), "Token mine".to_owned())];
        for (headers, expected) in [(vec![], "Bearer hunter2"), (own, "Token mine")] {
            let ask = Ask { method: Method::GET, path: "/".to_owned(), headers, body: None };
            assert_eq!(address.send(&ask).await.unwrap().body, expected);
            let shown = format!("{address:?} {address} {}", address.curl(&ask));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn a_command_survives_the_shell() {
        let address = Address::parse("http://a").unwrap();
        let headers = vec![("x".to_owned(), "it's".to_owned())];
        let ask = Ask { method: Method::GET, path: "/b".to_owned(), headers, body: None };
        assert_eq!(address.curl(&ask), r"curl -i -X GET -H 'x: it'\''s' 'http://a/b'");
    }
}
