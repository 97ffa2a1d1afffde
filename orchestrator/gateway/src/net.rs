//! The door: connections in, no more than there is room for, each with a bound on how long it may
//! take to say what it wants and to take what it is told.

mod stalled;
mod tls;

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use deadelus_mesh::life::Shutdown;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, GatewayError};
use stalled::Stalled;

/// Who is being answered when the process is asked to stop is answered by then.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(5);

/// A whole head within this, also of the next request on the same connection: slower is nobody who
/// means well.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// The same for what comes before it.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Of one head, and of an answer that waits for its socket.
const BUFFER_MAX_BYTES: usize = 32 * 1024;

/// What the system keeps for somebody who does not read; the rest waits in the log.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;

/// Connections that wait to be let in.
const BACKLOG_MAX: u32 = 4_096;

/// Out of descriptors, as a rule: somebody has to leave first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Descriptors beside those of connections: the mesh, files, the log.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Where connections come in.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    room: Arc<Semaphore>,
    stalled_max: Duration,
}

impl Door {
    /// Nobody is let in before [`serve`].
    ///
    /// # Errors
    /// [`GatewayError::Listen`] and [`GatewayError::Tls`].
    pub(crate) async fn open(config: &Config) -> Result<Self, GatewayError> {
        let listen = config.listen;
        let failed = |source| GatewayError::Listen { listen, source };
        let tls = match &config.tls {
            Some(tls) => Some(tls::acceptor(tls).await?),
            None => None,
        };
        let listener = listener(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let room = config.limits.connections_max.get();
        raise_descriptors(room as u64 + DESCRIPTORS_BESIDE);
        let stalled_max = Duration::from_secs(config.limits.stalled_max_s.max(1));
        Ok(Self { listener, address, tls, room: Arc::new(Semaphore::new(room)), stalled_max })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers until the process is asked to stop, then until everybody is answered or [`DRAIN_MAX`].
pub(crate) async fn serve(door: Door, router: Router, shutdown: Shutdown) {
    let open = GracefulShutdown::new();
    let mut stop = pin!(shutdown.requested());
    loop {
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(room) = Arc::clone(&door.room).try_acquire_owned() else {
            tracing::debug!("a connection too many is closed");
            continue;
        };
        let (tls, stalled_max) = (door.tls.clone(), door.stalled_max);
        let (router, watcher) = (router.clone(), open.watcher());
        tokio::spawn(async move {
            converse(stream, tls, stalled_max, router, watcher, room).await;
        });
    }
    drop(door);
    if timeout(DRAIN_MAX, open.shutdown()).await.is_err() {
        tracing::warn!("the gateway left while it was still answering");
    }
}

async fn converse(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    stalled_max: Duration,
    router: Router,
    watcher: Watcher,
    room: OwnedSemaphorePermit,
) {
    // An event is to be there when it happens, not when the next one does.
    let _ = stream.set_nodelay(true);
    let stream = Stalled::new(stream, stalled_max);
    match tls {
        None => answer(stream, router, watcher).await,
        Some(tls) => match timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, router, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
            Err(_) => tracing::debug!("no TLS in time"),
        },
    }
    drop(room);
}

async fn answer<S>(stream: S, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(BUFFER_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error = deadelus_mesh::chain(&error), "a connection has ended");
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Those that are accepted inherit it.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG_MAX)
}

/// As many as are wanted, or as many as there may be.
fn raise_descriptors(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let most = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit { current: Some(most), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    if most < wanted {
        tracing::warn!(most, wanted, "fewer open files than gateway.limits.connections_max takes");
    }
}
