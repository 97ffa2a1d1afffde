//! Who answers on the mesh: every process of ours is a NATS micro service.

use std::{collections::BTreeMap, time::Duration};

use async_nats::Client;
use deadelus_mesh::Mesh;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::ViewError;

/// The subject that every micro service answers (ADR-32 of NATS).
const PING: &str = "$SRV.PING";

/// All services of ours are called so.
const PREFIX: &str = "deadelus-";

/// Who has not answered by then is not counted.
const ANSWERS_WITHIN: Duration = Duration::from_millis(400);

/// Answers come together; after the first one this much silence means that all have spoken.
const SILENCE_MAX: Duration = Duration::from_millis(60);

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `deadelus-db`
    pub name: String,
    /// Of the program.
    pub version: String,
    /// What it says of itself: `instance`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl Service {
    /// `db`
    pub fn kind(&self) -> &str {
        self.name.strip_prefix(PREFIX).unwrap_or(&self.name)
    }

    /// `db-7f3a`
    pub fn instance(&self) -> &str {
        self.metadata.get("instance").map_or("?", String::as_str)
    }
}

/// Everybody who answers; returns as soon as `expected` have, when nobody speaks any more, at the
/// latest after [`ANSWERS_WITHIN`].
///
/// # Errors
/// When nothing can be sent.
pub async fn ping(mesh: &Mesh, expected: usize) -> Result<Vec<Service>, ViewError> {
    let client: &Client = &mesh.client;
    let inbox = client.new_inbox();
    let mut answers =
        client.subscribe(inbox.clone()).await.map_err(ViewError::nats("listen for services"))?;
    client
        .publish_with_reply(PING, inbox, bytes::Bytes::new())
        .await
        .map_err(ViewError::nats("ask for services"))?;
    let deadline = Instant::now() + ANSWERS_WITHIN;
    let mut services = vec![];
    while services.len() < expected {
        let silent = if services.is_empty() { deadline } else { Instant::now() + SILENCE_MAX };
        let Ok(Some(answer)) = timeout_at(deadline.min(silent), answers.next()).await else {
            break;
        };
        match serde_json::from_slice::<Service>(&answer.payload) {
            Ok(service) if service.name.starts_with(PREFIX) => services.push(service),
            // Somebody else's service on the same account.
            Ok(_) | Err(_) => {}
        }
    }
    services.sort_by(|a, b| a.name.cmp(&b.name).then(a.instance().cmp(b.instance())));
    Ok(services)
}
