//! The operator's side: one resource over a Unix socket, and its client.
//!
//! `GET /routes` answers a [`Report`]; `PUT /routes` takes [`Routes`] and answers the report once
//! they are in force. Whoever may open the socket may do both: it belongs to the user of the proxy
//! alone.

use std::{
    convert::Infallible,
    fs,
    io::{self, ErrorKind},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};

use crate::{
    router::{Router, StateError},
    routes::{Report, Routes},
};

/// Sixty-four servers with long names, several times over.
const MESSAGE_MAX_BYTES: usize = 256 * 1024;

/// An answer is a look at memory, or one small file written.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// When the process has no files left, accepting is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Makes the socket: nobody but the owner can open it, not even for a moment.
///
/// # Errors
/// When it cannot be made, or another proxy answers there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        let problem = format!("{}: another proxy answers there", path.display());
        return Err(io::Error::new(ErrorKind::AddrInUse, problem));
    }
    let beside = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made where nobody else can look, and moved: over a socket that an earlier process left.
    let private = tempfile::Builder::new().prefix(".").rand_bytes(4).tempdir_in(beside)?;
    let made = private.path().join("s");
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, fs::Permissions::from_mode(0o600))?;
    fs::rename(&made, path)?;
    Ok(listener)
}

/// Serves operators for as long as it is polled.
pub async fn serve(listener: UnixListener, router: Arc<Router>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let router = router.clone();
        let service = service_fn(move |request| {
            let router = router.clone();
            async move { Ok::<_, Infallible>(answer(&router, request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(timeout(ANSWER_WITHIN, connection));
    }
}

async fn answer(router: &Arc<Router>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/routes" {
        return says(StatusCode::NOT_FOUND, "there is /routes");
    }
    if request.method() == Method::GET {
        return json(&router.report());
    }
    if request.method() != Method::PUT {
        return says(StatusCode::METHOD_NOT_ALLOWED, "there are GET and PUT");
    }
    let body = match Limited::new(request.into_body(), MESSAGE_MAX_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(e) => return says(StatusCode::BAD_REQUEST, &e.to_string()),
    };
    let routes: Routes = match serde_json::from_slice(&body) {
        Ok(routes) => routes,
        Err(e) => return says(StatusCode::BAD_REQUEST, &e.to_string()),
    };
    let theirs = router.clone();
    let replaced = tokio::task::spawn_blocking(move || theirs.replace(&routes)).await;
    match replaced {
        Ok(Ok(())) => json(&router.report()),
        Ok(Err(StateError::Routes(e))) => says(StatusCode::BAD_REQUEST, &e.to_string()),
        Ok(Err(e @ (StateError::File { .. } | StateError::Content { .. }))) => {
            says(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string())
        }
        Err(panic) => says(StatusCode::INTERNAL_SERVER_ERROR, &panic.to_string()),
    }
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Response::new(Full::from(bytes)),
        Err(e) => says(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
    }
}

fn says(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text.to_owned()));
    *response.status_mut() = status;
    response
}

/// Speaks to a proxy.
#[derive(Debug, Clone)]
pub struct Control {
    socket: PathBuf,
}

/// Why a proxy did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody is there, or they do not speak as a proxy does.
    #[error("{0}")]
    Away(String),
    /// It refused; nothing has changed.
    #[error("{0}")]
    Refused(String),
}

impl Control {
    /// At this socket; nothing is opened yet.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// What is in force.
    ///
    /// # Errors
    /// [`ControlError::Away`].
    pub async fn report(&self) -> Result<Report, ControlError> {
        self.ask(Method::GET, vec![]).await
    }

    /// Puts a table in force.
    ///
    /// # Errors
    /// [`ControlError::Refused`] and nothing has changed; after [`ControlError::Away`] it may have.
    pub async fn replace(&self, routes: &Routes) -> Result<Report, ControlError> {
        let body = serde_json::to_vec(routes).map_err(|e| ControlError::Refused(e.to_string()))?;
        self.ask(Method::PUT, body).await
    }

    async fn ask(&self, method: Method, body: Vec<u8>) -> Result<Report, ControlError> {
        let away = |e: String| ControlError::Away(format!("{}: {e}", self.socket.display()));
        let (status, body) = timeout(ANSWER_WITHIN, exchange(&self.socket, method, body))
            .await
            .map_err(|e| away(e.to_string()))?
            .map_err(|e| away(e.to_string()))?;
        if status.is_client_error() || status.is_server_error() {
            return Err(ControlError::Refused(String::from_utf8_lossy(&body).into_owned()));
        }
        serde_json::from_slice(&body).map_err(|e| away(e.to_string()))
    }
}

async fn exchange(
    socket: &Path,
    method: Method,
    body: Vec<u8>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri("/routes")
        .header("host", "proxy")
        .body(Full::<Bytes>::from(body))?;
    let asked = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MESSAGE_MAX_BYTES).collect().await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body.to_bytes()))
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        ended = &mut connection => {
            ended?;
            asked.await
        }
    }
}
