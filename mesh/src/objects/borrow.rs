//! The specialist's side of borrowing: a digest is named, and the bytes come to a reply subject.

use async_nats::{Message, StatusCode};
use bytes::Bytes;
use deadelus_proto::{Artefact, Sha256, SpecialistName, Subject, limits::ARTEFACT_MAX_BYTES, pb};
use futures_util::StreamExt as _;
use prost::Message as _;

use super::missing;
use crate::{Mesh, MeshError};

/// The bytes of an artefact, not yet checked against its digest.
pub(super) async fn get(
    mesh: &Mesh,
    own: &SpecialistName,
    artefact: &Artefact,
    what: &str,
) -> Result<Bytes, MeshError> {
    let deliver_to = mesh.client.new_inbox();
    let heard = mesh.client.subscribe(deliver_to.clone()).await;
    let mut heard = heard.map_err(|e| MeshError::jetstream(what, e))?;
    let Some(size) = ask(mesh, own, &artefact.sha256, deliver_to).await? else {
        return Err(missing(artefact));
    };
    let size_bytes = usize::try_from(size).unwrap_or(usize::MAX);
    let max_bytes = ARTEFACT_MAX_BYTES;
    if size_bytes > max_bytes {
        let subject = artefact.sha256.to_string();
        return Err(MeshError::TooLarge { subject, size_bytes, max_bytes });
    }
    let mut bytes = Vec::with_capacity(size_bytes);
    while bytes.len() < size_bytes {
        let Some(message) = heard.next().await else {
            return Err(MeshError::jetstream(what, "the connection is closed"));
        };
        match message.status {
            None | Some(StatusCode::OK) => bytes.extend_from_slice(&message.payload),
            Some(_) => go_on(mesh, &message).await,
        }
    }
    Ok(bytes.into())
}

/// How many bytes it has; none when it is not there.
pub(super) async fn size(
    mesh: &Mesh,
    own: &SpecialistName,
    sha256: &Sha256,
) -> Result<Option<u64>, MeshError> {
    ask(mesh, own, sha256, String::new()).await
}

async fn ask(
    mesh: &Mesh,
    own: &SpecialistName,
    sha256: &Sha256,
    deliver_to: String,
) -> Result<Option<u64>, MeshError> {
    let what = || format!("borrow artefact {sha256}");
    let subject = mesh.subjects.of(&Subject::Artefact(own.clone()));
    let question = pb::Borrow { sha256: sha256.to_string(), deliver_to };
    let answer = mesh.client.request(subject, question.encode_to_vec().into()).await;
    let answer = answer.map_err(|e| MeshError::jetstream(what(), e))?;
    let lent = pb::Lent::decode(answer.payload).map_err(|e| MeshError::jetstream(what(), e))?;
    if !lent.problem.is_empty() {
        return Err(MeshError::jetstream(what(), lent.problem));
    }
    Ok((!lent.missing).then_some(lent.size_bytes))
}

/// The stream waits for a word before it sends more.
async fn go_on(mesh: &Mesh, message: &Message) {
    let Some(reply) = message.reply.clone() else { return };
    if let Err(error) = mesh.client.publish(reply, Bytes::new()).await {
        tracing::debug!(%error, "flow control was lost");
    }
}
