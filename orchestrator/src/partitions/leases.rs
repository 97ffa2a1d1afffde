//! The leases themselves: entries of a bucket that vanish when they are not renewed.
//!
//! The server's clock decides what has expired, so no two clocks are ever compared.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream::kv::{self, Operation};
use bytes::Bytes;
use deadelus_mesh::{
    Mesh, MeshError,
    leases::{partition_key, seat_key},
    streams,
};
use deadelus_proto::limits::PARTITIONS;
use futures_util::future::join_all;

use super::share::Holder;

/// What this replica holds.
#[derive(Debug)]
pub(super) struct Leases {
    bucket: kv::Store,
    owner: Bytes,
    seat: Option<(u16, u64)>,
    /// The revision of each lease, for its renewal.
    held: BTreeMap<u16, u64>,
}

impl Leases {
    pub(super) async fn open(mesh: &Mesh, owner: &str) -> Result<Self, MeshError> {
        let bucket = streams::bucket(mesh, streams::LEASES).await?;
        let owner = Bytes::from(owner.to_owned());
        Ok(Self { bucket, owner, seat: None, held: BTreeMap::new() })
    }

    /// Says again that this replica is there. Its seat; none while all are taken, or the server is
    /// away.
    pub(super) async fn renew_seat(&mut self) -> Option<u16> {
        if let Some((seat, revision)) = self.seat {
            match self.renew(&seat_key(seat), revision).await {
                Renewed::At(revision) => self.seat = Some((seat, revision)),
                Renewed::Lost => self.seat = None,
                Renewed::Unknown => return None,
            }
        }
        for seat in 0..PARTITIONS {
            if self.seat.is_some() {
                break;
            }
            let taken = self.bucket.create(seat_key(seat), self.owner.clone()).await;
            self.seat = taken.ok().map(|revision| (seat, revision));
        }
        self.seat.map(|(seat, _)| seat)
    }

    /// The seats of all replicas that are there.
    pub(super) async fn live_seats(&self) -> BTreeSet<u16> {
        let mine = self.seat.map(|(seat, _)| seat);
        let seats = join_all((0..PARTITIONS).map(|seat| async move {
            let taken = mine == Some(seat) || self.is_there(&seat_key(seat)).await;
            taken.then_some(seat)
        }));
        seats.await.into_iter().flatten().collect()
    }

    /// Renews what is held; who has each partition, in their order.
    pub(super) async fn holders(&mut self) -> Vec<Holder> {
        let looked = join_all((0..PARTITIONS).map(|partition| self.holder(partition))).await;
        let mut holders = vec![];
        for (partition, (holder, revision)) in (0..PARTITIONS).zip(looked) {
            match revision {
                Some(revision) => self.held.insert(partition, revision),
                None => self.held.remove(&partition),
            };
            holders.push(holder);
        }
        holders
    }

    /// Whether the partition is ours now.
    pub(super) async fn take(&mut self, partition: u16) -> bool {
        let taken = self.bucket.create(partition_key(partition), self.owner.clone()).await;
        match taken {
            Ok(revision) => {
                self.held.insert(partition, revision);
                true
            }
            // Somebody was faster, or the server is away: the next look tells.
            Err(_) => false,
        }
    }

    pub(super) async fn release(&mut self, partition: u16) {
        if let Some(revision) = self.held.remove(&partition) {
            self.give_back(&partition_key(partition), revision).await;
        }
    }

    pub(super) async fn release_all(&mut self) {
        while let Some((partition, _)) = self.held.first_key_value() {
            self.release(*partition).await;
        }
        if let Some((seat, revision)) = self.seat.take() {
            self.give_back(&seat_key(seat), revision).await;
        }
    }

    async fn holder(&self, partition: u16) -> (Holder, Option<u64>) {
        let key = partition_key(partition);
        match self.held.get(&partition) {
            Some(revision) => match self.renew(&key, *revision).await {
                Renewed::At(revision) => (Holder::Me, Some(revision)),
                // Nobody else can have renewed it either.
                Renewed::Unknown => (Holder::Me, Some(*revision)),
                Renewed::Lost => (Holder::Another, None),
            },
            None if self.is_there(&key).await => (Holder::Another, None),
            None => (Holder::Nobody, None),
        }
    }

    async fn renew(&self, key: &str, revision: u64) -> Renewed {
        match self.bucket.update(key, self.owner.clone(), revision).await {
            Ok(revision) => Renewed::At(revision),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => Renewed::Lost,
            Err(_) => Renewed::Unknown,
        }
    }

    /// A server that does not answer is taken to say yes: nothing is taken from anybody then.
    async fn is_there(&self, key: &str) -> bool {
        match self.bucket.entry(key).await {
            Ok(entry) => entry.is_some_and(|entry| entry.operation == Operation::Put),
            Err(_) => true,
        }
    }

    async fn give_back(&self, key: &str, revision: u64) {
        if let Err(error) = self.bucket.delete_expect_revision(key, Some(revision)).await {
            tracing::debug!(key, %error, "not given back; it expires by itself");
        }
    }
}

enum Renewed {
    At(u64),
    Lost,
    Unknown,
}
