//! The reference shop: a small real service with the slow paths that real ones have.
//!
//! It stands in for the service of whoever uses Deadelus, in tests and in the quickstart. Every
//! slow path is either in its schema (a missing index), in its code (the N+1 of v1), in its
//! configuration (a small pool, a lock, a slow dependency, a fixed floor), or done to it from
//! outside (a lock held by somebody else). What it measures about itself it measures exactly.
//!
//! It must never know that it is being watched: nothing here depends on Deadelus.

mod auth;
mod config;
mod counters;
mod payments;
mod provider;
mod revision;
mod routes;
mod seed;
mod shop;
mod store;
mod subscriptions;
mod visit;
mod webhook;

pub use auth::{AuthConfig, Claims, KeyError, Mode, SigningKey, token};
pub use config::{
    Config, ConfigError, DELAY_MAX_MS, Database, DatabaseUrlError, POOL_SIZE_MAX, WRITTEN_LINES_MAX,
};
pub use provider::ProviderKey;
pub use revision::{Refusal, Revision};
pub use seed::{LINES_PER_ORDER, PRODUCTS, Seed, SeedError, seed};
pub use store::StoreError;
pub use webhook::WebhookSecret;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::auth::Auth;
use crate::counters::Counters;
use crate::provider::Provider;
use crate::revision::Release;
use crate::routes::Premises;
use crate::shop::Shop;
use crate::store::Pool;

/// How long requests in flight may take after the shop was told to close.
const DRAIN_MAX_S: u64 = 30;

/// Why the shop cannot open, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A value of the configuration is out of its range.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// The revision file cannot be followed.
    #[error("the shop does not know what to serve")]
    Revision(#[from] Refusal),
    /// The key that tokens are signed with cannot be used.
    #[error("nobody could log in")]
    Key(#[from] KeyError),
    /// The database is not there or has no shop in it.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
    /// The listener failed.
    #[error("the listener failed")]
    Listen(#[from] io::Error),
    /// Requests were still in flight when the time for them was over.
    #[error("requests were still in flight {DRAIN_MAX_S} s after the shop was told to close")]
    NotDrained,
}

/// Serves the shop on `listener` until `shutdown` is over, then finishes what is in flight.
///
/// # Errors
/// When the shop cannot open (before the first request), or does not drain.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    open(config).await?.serve(listener, shutdown).await
}

/// Checks the configuration, reads the revision and connects to the database.
///
/// # Errors
/// When any of the three is not what a shop can open with.
pub async fn open(config: Config) -> Result<Ready, ServeError> {
    config.check()?;
    let release = Release::start(config.revision_file.clone())?;
    let pool = Arc::new(Pool::open(&config).await?);
    let keys = config.provider_url.as_ref().zip(config.provider_key.clone());
    let provider = keys.map(|(url, key)| Provider::new(url, key));
    let auth = config.auth.as_ref().map(Auth::open).transpose()?.map(Arc::new);
    let shop = Shop { config, pool, provider };
    let premises = Premises { shop, release, counters: Counters::default(), auth };
    Ok(Ready(routes::router(Arc::new(premises))))
}

/// A shop that found everything in order and serves nobody yet.
#[derive(Debug)]
pub struct Ready(Router);

impl Ready {
    /// Serves as [`serve`] does.
    ///
    /// # Errors
    /// When the listener fails, or requests are still in flight long after `shutdown`.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        // Small answers leave at once. An error here means that the client is already gone.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (closing, closed) = oneshot::channel::<()>();
        let shutdown = async move {
            shutdown.await;
            drop(closing);
        };
        let server = axum::serve(listener, self.0).with_graceful_shutdown(shutdown);
        let too_late = async {
            closed.await.ok();
            tokio::time::sleep(Duration::from_secs(DRAIN_MAX_S)).await;
        };
        tokio::select! {
            served = server => Ok(served?),
            () = too_late => Err(ServeError::NotDrained),
        }
    }
}
