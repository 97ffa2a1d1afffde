//! The customers' side: connections are accepted until told to stop, and then finished.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{header::HeaderValue, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{forward::forward, router::Router};

/// Connections at once: what a process may have open by default (1,024 files) is less; who raises
/// that gets more, up to here. Beyond, customers wait in the system's queue.
const CONNECTIONS_MAX: usize = 10_000;

/// From one request's end to the next one's head: longer is an idle or a stalling customer.
const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// Requests in hand when told to stop may take this long.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);

/// When the process has no files left, accepting is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves customers until `stop`, then finishes what is in hand, for at most 30 seconds.
pub async fn serve(listener: TcpListener, router: Arc<Router>, stop: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = graceful.watch(connection(stream, peer, router.clone()));
        tokio::spawn(async move {
            // A customer who leaves is no event of ours.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    // What is cut off then has had its time.
    let _ = tokio::time::timeout(DRAIN_WITHIN, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.ok()?;
    let (stream, peer) = listener.accept().await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some((stream, peer, place))
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Arc<Router>,
) -> impl hyper_util::server::graceful::GracefulConnection<Output = Result<(), hyper::Error>> {
    let peer = HeaderValue::from_str(&peer.ip().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
    let service = service_fn(move |request| {
        let (router, peer) = (router.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(forward(&router, &peer, request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
}
