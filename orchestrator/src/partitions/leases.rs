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
    mesh: Mesh,
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
        Ok(Self { mesh: mesh.clone(), bucket, owner, seat: None, held: BTreeMap::new() })
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
            let taken = self.create(&seat_key(seat)).await;
            self.seat = taken.map(|revision| (seat, revision));
        }
        self.seat.map(|(seat, _)| seat)
    }

    /// The seats of all replicas that are there; none while the server does not say.
    pub(super) async fn live_seats(&self) -> Option<BTreeSet<u16>> {
        let mine = self.seat.map(|(seat, _)| seat);
        let seats = join_all((0..PARTITIONS).map(|seat| async move {
            let taken = match mine == Some(seat) {
                true => true,
                false => self.is_there(&seat_key(seat)).await?,
            };
            Some(taken.then_some(seat))
        }));
        let known: Option<Vec<Option<u16>>> = seats.await.into_iter().collect();
        Some(known?.into_iter().flatten().collect())
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
        // None: somebody was faster, or the server is away. The next look tells.
        let taken = self.create(&partition_key(partition)).await;
        self.held.extend(taken.map(|revision| (partition, revision)));
        taken.is_some()
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
            None => match self.is_there(&key).await {
                Some(false) => (Holder::Nobody, None),
                // Where the server does not say, nothing is taken from anybody.
                Some(true) | None => (Holder::Another, None),
            },
        }
    }

    async fn renew(&self, key: &str, revision: u64) -> Renewed {
        let update = || self.bucket.update(key, self.owner.clone(), revision);
        match self.mesh.answer_to(update).await {
            Ok(revision) => Renewed::At(revision),
            Err(error) if error.kind() == kv::UpdateErrorKind::WrongLastRevision => {
                self.own(key).await.map_or(Renewed::Lost, Renewed::At)
            }
            Err(_) => Renewed::Unknown,
        }
    }

    async fn create(&self, key: &str) -> Option<u64> {
        let create = || self.bucket.create(key, self.owner.clone());
        match self.mesh.answer_to(create).await {
            Ok(revision) => Some(revision),
            Err(error) if error.kind() == kv::CreateErrorKind::AlreadyExists => self.own(key).await,
            Err(_) => None,
        }
    }

    /// The revision of an entry that this very replica has written, and has not heard of.
    async fn own(&self, key: &str) -> Option<u64> {
        let entry = self.mesh.answer_to(|| self.bucket.entry(key)).await.ok()??;
        let own = entry.operation == Operation::Put && entry.value == self.owner;
        own.then_some(entry.revision)
    }

    /// None where the server does not say.
    async fn is_there(&self, key: &str) -> Option<bool> {
        let entry = self.mesh.answer_to(|| self.bucket.entry(key)).await.ok()?;
        Some(entry.is_some_and(|entry| entry.operation == Operation::Put))
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
