//! How leases are called, and who has them: `seat.<n>` says that a replica of the orchestrator is
//! there, `partition.<n>` that it looks after that partition. Taking one is the orchestrator's.

use std::collections::BTreeMap;

use deadelus_proto::limits::PARTITIONS;
use futures_util::future::join_all;

use crate::{Mesh, MeshError, streams};

/// A replica's seat.
pub fn seat_key(seat: u16) -> String {
    format!("seat.{seat}")
}

/// A partition.
pub fn partition_key(partition: u16) -> String {
    format!("partition.{partition}")
}

/// Who looks after each partition that somebody looks after.
///
/// # Errors
/// [`MeshError`] when the bucket cannot be read.
pub async fn owners(mesh: &Mesh) -> Result<BTreeMap<u16, String>, MeshError> {
    let bucket = streams::bucket(mesh, streams::LEASES).await?;
    let looked = join_all((0..PARTITIONS).map(|partition| {
        let bucket = &bucket;
        async move {
            let lease = bucket.get(partition_key(partition)).await;
            lease.map_err(|e| MeshError::jetstream("read the leases", e))
        }
    }));
    let mut owners = BTreeMap::new();
    for (partition, lease) in (0..PARTITIONS).zip(looked.await) {
        let owner = lease?.map(|name| String::from_utf8_lossy(&name).into_owned());
        owners.extend(owner.map(|owner| (partition, owner)));
    }
    Ok(owners)
}
