//! One connection per process, and what hangs on it.
//!
//! The first connect fails after a bound with a reason; after it has succeeded the client
//! reconnects for ever, and whoever waits for an answer has a bound of its own.

mod access;
mod version;

use std::time::{Duration, Instant};

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event,
    connection::State,
    jetstream::{self, context::ContextBuilder},
};
use bytes::Bytes;
use deadelus_proto::{Role, Subjects, role::reply_mark};
use tokio::{sync::watch, time::timeout};

use crate::{
    MeshError,
    config::NatsConfig,
    error::{Cause, chain},
    meters,
};
use access::Access;
pub use version::{OLDEST_SERVER, ServerVersion};

/// Long enough for a server that starts beside us, short enough for a person who waits.
pub const FIRST_CONNECT_MAX: Duration = Duration::from_secs(10);

/// Between two tries of the first connect.
const FIRST_CONNECT_PAUSE: Duration = Duration::from_millis(200);

/// One handshake: TCP, TLS, INFO, CONNECT, PONG.
const HANDSHAKE_MAX: Duration = Duration::from_secs(3);

/// The longest pause between two tries to reconnect: a server that is back is found within it.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);

/// A dead link without a FIN is noticed after two of these.
const PING_EVERY: Duration = Duration::from_secs(10);

/// A request to the server, or to another process.
pub const REQUEST_MAX: Duration = Duration::from_secs(5);

/// A connection that breaks more often during one question is left to the question's own timeout.
const ASKED_ANEW_MAX: usize = 8;

/// Messages a subscription holds for a slow reader before it drops some: thousands of workflows
/// answer into one inbox.
const SUBSCRIPTION_CAPACITY: usize = 256 * 1024;

/// Commands waiting for the connection's task.
const COMMAND_CAPACITY: usize = 16 * 1024;

/// Publishes whose ack is still out. More than that wait for a permit; they do not fail.
const ACKS_IN_FLIGHT_MAX: usize = 16 * 1024;

/// While waiting for the connection to come back, look this often.
const STATE_POLL: Duration = Duration::from_millis(20);

/// A connection to the mesh. Clones share it.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// Core NATS: requests, heartbeats, progress.
    pub client: Client,
    /// Streams. Its requests take at most [`REQUEST_MAX`].
    pub jetstream: jetstream::Context,
    /// How subjects and resources of this mesh are called.
    pub subjects: Subjects,
    /// What this process's credential stands for; none on a mesh where everybody may do everything.
    pub role: Option<Role>,
    /// What answered at the first connect.
    pub server: ServerVersion,
    closed: watch::Receiver<bool>,
    connections: watch::Receiver<u64>,
}

/// What the connection's own task makes known.
#[derive(Debug, Clone)]
struct Known {
    closed: watch::Sender<bool>,
    connections: watch::Sender<u64>,
}

/// Connects, and checks that the server is one we can work with.
///
/// `name` is what the server's operators see, unless the configuration says otherwise.
///
/// # Errors
/// [`MeshError::Unreachable`] after [`FIRST_CONNECT_MAX`], [`MeshError::Refused`] at once,
/// [`MeshError::TooOld`], and [`MeshError::Settings`] or [`MeshError::File`] for what the
/// configuration says.
pub async fn connect(config: &NatsConfig, name: &str) -> Result<Mesh, MeshError> {
    let subjects = Subjects::new(&config.prefix)?;
    let access = Access::resolve(config)?;
    let role = role(config)?;
    install_crypto();
    let (known, closed, connections) = Known::channel();
    let name = if config.name.is_empty() { name } else { &config.name };
    let replies = role.as_ref().map(|role| role.replies(&subjects));
    let client = first_connect(&access, (name, replies.as_deref()), known).await?;
    let server = ServerVersion::accept(&client.server_info().version)?;
    let jetstream = ContextBuilder::new()
        .timeout(REQUEST_MAX)
        .max_ack_inflight(ACKS_IN_FLIGHT_MAX)
        .backpressure_on_inflight(true)
        .build(client.clone());
    Ok(Mesh { client, jetstream, subjects, role, server, closed, connections })
}

fn role(config: &NatsConfig) -> Result<Option<Role>, MeshError> {
    if config.role.is_empty() {
        return Ok(None);
    }
    let role = config.role.parse();
    role.map(Some).map_err(|e| MeshError::Settings(format!("nats.role: {e}")))
}

impl Mesh {
    /// Sends an answer to where somebody says that they wait for it. On a mesh with roles that is a
    /// reply subject: nobody has us write a stream in our name by calling it the place of an answer.
    pub async fn reply(&self, to: async_nats::Subject, bytes: Bytes) {
        if self.role.is_some() && !to.starts_with(&reply_mark(&self.subjects)) {
            meters::refused("no_reply_subject");
            tracing::warn!(%to, "refused to answer: nobody waits for answers there");
            return;
        }
        if let Err(error) = self.client.publish(to, bytes).await {
            tracing::debug!(%error, "an answer was lost");
        }
    }

    /// Changes each time the connection stands again: what was said into the old one, and what was
    /// asked for over it, may be lost.
    pub fn reconnects(&self) -> Reconnects {
        let mut connections = self.connections.clone();
        connections.mark_unchanged();
        Reconnects(connections)
    }

    /// Delivers what was published, stops the subscriptions, closes the connection. Gives up
    /// after `deadline` with a warning: nothing that must happen rides on it.
    pub async fn drain(self, deadline: Duration) {
        let mut closed = self.closed;
        let drained = timeout(deadline, async {
            // Commands behind a drain are dropped, so what was said before goes out first.
            if let Err(error) = self.client.flush().await {
                tracing::debug!(error = chain(&error), "nothing to flush into");
            }
            if self.client.drain().await.is_ok() {
                let _ = closed.wait_for(|closed| *closed).await;
            }
        });
        if drained.await.is_err() {
            tracing::warn!(?deadline, "NATS connection did not drain in time");
        }
    }

    /// The answer to a question. When the connection breaks it is asked anew over the next one: what
    /// was asked over the old one nobody answers, and its timeout would be waited for in vain. For
    /// what may be asked twice.
    ///
    /// # Errors
    /// Those of the question.
    pub async fn answer_to<T, E, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut reconnects = self.reconnects();
        for _ in 0..ASKED_ANEW_MAX {
            tokio::select! {
                biased;
                answer = ask() => return answer,
                () = reconnects.next() => {}
            }
        }
        ask().await
    }

    /// Waits until the connection stands, at most until `deadline`. Says whether it does.
    pub(crate) async fn connected_by(&self, deadline: Instant) -> bool {
        loop {
            if self.client.connection_state() == State::Connected {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(STATE_POLL).await;
        }
    }
}

/// Hears of every time the connection stands again.
#[derive(Debug)]
pub struct Reconnects(watch::Receiver<u64>);

impl Reconnects {
    /// Waits for the next time. Dropping the future loses nothing.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The connection is closed, and with it the process ends.
            std::future::pending().await
        }
    }
}

impl Known {
    fn channel() -> (Self, watch::Receiver<bool>, watch::Receiver<u64>) {
        let (closed, is_closed) = watch::channel(false);
        let (connections, counted) = watch::channel(0);
        (Self { closed, connections }, is_closed, counted)
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::Connected => self.connections.send_modify(|count| *count += 1),
            Event::Closed => _ = self.closed.send_replace(true),
            Event::Disconnected
            | Event::LameDuckMode
            | Event::Draining
            | Event::SlowConsumer(_)
            | Event::ServerError(_)
            | Event::ClientError(_) => {}
        }
    }
}

/// Rustls wants one provider per process, chosen by hand: two in one binary make it panic.
pub(crate) fn install_crypto() {
    // Fails when somebody was first, which is just as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn first_connect(
    access: &Access,
    (name, replies): (&str, Option<&str>),
    known: Known,
) -> Result<Client, MeshError> {
    let begun = Instant::now();
    loop {
        let mut options = options(access.options()?, name, known.clone());
        if let Some(replies) = replies {
            options = options.custom_inbox_prefix(replies);
        }
        let error = match options.connect(access.servers.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                return Err(MeshError::Refused { url: access.shown(), source: error.into() });
            }
            ConnectErrorKind::ServerParse
            | ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Tls
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => {}
        }
        if begun.elapsed() >= FIRST_CONNECT_MAX {
            let source: Cause = error.into();
            return Err(MeshError::Unreachable {
                url: access.shown(),
                waited: FIRST_CONNECT_MAX,
                source,
            });
        }
        tracing::debug!(url = access.shown(), error = chain(&error), "no NATS server yet");
        tokio::time::sleep(FIRST_CONNECT_PAUSE).await;
    }
}

fn options(options: ConnectOptions, name: &str, known: Known) -> ConnectOptions {
    options
        .name(name)
        .connection_timeout(HANDSHAKE_MAX)
        .ping_interval(PING_EVERY)
        .request_timeout(Some(REQUEST_MAX))
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .client_capacity(COMMAND_CAPACITY)
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_pause)
        .event_callback(move |event| {
            known.hear(&event);
            log(&event);
            std::future::ready(())
        })
}

/// Doubles from 10 ms to [`RECONNECT_PAUSE_MAX`], each shortened by up to half, so that a mesh
/// does not knock in step.
fn reconnect_pause(tries: usize) -> Duration {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    let pause = Duration::from_millis(10).saturating_mul(1 << doublings).min(RECONNECT_PAUSE_MAX);
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn log(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("NATS connection lost; reconnecting"),
        Event::LameDuckMode => tracing::info!("the NATS server is about to stop"),
        Event::Draining | Event::Closed => tracing::debug!(%event, "NATS connection"),
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => {
            tracing::warn!(%event, "NATS connection");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_reconnects_is_bounded() {
        for tries in [0, 1, 2, 9, 100, usize::MAX] {
            let pause = reconnect_pause(tries);
            assert!(pause >= Duration::from_millis(5) && pause <= RECONNECT_PAUSE_MAX, "{tries}");
        }
    }
}
