//! What the specialists say they can do, followed as it changes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream::kv::{Entry, Operation, Store};
use deadelus_mesh::{Mesh, MeshError, streams};
use deadelus_proto::{SpecialistCard, pb};
use futures_util::StreamExt as _;
use prost::Message as _;

/// After the watch was lost, while the server is away.
const PAUSE_BEFORE_WATCHING_AGAIN: Duration = Duration::from_secs(1);

/// All cards of the mesh, by specialist. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Cards {
    cards: Arc<RwLock<BTreeMap<String, SpecialistCard>>>,
    generation: Arc<AtomicU64>,
}

impl Cards {
    /// Reads the bucket once and then follows it, for as long as the process lives.
    ///
    /// # Errors
    /// [`MeshError`] when the bucket cannot be opened.
    pub async fn follow(mesh: &Mesh) -> Result<Self, MeshError> {
        let bucket = streams::bucket(mesh, streams::CARDS).await?;
        let cards = Self::default();
        for card in read(&bucket).await? {
            cards.put(card);
        }
        tokio::spawn(cards.clone().watch(bucket));
        Ok(cards)
    }

    /// All of them, as they are now.
    pub fn all(&self) -> Vec<SpecialistCard> {
        self.cards.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Another number after every change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn put(&self, card: SpecialistCard) {
        let mut cards = self.cards.write().unwrap_or_else(PoisonError::into_inner);
        let name = card.specialist.to_string();
        if cards.get(&name) != Some(&card) {
            cards.insert(name, card);
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    async fn watch(self, bucket: Store) {
        loop {
            match bucket.watch_with_history(">").await {
                Ok(mut changes) => {
                    while let Some(change) = changes.next().await {
                        match change {
                            Ok(entry) => self.heed(&entry),
                            Err(error) => tracing::debug!(%error, "watching the cards"),
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "cannot watch the cards"),
            }
            tokio::time::sleep(PAUSE_BEFORE_WATCHING_AGAIN).await;
        }
    }

    fn heed(&self, entry: &Entry) {
        match entry.operation {
            Operation::Put => match parse(&entry.value) {
                Ok(card) => self.put(card),
                Err(problem) => {
                    tracing::warn!(key = entry.key, problem, "a card that cannot be read");
                }
            },
            Operation::Delete | Operation::Purge => {
                self.cards.write().unwrap_or_else(PoisonError::into_inner).remove(&entry.key);
                self.generation.fetch_add(1, Ordering::Release);
            }
        }
    }
}

/// The cards of the mesh, once.
///
/// # Errors
/// [`MeshError`] when the bucket cannot be read.
pub async fn read_all(mesh: &Mesh) -> Result<Vec<SpecialistCard>, MeshError> {
    read(&streams::bucket(mesh, streams::CARDS).await?).await
}

async fn read(bucket: &Store) -> Result<Vec<SpecialistCard>, MeshError> {
    let failed = |e: &dyn std::fmt::Display| MeshError::jetstream("read the cards", e.to_string());
    let mut keys = bucket.keys().await.map_err(|e| failed(&e))?;
    let mut cards = vec![];
    while let Some(key) = keys.next().await {
        let key = key.map_err(|e| failed(&e))?;
        if let Some(bytes) = bucket.get(&key).await.map_err(|e| failed(&e))? {
            match parse(&bytes) {
                Ok(card) => cards.push(card),
                Err(problem) => tracing::warn!(key, problem, "a card that cannot be read"),
            }
        }
    }
    cards.sort_by(|a, b| a.specialist.cmp(&b.specialist));
    Ok(cards)
}

fn parse(bytes: &[u8]) -> Result<SpecialistCard, String> {
    let card = pb::SpecialistCard::decode(bytes).map_err(|e| e.to_string())?;
    SpecialistCard::try_from(card).map_err(|e| e.to_string())
}
