//! The orchestrator's side of borrowing: whoever names a digest has its bytes sent by the stream.
//!
//! It moves no bytes itself: a consumer of this one upload delivers to the asker, and the server
//! forgets it soon after the asker has gone. It lends to reply subjects of the asker only: a
//! delivery anywhere else would be somebody writing in the server's name.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, push};
use deadelus_proto::{Role, Sha256, SpecialistName, pb};

use super::{chunks_of, entry_in};
use crate::{Mesh, MeshError, streams};

/// An asker that is gone is forgotten after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5);

/// Says that the link lives while nothing comes; flow control wants it.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(5);

/// Has an artefact sent, or says why not. Never waits for the bytes.
pub async fn lend(mesh: &Mesh, from: &SpecialistName, wanted: &pb::Borrow) -> pb::Lent {
    let refused = |problem: String| pb::Lent { problem, ..pb::Lent::default() };
    let Ok(sha256) = wanted.sha256.parse::<Sha256>() else {
        return refused("no SHA-256 in lower-case hexadecimal".to_owned());
    };
    if !wanted.deliver_to.is_empty() && !is_own(mesh, from, &wanted.deliver_to) {
        tracing::warn!(%from, deliver_to = wanted.deliver_to, "refused to lend to another's subject");
        return refused("artefacts are delivered to reply subjects of the asker's own".to_owned());
    }
    match send(mesh, &sha256, &wanted.deliver_to).await {
        Ok(Some(size_bytes)) => pb::Lent { size_bytes, ..pb::Lent::default() },
        Ok(None) => pb::Lent { missing: true, ..pb::Lent::default() },
        Err(error) => refused(crate::chain(&error)),
    }
}

/// A literal subject below the asker's own replies.
fn is_own(mesh: &Mesh, from: &SpecialistName, subject: &str) -> bool {
    let own = Role::Specialist(from.clone()).replies(&mesh.subjects);
    let below = subject.strip_prefix(&own).and_then(|rest| rest.strip_prefix('.'));
    below.is_some_and(|rest| !rest.is_empty() && !rest.contains(['*', '>', ' ']))
}

/// How many bytes it has; none when it is not there.
async fn send(mesh: &Mesh, sha256: &Sha256, to: &str) -> Result<Option<u64>, MeshError> {
    let store = streams::artefacts(mesh).await?;
    let Some(entry) = entry_in(&store, sha256).await? else { return Ok(None) };
    if !to.is_empty() && entry.size > 0 {
        let config = push::Config {
            deliver_subject: to.to_owned(),
            filter_subject: chunks_of(mesh, &entry.nuid),
            ack_policy: AckPolicy::None,
            flow_control: true,
            idle_heartbeat: SIGN_OF_LIFE_EVERY,
            inactive_threshold: FORGOTTEN_AFTER,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let stream = mesh.jetstream.get_stream_no_info(store_stream(mesh)).await;
        let failed = |e: &dyn std::fmt::Display| {
            MeshError::jetstream(format!("lend artefact {sha256}"), e.to_string())
        };
        let stream = stream.map_err(|e| failed(&e))?;
        stream.create_consumer(config).await.map_err(|e| failed(&e))?;
    }
    Ok(Some(entry.size as u64))
}

fn store_stream(mesh: &Mesh) -> String {
    streams::resource(mesh, streams::ARTEFACTS)
}
