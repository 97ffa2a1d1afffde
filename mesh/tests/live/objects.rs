use async_nats::jetstream::object_store::ObjectMetadata;
use bytes::Bytes;
use deadelus_mesh::{Mesh, MeshError, objects, streams};
use deadelus_proto::{Artefact, limits::ARTEFACT_MAX_BYTES};

use crate::mesh;

async fn stored_objects(mesh: &Mesh) -> u64 {
    let name = format!("OBJ_{}", mesh.subjects.resource(streams::ARTEFACTS));
    mesh.jetstream.get_stream(&name).await.unwrap().cached_info().state.messages
}

#[tokio::test]
async fn bytes_come_back_as_they_went_and_are_stored_once() {
    let (_server, mesh) = mesh().await;
    for size in [0, 1, 128 * 1024, 3 * 1024 * 1024 + 1] {
        let bytes: Bytes = (0..size).map(|n: usize| (n % 251) as u8).collect();
        let artefact = objects::put(&mesh, "a.bin", "text/plain", bytes.clone()).await.unwrap();
        assert_eq!(artefact.size_bytes, size as u64);
        let before = stored_objects(&mesh).await;
        let again = objects::put(&mesh, "b.bin", "text/plain", bytes.clone()).await.unwrap();
        assert_eq!((again.name.as_str(), &again.sha256), ("b.bin", &artefact.sha256));
        assert_eq!(stored_objects(&mesh).await, before);
        assert_eq!(objects::get(&mesh, &artefact).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn what_is_removed_leaves_nothing_behind_and_may_come_again() {
    let (_server, mesh) = mesh().await;
    let artefact = objects::put(&mesh, "a", "text/plain", "some".into()).await.unwrap();
    objects::remove(&mesh, &artefact).await.unwrap();
    assert_eq!(stored_objects(&mesh).await, 0);
    let missing = objects::get(&mesh, &artefact).await;
    assert!(matches!(missing, Err(MeshError::NoArtefact { .. })), "{missing:?}");
    objects::put(&mesh, "a", "text/plain", "some".into()).await.unwrap();
    assert_eq!(objects::get(&mesh, &artefact).await.unwrap(), "some");
}

#[tokio::test]
async fn bytes_that_are_not_what_they_are_called_are_refused() {
    let (_server, mesh) = mesh().await;
    let artefact = Artefact {
        sha256: objects::sha256(b"good"),
        media_type: "text/plain".to_owned(),
        size_bytes: 4,
        name: "x".to_owned(),
    };
    let missing = objects::get(&mesh, &artefact).await;
    assert!(matches!(missing, Err(MeshError::NoArtefact { .. })), "{missing:?}");
    let bucket = mesh.subjects.resource(streams::ARTEFACTS);
    let store = mesh.jetstream.get_object_store(&bucket).await.unwrap();
    let meta = ObjectMetadata { name: artefact.sha256.to_string(), ..Default::default() };
    store.put(meta, &mut &b"evil"[..]).await.unwrap();
    let corrupt = objects::get(&mesh, &artefact).await;
    assert!(matches!(corrupt, Err(MeshError::Corrupt { .. })), "{corrupt:?}");
}

#[tokio::test]
async fn an_artefact_is_not_a_backup() {
    let (_server, mesh) = mesh().await;
    let bytes = Bytes::from(vec![0; ARTEFACT_MAX_BYTES + 1]);
    let error = objects::put(&mesh, "x", "text/plain", bytes).await;
    assert!(matches!(error, Err(MeshError::TooLarge { .. })), "{error:?}");
}
