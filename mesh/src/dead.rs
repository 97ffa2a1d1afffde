//! Burying a message that nobody can handle: it goes to DEAD with the reason and never comes again.

use async_nats::jetstream::{AckKind, Message};
use deadelus_proto::{CapabilityName, Subject, limits::MESSAGE_TEXT_MAX_CHARS, pb};
use prost::Message as _;

use crate::{Mesh, clock::now_unix_ms, meters};

/// Writes the dead letter under `name`, then terminates the message. A message that could not be
/// buried comes again, and is buried then.
pub async fn bury(mesh: &Mesh, message: &Message, name: CapabilityName, reason: &str) {
    meters::refused("buried");
    tracing::error!(subject = %message.subject, reason, "buried a message that cannot be handled");
    let letter = pb::DeadLetter {
        reason: reason.chars().take(MESSAGE_TEXT_MAX_CHARS).collect(),
        subject: message.subject.to_string(),
        original: message.payload.clone(),
        at_unix_ms: now_unix_ms(),
    };
    let subject = mesh.subjects.of(&Subject::Dead(name));
    let kept = match mesh.jetstream.publish(subject, letter.encode_to_vec().into()).await {
        Ok(ack) => ack.await.map(|_| ()),
        Err(error) => Err(error),
    };
    let ended = match kept {
        Ok(()) => message.ack_with(AckKind::Term).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = ended {
        tracing::warn!(%error, "a message was not buried; it comes again");
    }
}
