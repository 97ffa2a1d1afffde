//! Artefacts: bytes in the object store, named by their SHA-256.
//!
//! Storing is idempotent because the name is the content. Reading always recomputes the digest:
//! what comes back is what was asked for, or an error.
//!
//! Objects lie as NATS lays them out (ADR-20), so that `nats object` reads them. They are written
//! here and not by the library, because it asks for `Nats-Rollup`, with which one message can empty
//! the whole stream: where there are roles the stream refuses it. A specialist with a role cannot
//! read the store at all and [borrows](borrow): what may read one object of it may list them all.

mod borrow;
mod lend;

use std::{collections::HashMap, time::Duration};

use async_nats::jetstream::object_store::{
    GetErrorKind, InfoErrorKind, ObjectInfo, ObjectOptions, ObjectStore,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use deadelus_proto::{Artefact, Role, Sha256, limits::ARTEFACT_MAX_BYTES};
use sha2::Digest;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::{Mesh, MeshError, streams};
pub use lend::lend;

/// The largest artefact over a slow link.
pub const TRANSFER_MAX: Duration = Duration::from_mins(1);

/// As large as the library's: well below what a server takes in one message.
const CHUNK_BYTES: usize = 128 * 1024;

/// The digest of bytes.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

/// Stores bytes, unless they are there already. `name` is what a person calls them
/// (`plans.json`), `media_type` what they are (`application/json`).
///
/// # Errors
/// [`MeshError::TooLarge`] over [`ARTEFACT_MAX_BYTES`], [`MeshError::TimedOut`],
/// [`MeshError::JetStream`].
pub async fn put(
    mesh: &Mesh,
    name: &str,
    media_type: &str,
    bytes: Bytes,
) -> Result<Artefact, MeshError> {
    if bytes.len() > ARTEFACT_MAX_BYTES {
        let (size_bytes, max_bytes) = (bytes.len(), ARTEFACT_MAX_BYTES);
        return Err(MeshError::TooLarge { subject: name.to_owned(), size_bytes, max_bytes });
    }
    let artefact = Artefact {
        sha256: sha256(&bytes),
        media_type: media_type.to_owned(),
        size_bytes: bytes.len() as u64,
        name: name.to_owned(),
    };
    let what = format!("store artefact {}", artefact.sha256);
    bounded(&what, mesh.answer_to(|| put_once(mesh, &what, &artefact, &bytes))).await?;
    Ok(artefact)
}

/// The bytes of an artefact, checked against its digest.
///
/// # Errors
/// [`MeshError::NoArtefact`], [`MeshError::Corrupt`], [`MeshError::TooLarge`] for one that is
/// larger than any may be, [`MeshError::TimedOut`], [`MeshError::JetStream`].
pub async fn get(mesh: &Mesh, artefact: &Artefact) -> Result<Bytes, MeshError> {
    let what = format!("read artefact {}", artefact.sha256);
    bounded(&what, mesh.answer_to(|| get_once(mesh, &what, artefact))).await
}

/// Removes an artefact, with what the store would remember of it. Doing it twice is doing it once.
///
/// Names are digests, so two workflows may mean the same bytes: whoever removes must know that
/// nobody else refers to them.
///
/// # Errors
/// [`MeshError::TimedOut`], [`MeshError::JetStream`].
pub async fn remove(mesh: &Mesh, artefact: &Artefact) -> Result<(), MeshError> {
    let name = artefact.sha256.as_str();
    let what = format!("remove artefact {name}");
    let opened = streams::artefacts(mesh).await?;
    bounded(&what, async {
        let found = match opened.info(name).await {
            Ok(found) => found,
            Err(error) if error.kind() == InfoErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(MeshError::jetstream(&what, error)),
        };
        // Its entry last: killed in between, the next time finds what is left. And no marker stays,
        // one for each artefact there ever was.
        let stream = streams::resource(mesh, streams::ARTEFACTS);
        streams::purge(mesh, &stream, &chunks_of(mesh, &found.nuid), None).await?;
        streams::purge(mesh, &stream, &entry_of(mesh, &artefact.sha256), None).await
    })
    .await
}

async fn put_once(
    mesh: &Mesh,
    what: &str,
    artefact: &Artefact,
    bytes: &Bytes,
) -> Result<(), MeshError> {
    if is_there(mesh, artefact).await {
        return Ok(());
    }
    store(mesh, &artefact.sha256, bytes, what).await
}

async fn get_once(mesh: &Mesh, what: &str, artefact: &Artefact) -> Result<Bytes, MeshError> {
    let bytes = match mesh.role.as_ref().and_then(Role::specialist) {
        Some(name) => borrow::get(mesh, name, artefact, what).await?,
        None => from_store(mesh, artefact, what).await?,
    };
    let found = sha256(&bytes);
    if found != artefact.sha256 {
        return Err(MeshError::Corrupt { wanted: artefact.sha256.clone(), found });
    }
    Ok(bytes)
}

/// Where the chunks of one upload lie.
fn chunks_of(mesh: &Mesh, upload: &str) -> String {
    format!("$O.{}.C.{upload}", mesh.subjects.resource(streams::ARTEFACTS))
}

/// Where it says which upload holds these bytes.
fn entry_of(mesh: &Mesh, sha256: &Sha256) -> String {
    let name = URL_SAFE.encode(sha256.as_str());
    format!("$O.{}.M.{name}", mesh.subjects.resource(streams::ARTEFACTS))
}

/// The chunks first, then what says that they are there.
async fn store(mesh: &Mesh, sha256: &Sha256, bytes: &Bytes, what: &str) -> Result<(), MeshError> {
    let upload = format!("{:032x}", fastrand::u128(..));
    let chunk_subject = chunks_of(mesh, &upload);
    let mut chunks = 0;
    for from in (0..bytes.len()).step_by(CHUNK_BYTES) {
        let chunk = bytes.slice(from..bytes.len().min(from + CHUNK_BYTES));
        publish(mesh, chunk_subject.clone(), chunk, what).await?;
        chunks += 1;
    }
    let digest = URL_SAFE.encode(sha2::Sha256::digest(bytes));
    let entry = ObjectInfo {
        name: sha256.to_string(),
        description: None,
        metadata: HashMap::new(),
        headers: None,
        options: Some(ObjectOptions { link: None, max_chunk_size: Some(CHUNK_BYTES) }),
        bucket: mesh.subjects.resource(streams::ARTEFACTS),
        nuid: upload,
        size: bytes.len(),
        chunks,
        modified: None,
        digest: Some(format!("SHA-256={digest}")),
        deleted: false,
    };
    let entry = serde_json::to_vec(&entry).map_err(|e| MeshError::jetstream(what, e))?;
    publish(mesh, entry_of(mesh, sha256), entry.into(), what).await
}

async fn publish(mesh: &Mesh, subject: String, bytes: Bytes, what: &str) -> Result<(), MeshError> {
    let failed = |e| MeshError::jetstream(what, e);
    let sent = mesh.jetstream.publish(subject, bytes).await.map_err(failed)?;
    sent.await.map(|_| ()).map_err(failed)
}

async fn from_store(mesh: &Mesh, artefact: &Artefact, what: &str) -> Result<Bytes, MeshError> {
    let store = streams::artefacts(mesh).await?;
    let object = store.get(artefact.sha256.as_str()).await.map_err(|e| match e.kind() {
        GetErrorKind::NotFound => missing(artefact),
        GetErrorKind::InvalidName
        | GetErrorKind::ConsumerCreate
        | GetErrorKind::BucketLink
        | GetErrorKind::TimedOut
        | GetErrorKind::Other => MeshError::jetstream(what, e),
    })?;
    read(object, artefact, what).await
}

fn missing(artefact: &Artefact) -> MeshError {
    MeshError::NoArtefact { sha256: artefact.sha256.clone(), name: artefact.name.clone() }
}

/// Reads at most one byte more than an artefact may have.
async fn read(
    object: impl AsyncRead + Unpin,
    artefact: &Artefact,
    what: &str,
) -> Result<Bytes, MeshError> {
    let max_bytes = ARTEFACT_MAX_BYTES;
    let mut bytes = vec![];
    let mut object = object.take(max_bytes as u64 + 1);
    object.read_to_end(&mut bytes).await.map_err(|e| MeshError::jetstream(what, e))?;
    if bytes.len() > max_bytes {
        let (subject, size_bytes) = (artefact.sha256.to_string(), bytes.len());
        return Err(MeshError::TooLarge { subject, size_bytes, max_bytes });
    }
    Ok(bytes.into())
}

/// Whether a complete upload of these bytes exists; on any doubt it is simply done again.
async fn is_there(mesh: &Mesh, artefact: &Artefact) -> bool {
    let size = match mesh.role.as_ref().and_then(Role::specialist) {
        Some(name) => borrow::size(mesh, name, &artefact.sha256).await,
        None => match streams::artefacts(mesh).await {
            Ok(store) => size_in(&store, &artefact.sha256).await,
            Err(error) => Err(error),
        },
    };
    size.is_ok_and(|size| size == Some(artefact.size_bytes))
}

/// How many bytes it has; none when it is not there.
async fn size_in(store: &ObjectStore, sha256: &Sha256) -> Result<Option<u64>, MeshError> {
    let found = entry_in(store, sha256).await?;
    Ok(found.map(|entry| entry.size as u64))
}

async fn entry_in(store: &ObjectStore, sha256: &Sha256) -> Result<Option<ObjectInfo>, MeshError> {
    match store.info(sha256.as_str()).await {
        Ok(entry) => Ok(Some(entry).filter(|entry| !entry.deleted)),
        Err(error) if error.kind() == InfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(MeshError::jetstream(format!("look for artefact {sha256}"), error)),
    }
}

async fn bounded<T>(
    what: &str,
    work: impl Future<Output = Result<T, MeshError>>,
) -> Result<T, MeshError> {
    // On the heap: the object store's futures are large.
    timeout(TRANSFER_MAX, Box::pin(work)).await.unwrap_or_else(|_| {
        Err(MeshError::TimedOut { what: what.to_owned(), waited: TRANSFER_MAX })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b"").as_str(), empty);
    }
}
