//! Artefacts: bytes in the object store, named by their SHA-256.
//!
//! Storing is idempotent because the name is the content. Reading always recomputes the digest:
//! what comes back is what was asked for, or an error.

use std::time::Duration;

use async_nats::jetstream::object_store::{
    DeleteErrorKind, GetErrorKind, ObjectMetadata, ObjectStore,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use deadelus_proto::{Artefact, Sha256, limits::ARTEFACT_MAX_BYTES};
use sha2::Digest;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::{Mesh, MeshError, streams};

/// The largest artefact over a slow link.
pub const TRANSFER_MAX: Duration = Duration::from_mins(1);

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
    let store = streams::artefacts(mesh).await?;
    bounded(&what, async {
        match store.delete(name).await {
            Ok(()) => {}
            Err(error) if error.kind() == DeleteErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(MeshError::jetstream(&what, error)),
        }
        // A marker would stay for ever: one for each artefact there ever was.
        let bucket = mesh.subjects.resource(streams::ARTEFACTS);
        let marker = format!("$O.{bucket}.M.{}", URL_SAFE.encode(name));
        streams::purge(mesh, &streams::resource(mesh, streams::ARTEFACTS), &marker, None).await
    })
    .await
}

async fn put_once(
    mesh: &Mesh,
    what: &str,
    artefact: &Artefact,
    bytes: &Bytes,
) -> Result<(), MeshError> {
    let store = streams::artefacts(mesh).await?;
    if is_there(&store, artefact).await {
        return Ok(());
    }
    let meta = ObjectMetadata { name: artefact.sha256.to_string(), ..Default::default() };
    let stored = store.put(meta, &mut bytes.as_ref()).await;
    stored.map(drop).map_err(|e| MeshError::jetstream(what, e))
}

async fn get_once(mesh: &Mesh, what: &str, artefact: &Artefact) -> Result<Bytes, MeshError> {
    let store = streams::artefacts(mesh).await?;
    let object = store.get(artefact.sha256.as_str()).await.map_err(|e| match e.kind() {
        GetErrorKind::NotFound => {
            MeshError::NoArtefact { sha256: artefact.sha256.clone(), name: artefact.name.clone() }
        }
        GetErrorKind::InvalidName
        | GetErrorKind::ConsumerCreate
        | GetErrorKind::BucketLink
        | GetErrorKind::TimedOut
        | GetErrorKind::Other => MeshError::jetstream(what, e),
    })?;
    let bytes = read(object, artefact, what).await?;
    let found = sha256(&bytes);
    if found != artefact.sha256 {
        return Err(MeshError::Corrupt { wanted: artefact.sha256.clone(), found });
    }
    Ok(bytes)
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
async fn is_there(store: &ObjectStore, artefact: &Artefact) -> bool {
    let info = store.info(artefact.sha256.as_str()).await;
    info.is_ok_and(|info| !info.deleted && info.size as u64 == artefact.size_bytes)
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
