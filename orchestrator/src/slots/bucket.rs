//! The bucket of slots: one entry each, read and written under compare-and-set.

use std::sync::Arc;

use async_nats::jetstream::kv;
use bytes::Bytes;
use deadelus_core::{Claim, Slot};
use deadelus_mesh::{Mesh, MeshError, streams};
use deadelus_proto::{TaskKey, pb};
use futures_util::StreamExt as _;
use prost::Message as _;

use super::{Table, Turn};
use crate::config::Limits;

/// Others who write one entry at the same moment; a few replicas do.
const WRITERS_MAX: u32 = 64;

/// The slots of one mesh, as many as one replica's configuration says.
#[derive(Debug, Clone)]
pub struct Slots {
    mesh: Mesh,
    bucket: kv::Store,
    /// The replica that asks.
    by: Arc<str>,
    limits: Limits,
}

impl Slots {
    /// Opens the bucket that the mesh made.
    ///
    /// # Errors
    /// [`MeshError`] when it is missing.
    pub async fn open(mesh: &Mesh, by: Arc<str>, limits: Limits) -> Result<Self, MeshError> {
        let bucket = streams::bucket(mesh, streams::SLOTS).await?;
        Ok(Self { mesh: mesh.clone(), bucket, by, limits })
    }

    /// Asks for all slots of a claim, one after the other in their one order, up to the first that it
    /// has to wait for; that one is named.
    ///
    /// # Errors
    /// [`MeshError`] when the bucket does not answer; asking again is right then.
    pub async fn ask(&self, claim: &Claim) -> Result<Option<Slot>, MeshError> {
        for slot in &claim.slots {
            // A limit that is no longer configured limits nothing.
            let Some(slots) = self.limits.of(slot) else { continue };
            let mut turn = Turn::Waits;
            // Written even where it has the slot: whoever read the entry before cannot put it out.
            self.change(slot, |table| {
                turn = table.ask(claim, &self.by, slots);
                true
            })
            .await?;
            if turn == Turn::Waits {
                return Ok(Some(slot.clone()));
            }
        }
        Ok(None)
    }

    /// Gives a slot up, or a place before it.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn leave(&self, slot: &Slot, key: &TaskKey) -> Result<(), MeshError> {
        let slots = self.limits.of(slot).unwrap_or(usize::MAX);
        self.change(slot, |table| table.leave(key, &self.by, slots)).await
    }

    /// The entry of a slot, and its revision.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn read(&self, slot: &Slot) -> Result<(Table, u64), MeshError> {
        let asked = self.mesh.answer_to(|| self.bucket.entry(key_of(slot)));
        let entry = asked.await.map_err(|e| failed(&e))?;
        let Some(entry) = entry else { return Ok((Table::default(), 0)) };
        if entry.operation != kv::Operation::Put {
            return Ok((Table::default(), entry.revision));
        }
        // Taken for empty it would have two holders: whoever wants it waits for a person.
        let Some((_, table)) = decode(&entry.value) else {
            let what = format!("read who has {slot}: entry {} of the slots", key_of(slot));
            let why = "no orchestrator wrote it; find out who did, then delete the entry";
            return Err(MeshError::jetstream(what, why));
        };
        Ok((table, entry.revision))
    }

    /// Puts somebody out, unless the entry was written since `revision`.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn put_out(
        &self,
        slot: &Slot,
        table: &Table,
        revision: u64,
        key: &TaskKey,
    ) -> Result<bool, MeshError> {
        let mut table = table.clone();
        table.put_out(key, self.limits.of(slot).unwrap_or(usize::MAX));
        self.write(slot, &table, revision).await
    }

    /// Every change of any entry from now on.
    ///
    /// # Errors
    /// [`MeshError`] when it cannot be had.
    pub async fn watch(&self) -> Result<kv::Watch, MeshError> {
        self.bucket.watch_all().await.map_err(|e| failed(&e))
    }

    async fn change(
        &self,
        slot: &Slot,
        mut change: impl FnMut(&mut Table) -> bool,
    ) -> Result<(), MeshError> {
        for _ in 0..WRITERS_MAX {
            let (mut table, revision) = self.read(slot).await?;
            if !change(&mut table) || self.write(slot, &table, revision).await? {
                return Ok(());
            }
        }
        Err(MeshError::jetstream(format!("change {slot}"), "others write it all the time"))
    }

    /// False when somebody else has written since `revision`. Who leaves an empty entry takes it away.
    async fn write(&self, slot: &Slot, table: &Table, revision: u64) -> Result<bool, MeshError> {
        let key = key_of(slot);
        if table.is_empty() {
            let delete = || self.bucket.delete_expect_revision(&key, Some(revision));
            return Ok(self.mesh.answer_to(delete).await.is_ok());
        }
        let bytes = Bytes::from(table.to_pb(&slot.to_string()).encode_to_vec());
        // Whether the old connection took it along tells the revision.
        let update = || self.bucket.update(&key, bytes.clone(), revision);
        match self.mesh.answer_to(update).await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(false),
            Err(e) => Err(failed(&e)),
        }
    }
}

/// Every slot that anybody has or waits for, in no order.
///
/// # Errors
/// [`MeshError`] when the bucket cannot be read.
pub async fn list(mesh: &Mesh) -> Result<Vec<(Slot, Table)>, MeshError> {
    let bucket = streams::bucket(mesh, streams::SLOTS).await?;
    let mut keys = bucket.keys().await.map_err(|e| failed(&e))?;
    let mut all = vec![];
    while let Some(key) = keys.next().await {
        let key = key.map_err(|e| failed(&e))?;
        let value = bucket.get(key).await.map_err(|e| failed(&e))?;
        all.extend(value.and_then(|bytes| decode(&bytes)));
    }
    Ok(all)
}

/// What an entry says; none where it cannot be read.
pub(super) fn decode(bytes: &[u8]) -> Option<(Slot, Table)> {
    let table = pb::SlotTable::decode(bytes).ok()?;
    let slot = table.slot.parse().ok()?;
    Some((slot, Table::try_from(table).ok()?))
}

/// What a key may not hold is written as its code: the names of locks are free text.
fn key_of(slot: &Slot) -> String {
    let mut key = String::new();
    for byte in slot.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            key.push(char::from(byte));
        } else {
            key.push_str(&format!("={byte:02x}"));
        }
    }
    key
}

fn failed(error: &dyn std::fmt::Display) -> MeshError {
    MeshError::jetstream("the bucket of slots", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_never_have_one_key() {
        let key = |name: &str| key_of(&Slot::Lock(name.to_owned()));
        assert_eq!(key("db:shop"), "lock=20db=3ashop");
        assert_ne!(key("a=b"), key("a:b"));
    }
}
