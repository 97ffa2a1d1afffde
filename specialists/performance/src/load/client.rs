//! One HTTP request over kept connections, and the class of what went wrong with it.
//! It follows no redirect: that would be another address.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Uri, body::Incoming, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::tally::ErrorKind;

/// A connection that was not needed for this long is closed; servers close theirs later.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// Clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient(Client<HttpConnector, Full<Bytes>>);

impl HttpClient {
    /// Keeps up to `connections` connections. Head and body leave in one packet, at once.
    pub(crate) fn new(connections: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(connections)
            .build(connector);
        Self(client)
    }

    /// Sends, and reads the answer to its end.
    ///
    /// # Errors
    /// When there was no whole answer. An answer of any status is none; see [`classify`].
    pub(crate) async fn send(
        &self,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> Result<u16, ErrorKind> {
        let (status, mut body) = self.ask(method, uri, body).await?;
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| ErrorKind::Transport)?;
        }
        Ok(status)
    }

    /// Sends, and hands the answer's body on unread.
    pub(crate) async fn ask(
        &self,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> Result<(u16, Incoming), ErrorKind> {
        let mut request = Request::builder().method(method).uri(uri);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(|_| ErrorKind::Transport)?;
        let kind = |e: &hyper_util::client::legacy::Error| match e.is_connect() {
            true => ErrorKind::Connect,
            false => ErrorKind::Transport,
        };
        let answer = self.0.request(request).await.map_err(|e| kind(&e))?;
        Ok((answer.status().as_u16(), answer.into_body()))
    }
}

/// Which statuses count as failures.
pub(crate) fn classify(status: u16) -> Option<ErrorKind> {
    match status {
        0..=399 => None,
        400..=499 => Some(ErrorKind::ClientError),
        500.. => Some(ErrorKind::ServerError),
    }
}
