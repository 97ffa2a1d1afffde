//! A service to be released, for the tests: well, or unwell in one of the ways services are.

use std::{
    convert::Infallible,
    io::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use clap::Parser;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

#[derive(Debug, Clone, Parser)]
struct Demo {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    revision: String,
    /// Says that it is down.
    #[arg(long)]
    sick: bool,
    /// Ends itself after as many answers, health included.
    #[arg(long)]
    crash_after: Option<u64>,
    /// Keeps everybody waiting who is not asking for its health.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// One in so many answers, health not counted, is a 500.
    #[arg(long)]
    error_every: Option<u64>,
    /// Does not end when asked to.
    #[arg(long)]
    stubborn: bool,
}

/// All answers, and those that were not about its health.
static ANSWERS: AtomicU64 = AtomicU64::new(0);
static WORK: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let demo = Demo::parse();
    let _deaf = demo.stubborn.then(|| signal(SignalKind::terminate())).transpose()?;
    let listener = TcpListener::bind(demo.address).await?;
    writeln!(std::io::stdout(), "{} on {}", demo.revision, demo.address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let demo = demo.clone();
        let answer = service_fn(move |request| {
            let demo = demo.clone();
            async move { Ok::<_, Infallible>(answer(&demo, &request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

async fn answer(demo: &Demo, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if demo.crash_after.is_some_and(|n| ANSWERS.fetch_add(1, Ordering::SeqCst) >= n) {
        std::process::exit(3);
    }
    if request.uri().path() == "/healthz" {
        let status = if demo.sick { "down" } else { "ok" };
        let body = serde_json::json!({"status": status, "revision": demo.revision});
        return says(StatusCode::OK, body.to_string());
    }
    tokio::time::sleep(Duration::from_millis(demo.delay_ms)).await;
    let count = WORK.fetch_add(1, Ordering::SeqCst) + 1;
    if demo.error_every.is_some_and(|every| count.is_multiple_of(every)) {
        return says(StatusCode::INTERNAL_SERVER_ERROR, "out of order".to_owned());
    }
    says(StatusCode::OK, demo.revision.clone())
}

fn says(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}
