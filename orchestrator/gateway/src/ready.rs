//! Whether the mesh can be used: connected, and the streams there.

use std::time::{Duration, Instant};

use async_nats::connection::State;
use deadelus_mesh::{Mesh, streams};
use tokio::{sync::Mutex, time::timeout};

/// Whoever asks within this hears the same again: nobody needs a token to ask.
const READY_FOR: Duration = Duration::from_secs(1);

/// A server that runs says what a stream is within milliseconds.
const STREAM_WITHIN: Duration = Duration::from_secs(2);

/// What a request goes into, and what it is answered from.
const NEEDED: [&str; 2] = [streams::INBOX, streams::LOG];

/// What is missing, asked no more than once a second.
#[derive(Debug)]
pub(crate) struct Ready {
    mesh: Mesh,
    last: Mutex<Option<(Instant, Option<String>)>>,
}

impl Ready {
    pub(crate) fn of(mesh: Mesh) -> Self {
        Self { mesh, last: Mutex::new(None) }
    }

    /// What is missing; none when nothing is.
    pub(crate) async fn missing(&self) -> Option<String> {
        let mut last = self.last.lock().await;
        if let Some((at, missing)) = &*last
            && at.elapsed() < READY_FOR
        {
            return missing.clone();
        }
        let missing = self.look().await;
        *last = Some((Instant::now(), missing.clone()));
        missing
    }

    async fn look(&self) -> Option<String> {
        if self.mesh.client.connection_state() != State::Connected {
            return Some("NATS is not connected".to_owned());
        }
        for name in NEEDED {
            let stream = self.mesh.subjects.resource(name);
            match timeout(STREAM_WITHIN, self.mesh.jetstream.get_stream(&stream)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Some(format!("stream {stream}: {error}")),
                Err(_) => return Some(format!("stream {stream} does not answer")),
            }
        }
        None
    }
}
