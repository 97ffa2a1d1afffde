//! The gateway as a part of a process: opened, then closed when the process is asked to stop.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use deadelus_mesh::{life::Shutdown, telemetry::Page};
use deadelus_view::Client;
use tokio::task::JoinHandle;

use crate::{
    caller::Caller,
    config::{Config, GatewayError, Limits},
    events::Hub,
    net::{self, Door},
    rate::Bucket,
    ready::Ready,
    routes,
    tokens::Tokens,
};

/// A gateway that is open.
#[derive(Debug)]
#[must_use = "who leaves before it is closed cuts off who is being answered"]
pub struct Gateway {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

/// What is known to whoever answers a request.
#[derive(Debug)]
pub(crate) struct Desk {
    client: Client,
    pub(crate) tokens: Tokens,
    /// As many as there are tokens.
    buckets: Vec<Mutex<Bucket>>,
    begun: Instant,
    pub(crate) hub: Arc<Hub>,
    pub(crate) ready: Ready,
    pub(crate) page: Page,
    pub(crate) shutdown: Shutdown,
}

impl Gateway {
    /// Opens it. `page` is what it shows as its metrics.
    ///
    /// # Errors
    /// [`GatewayError`]: what would be an open door does not open.
    pub async fn open(
        config: &Config,
        client: Client,
        page: Page,
        shutdown: &Shutdown,
    ) -> Result<Self, GatewayError> {
        config.check()?;
        let door = Door::open(config).await?;
        let address = door.address();
        let desk = Desk::new(config, client, page, shutdown);
        let router = routes::router(Arc::new(desk), config.limits.body_max_bytes);
        let serving = tokio::spawn(net::serve(door, router, shutdown.clone()));
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        tracing::info!(url = format!("{scheme}://{address}"), "gateway open");
        Ok(Self { address, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns once everybody was answered who had asked before the process was asked to stop,
    /// within a few seconds.
    pub async fn closed(self) {
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the gateway has ended");
        }
    }
}

impl Desk {
    fn new(config: &Config, client: Client, page: Page, shutdown: &Shutdown) -> Self {
        let tokens = Tokens::new(&config.tokens);
        let Limits { requests_per_second, requests_burst, .. } = config.limits;
        let bucket = || Mutex::new(Bucket::full(requests_per_second.get(), requests_burst.get()));
        Self {
            buckets: (0..tokens.len()).map(|_| bucket()).collect(),
            tokens,
            begun: Instant::now(),
            hub: Hub::open(client.mesh.clone(), config.limits.streams_max),
            ready: Ready::of(client.mesh.clone()),
            client,
            page,
            shutdown: shutdown.clone(),
        }
    }

    /// The mesh, on behalf of somebody.
    pub(crate) fn client(&self, caller: &Caller) -> Client {
        Client { by: caller.name.clone(), ..self.client.clone() }
    }

    /// One more request with a token; or after how many seconds to ask again.
    pub(crate) fn take_turn(&self, token: usize) -> Result<(), u64> {
        let Some(bucket) = self.buckets.get(token) else { return Ok(()) };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(self.begun.elapsed())
    }
}
