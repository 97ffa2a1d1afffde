//! Asking one service, and no other. A token goes into the request and nowhere else.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use deadelus_runtime::{ErrorClass, Failure, invalid};
use http_body_util::Empty;
use hyper::{
    Request, Uri,
    header::{AUTHORIZATION, HeaderValue, USER_AGENT},
};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::target::ProbeTarget;

/// Asks the one address.
pub(crate) struct Client {
    hyper: Hyper<HttpConnector, Empty<Bytes>>,
    base: String,
    timeout: Duration,
}

impl Client {
    /// Of a checked target.
    pub(super) fn of(probe: &ProbeTarget) -> Self {
        Self {
            hyper: Hyper::builder(TokioExecutor::new()).build(HttpConnector::new()),
            base: probe.base_url.trim_end_matches('/').to_owned(),
            timeout: Duration::from_millis(probe.timeout_ms),
        }
    }

    /// Takes `http://` on this machine, without credentials and without a path: tokens go over no
    /// network in the clear.
    pub(crate) fn acceptable(url: &str) -> Result<(), String> {
        let uri: Uri = url.parse().map_err(|_| "it is no address".to_owned())?;
        let authority = uri.authority().ok_or("it has no host")?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let here = host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if uri.scheme_str() != Some("http") || !here {
            return Err("not http:// on this machine; TLS ends in a tunnel before it".to_owned());
        }
        if authority.as_str().contains('@') || uri.path() != "/" || uri.query().is_some() {
            return Err("not http://host:port alone".to_owned());
        }
        Ok(())
    }

    /// The status of the answer to a GET. The body is not read.
    pub(super) async fn get(&self, path: &str, token: Option<&str>) -> Result<u16, Failure> {
        let mut request = Request::get(format!("{}{path}", self.base))
            .header(USER_AGENT, "deadelus-auth")
            .body(Empty::new())
            .map_err(|e| invalid(format!("{path:?}: {e}")))?;
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| invalid("a token has characters that no header takes"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let unavailable = |what: String| {
            Failure::new(ErrorClass::Unavailable, format!("GET {path}: {what}"))
                .help("is the service running at the address of the target's configuration?")
        };
        match tokio::time::timeout(self.timeout, self.hyper.request(request)).await {
            Ok(Ok(answer)) => Ok(answer.status().as_u16()),
            Ok(Err(error)) => Err(unavailable(with_causes(&error))),
            Err(_) => Err(unavailable(format!("no answer in {} ms", self.timeout.as_millis()))),
        }
    }
}

/// `client error (Connect): tcp connect error: Connection refused`
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
