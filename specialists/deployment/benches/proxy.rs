//! What the proxy costs: latency beside asking the service itself, and requests per second.
//!
//! `cargo bench -p deadelus-deployment` (`-- --quick` for a short one). Customers, proxy and service
//! are threads of this one process and share its cores, so the figures are what is left for the
//! proxy when everybody else works beside it. Figures of another machine are other figures.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use deadelus_proxy::{Router, Routes, Server};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{
    Request, Response, body::Incoming, client::conn::http1::SendRequest, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// As large as the answer of a small API.
const ANSWER_BYTES: usize = 256;

/// Customers at once for the throughput.
const CUSTOMERS: usize = 64;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Pairs of requests, one direct and one through the proxy.
    pairs: usize,
    crowd_for: Duration,
}

#[tokio::main]
async fn main() -> Result<()> {
    let size = if std::env::args().any(|a| a == "--quick") {
        Size { pairs: 2_000, crowd_for: Duration::from_secs(1) }
    } else {
        Size { pairs: 20_000, crowd_for: Duration::from_secs(5) }
    };
    let service = service().await?;
    let proxy = proxy(service).await?;
    let cores = std::thread::available_parallelism()?;
    println!("proxy, service and customers share {cores} cores; answers of {ANSWER_BYTES} bytes");
    let (direct, through) = alone(service, proxy, size.pairs).await?;
    println!("one at a time, p50 of {}:", size.pairs);
    println!("  the service itself   {direct:>8.1?}");
    println!(
        "  through the proxy    {through:>8.1?}   adds {:.1?}",
        through.saturating_sub(direct)
    );
    for (name, address) in [("the service itself", service), ("through the proxy", proxy)] {
        let per_second = crowd(address, size.crowd_for).await?;
        println!("{CUSTOMERS} customers, {name:<19} {per_second:>8.0} requests/s");
    }
    Ok(())
}

/// The median of each, asked in turn so that both meet the same noise.
async fn alone(
    direct: SocketAddr,
    through: SocketAddr,
    pairs: usize,
) -> Result<(Duration, Duration)> {
    let (mut a, mut b) = (connect(direct).await?, connect(through).await?);
    let (mut times_a, mut times_b) = (vec![], vec![]);
    for _ in 0..pairs {
        times_a.push(ask(&mut a).await?);
        times_b.push(ask(&mut b).await?);
    }
    Ok((median(times_a), median(times_b)))
}

async fn crowd(address: SocketAddr, long: Duration) -> Result<f64> {
    let begun = Instant::now();
    let customer = move || async move {
        let mut connection = connect(address).await?;
        let mut asked = 0_u32;
        while begun.elapsed() < long {
            ask(&mut connection).await?;
            asked += 1;
        }
        Ok::<_, anyhow::Error>(asked)
    };
    let customers: Vec<_> = (0..CUSTOMERS).map(|_| tokio::spawn(customer())).collect();
    let mut asked = 0;
    for customer in customers {
        asked += customer.await??;
    }
    Ok(f64::from(asked) / begun.elapsed().as_secs_f64())
}

async fn ask(connection: &mut SendRequest<Empty<Bytes>>) -> Result<Duration> {
    let begun = Instant::now();
    connection.ready().await?;
    let request = Request::get("/").header("host", "bench").body(Empty::new())?;
    let answer = connection.send_request(request).await?;
    anyhow::ensure!(answer.status().is_success(), "answered {}", answer.status());
    let body = answer.into_body().collect().await?.to_bytes();
    anyhow::ensure!(body.len() == ANSWER_BYTES, "{} bytes", body.len());
    Ok(begun.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn service() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(|_: Request<Incoming>| async {
                let body = Full::new(Bytes::from_static(&[b'x'; ANSWER_BYTES]));
                Ok::<_, Infallible>(Response::new(body))
            });
            let _ = stream.set_nodelay(true);
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(connection);
        }
    });
    Ok(address)
}

async fn proxy(service: SocketAddr) -> Result<SocketAddr> {
    let router = Arc::new(Router::open(None)?);
    let server = Server { name: "v1-0".to_owned(), address: service, weight: 1 };
    router.replace(&Routes { servers: vec![server] }).context("one server")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(deadelus_proxy::serve(listener, router, std::future::pending()));
    Ok(address)
}
