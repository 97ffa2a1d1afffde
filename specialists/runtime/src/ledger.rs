//! The effect ledger: what is about to take effect, and what came of it, under workflow/task.
//!
//! An entry is written before an effect begins and completed after it. Whoever gets the same task
//! again, in the same process or another, reads it first. The decision what to do then is
//! [`Standing::of`]; everything else here is IO.

use async_nats::jetstream::kv;
use bytes::Bytes;
use deadelus_mesh::{Mesh, streams};
use deadelus_proto::{Done, ErrorClass, Failure, Malformed, Sha256, Undo, pb, task};
use prost::Message as _;
use serde_json::Value;

/// What the ledger holds under one effect key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Of the inputs: the same key with others is a conflict.
    pub(crate) inputs: Sha256,
    /// The way back, as it was recorded first.
    pub(crate) undo: Option<Undo>,
    /// What the capability saw before the effect.
    pub(crate) before: Value,
    /// What came of it.
    pub(crate) done: Option<Done>,
}

/// How things stand when an assignment arrives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// Nobody has begun.
    Fresh,
    /// Somebody has begun and nobody has finished: look before touching anything.
    Begun(Entry),
    /// It was finished; only the report may be missing.
    Finished(Done),
    /// The key was used for something else.
    Conflict,
}

impl Standing {
    /// What an entry means for an assignment with these inputs.
    pub(crate) fn of(entry: Option<Entry>, inputs: &Sha256) -> Self {
        match entry {
            None => Self::Fresh,
            Some(entry) if entry.inputs != *inputs => Self::Conflict,
            Some(Entry { done: Some(done), .. }) => Self::Finished(done),
            Some(entry) => Self::Begun(entry),
        }
    }
}

/// The ledger of one mesh, in its KV bucket.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    bucket: kv::Store,
}

impl Ledger {
    /// Opens the bucket that the mesh made.
    pub(crate) async fn open(mesh: &Mesh) -> Result<Self, Failure> {
        let bucket = streams::bucket(mesh, streams::LEDGER).await.map_err(|e| unavailable(&e))?;
        Ok(Self { bucket })
    }

    /// What is known of the key.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Entry>, Failure> {
        let bytes = self.bucket.get(key).await.map_err(|e| unavailable(&e))?;
        bytes.map(|bytes| decode(&bytes).map_err(|e| unavailable(&e))).transpose()
    }

    /// Writes the intent, before the effect. False when somebody else already did.
    pub(crate) async fn begin(&self, key: &str, entry: &Entry) -> Result<bool, Failure> {
        match self.bucket.create(key, encode(entry)).await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == kv::CreateErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(unavailable(&e)),
        }
    }

    /// Writes the outcome, after the effect.
    pub(crate) async fn finish(&self, key: &str, entry: &Entry) -> Result<(), Failure> {
        self.bucket.put(key, encode(entry)).await.map_err(|e| unavailable(&e))?;
        Ok(())
    }

    /// Forgets an intent whose effect never came to be, so that the next attempt begins afresh.
    pub(crate) async fn forget(&self, key: &str) -> Result<(), Failure> {
        self.bucket.purge(key).await.map_err(|e| unavailable(&e))
    }
}

fn encode(entry: &Entry) -> Bytes {
    let entry = pb::LedgerEntry {
        inputs_sha256: entry.inputs.to_string(),
        undo: entry.undo.clone().map(Into::into),
        before_json: task::to_bytes(&entry.before),
        done: entry.done.clone().map(Into::into),
    };
    entry.encode_to_vec().into()
}

fn decode(bytes: &[u8]) -> Result<Entry, Malformed> {
    let entry = pb::LedgerEntry::decode(bytes)
        .map_err(|e| Malformed { field: "ledger entry", problem: e.to_string() })?;
    Ok(Entry {
        inputs: entry.inputs_sha256.parse()?,
        undo: entry.undo.map(Undo::try_from).transpose()?,
        before: task::json("before_json", &entry.before_json)?,
        done: entry.done.map(Done::try_from).transpose()?,
    })
}

fn unavailable(error: &impl std::fmt::Display) -> Failure {
    Failure::new(ErrorClass::Unavailable, format!("the effect ledger: {error}"))
}

#[cfg(test)]
mod tests {
    use deadelus_proto::{Body, Check};
    use serde_json::json;

    use super::*;

    fn digest(byte: u8) -> Sha256 {
        Sha256::from_bytes([byte; 32])
    }

    fn entry(done: bool) -> Entry {
        let done = done.then(|| Done {
            outputs: Body::Inline(json!({"index": "ix"})),
            checks: vec![Check::equal("valid", 1, 1)],
            artefacts: vec![],
            residue: vec![],
            reconciled: false,
            undo: None,
        });
        Entry { inputs: digest(1), undo: None, before: json!({"fingerprint": "f"}), done }
    }

    #[test]
    fn an_entry_survives_its_bytes() {
        for entry in [entry(false), entry(true)] {
            assert_eq!(decode(&encode(&entry)), Ok(entry));
        }
        assert!(decode(b"junk").is_err());
    }

    #[test]
    fn what_an_entry_means() {
        let done = entry(true).done.unwrap();
        assert_eq!(Standing::of(None, &digest(1)), Standing::Fresh);
        assert_eq!(Standing::of(Some(entry(false)), &digest(1)), Standing::Begun(entry(false)));
        assert_eq!(Standing::of(Some(entry(true)), &digest(1)), Standing::Finished(done));
        assert_eq!(Standing::of(Some(entry(true)), &digest(2)), Standing::Conflict);
    }
}
