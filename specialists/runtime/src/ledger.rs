//! The effect ledger: what is about to take effect, and what came of it, under workflow/task.
//!
//! An entry is written before an effect begins and completed after it. Whoever gets the same task
//! again, in the same process or another, reads it first, and writes it once more before it goes on:
//! the effect is of whoever wrote last, and only they may take it back. The decisions are
//! [`Standing::of`] and [`Overtaken::of`]; everything else here is IO.

use std::time::Duration;

use async_nats::jetstream::kv;
use bytes::Bytes;
use deadelus_mesh::{Mesh, streams};
use deadelus_proto::{Done, ErrorClass, Failure, Malformed, Sha256, Undo, pb, task};
use prost::Message as _;
use serde_json::Value;
use tokio::time::Instant;

/// A server restart takes seconds; the report of a failure is tried for as long.
const TRY_FOR: Duration = Duration::from_secs(60);
const PAUSE_BETWEEN_TRIES: Duration = Duration::from_millis(200);

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
    pub(crate) done: Option<Box<Done>>,
    /// Who wrote it down first, and when.
    pub(crate) intent: String,
    /// It was not good enough, and who wrote this is taking it back.
    pub(crate) taking_back: bool,
    /// Whose work it is that is done.
    pub(crate) finished_by: Option<Go>,
}

/// One worker's go at a task. Who finds it finished reports in the name of who did it: in their own it
/// would be one more effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Go {
    /// The replica.
    pub(crate) instance: String,
    /// When it began, in milliseconds since the epoch.
    pub(crate) begun_unix_ms: i64,
}

/// An entry, and the revision it was written at. It is one's own until somebody writes again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) entry: Entry,
    pub(crate) revision: u64,
}

/// How things stand when an assignment arrives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Standing {
    /// Nobody has begun.
    Fresh,
    /// Somebody has begun and nobody has finished: look before touching anything.
    Begun(Held),
    /// It was finished; only the report may be missing.
    Finished(Done, Option<Go>),
    /// The key was used for something else.
    Conflict,
}

impl Standing {
    /// What an entry means for an assignment with these inputs.
    pub(crate) fn of(held: Option<Held>, inputs: &Sha256) -> Self {
        match held {
            None => Self::Fresh,
            Some(held) if held.entry.inputs != *inputs => Self::Conflict,
            Some(Held { entry: Entry { done: Some(done), finished_by, .. }, .. }) => {
                Self::Finished(*done, finished_by)
            }
            Some(held) => Self::Begun(held),
        }
    }
}

/// What it means for work that is done well that somebody else has written since.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Overtaken {
    /// They are at it, too: what is done is done, and nobody takes it back.
    AtIt(Held),
    /// They have done it, too.
    Finished(Done),
    /// They have taken it back, or are about to: whether this effect still stands is not known.
    TakenBack,
}

impl Overtaken {
    /// What an entry means for work that was begun under `own`.
    pub(crate) fn of(held: Option<Held>, own: &Entry) -> Self {
        match held {
            Some(Held { entry: Entry { done: Some(done), .. }, .. }) => Self::Finished(*done),
            Some(held) if held.entry.intent == own.intent && !held.entry.taking_back => {
                Self::AtIt(held)
            }
            Some(_) | None => Self::TakenBack,
        }
    }
}

/// The ledger of one mesh, in its KV bucket.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    mesh: Mesh,
    bucket: kv::Store,
}

impl Ledger {
    /// Opens the bucket that the mesh made.
    pub(crate) async fn open(mesh: &Mesh) -> Result<Self, Failure> {
        let bucket = streams::bucket(mesh, streams::LEDGER).await.map_err(|e| unavailable(&e))?;
        Ok(Self { mesh: mesh.clone(), bucket })
    }

    /// What is known of the key.
    pub(crate) async fn read(&self, key: &str) -> Result<Option<Held>, Failure> {
        let found = self.patiently(key, || self.bucket.entry(key)).await?;
        let Some(found) = found.filter(|found| found.operation == kv::Operation::Put) else {
            return Ok(None);
        };
        let entry = decode(&found.value).map_err(|e| unavailable(&e))?;
        Ok(Some(Held { entry, revision: found.revision }))
    }

    /// Writes the intent, before the effect. None when somebody else already did.
    pub(crate) async fn begin(&self, key: &str, entry: Entry) -> Result<Option<Held>, Failure> {
        let bytes = encode(&entry);
        let create = async || match self.bucket.create(key, bytes.clone()).await {
            Err(e) if e.kind() == kv::CreateErrorKind::AlreadyExists => Ok(None),
            created => created.map(Some),
        };
        let revision = self.patiently(key, create).await?;
        Ok(revision.map(|revision| Held { entry, revision }))
    }

    /// Writes over what was written at `revision`. None when somebody else already did.
    pub(crate) async fn write(
        &self,
        key: &str,
        entry: Entry,
        revision: u64,
    ) -> Result<Option<Held>, Failure> {
        let bytes = encode(&entry);
        let update = async || match self.bucket.update(key, bytes.clone(), revision).await {
            Err(e) if e.kind() == kv::UpdateErrorKind::WrongLastRevision => Ok(None),
            updated => updated.map(Some),
        };
        let revision = self.patiently(key, update).await?;
        Ok(revision.map(|revision| Held { entry, revision }))
    }

    /// Forgets an intent whose effect never came to be, so that the next attempt begins afresh; not
    /// one that somebody else has taken up.
    pub(crate) async fn forget(&self, key: &str, held: &Held) -> Result<(), Failure> {
        let purged = self.bucket.purge_expect_revision(key, Some(held.revision)).await;
        purged.map_err(|e| unavailable(&e))
    }

    /// Asks until somebody answers, at most [`TRY_FOR`]: where the ledger is away the report of a
    /// failure would find nobody either, and a task that has not begun has not failed. Whoever wrote,
    /// and did not hear of it, finds their own entry.
    async fn patiently<T, E, F>(&self, key: &str, ask: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, E>>,
        E: std::fmt::Display,
    {
        let give_up = Instant::now() + TRY_FOR;
        loop {
            match self.mesh.answer_to(&ask).await {
                Err(error) if Instant::now() < give_up => {
                    tracing::warn!(key, %error, "the effect ledger does not answer; asking again");
                    tokio::time::sleep(PAUSE_BETWEEN_TRIES).await;
                }
                answer => return answer.map_err(|e| unavailable(&e)),
            }
        }
    }
}

fn encode(entry: &Entry) -> Bytes {
    let go = entry.finished_by.as_ref();
    let entry = pb::LedgerEntry {
        inputs_sha256: entry.inputs.to_string(),
        undo: entry.undo.clone().map(Into::into),
        before_json: task::to_bytes(&entry.before),
        done: entry.done.as_deref().cloned().map(Into::into),
        intent: entry.intent.clone(),
        taking_back: entry.taking_back,
        finished_by: go.map(|go| go.instance.clone()).unwrap_or_default(),
        finished_begun_unix_ms: go.map(|go| go.begun_unix_ms).unwrap_or_default(),
    };
    entry.encode_to_vec().into()
}

fn decode(bytes: &[u8]) -> Result<Entry, Malformed> {
    let entry = pb::LedgerEntry::decode(bytes)
        .map_err(|e| Malformed { field: "ledger entry", problem: e.to_string() })?;
    let (instance, begun_unix_ms) = (entry.finished_by, entry.finished_begun_unix_ms);
    Ok(Entry {
        inputs: entry.inputs_sha256.parse()?,
        undo: entry.undo.map(Undo::try_from).transpose()?,
        before: task::json("before_json", &entry.before_json)?,
        done: entry.done.map(Done::try_from).transpose()?.map(Box::new),
        intent: entry.intent,
        taking_back: entry.taking_back,
        finished_by: (!instance.is_empty()).then_some(Go { instance, begun_unix_ms }),
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

    fn made() -> Done {
        Done {
            outputs: Body::Inline(json!({"index": "ix"})),
            checks: vec![Check::equal("valid", 1, 1)],
            artefacts: vec![],
            residue: vec![],
            reconciled: false,
            undo: None,
        }
    }

    fn go() -> Go {
        Go { instance: "light-1".to_owned(), begun_unix_ms: 5 }
    }

    fn entry(done: bool) -> Entry {
        Entry {
            inputs: digest(1),
            undo: None,
            before: json!({"fingerprint": "f"}),
            done: done.then(|| Box::new(made())),
            intent: "light-1#1 5".to_owned(),
            taking_back: false,
            finished_by: done.then(go),
        }
    }

    fn held(entry: Entry) -> Held {
        Held { entry, revision: 7 }
    }

    #[test]
    fn an_entry_survives_its_bytes() {
        let taking_back = Entry { taking_back: true, ..entry(false) };
        for entry in [entry(false), entry(true), taking_back] {
            assert_eq!(decode(&encode(&entry)), Ok(entry));
        }
        assert!(decode(b"junk").is_err());
    }

    #[test]
    fn what_an_entry_means() {
        assert_eq!(Standing::of(None, &digest(1)), Standing::Fresh);
        let (begun, finished) = (held(entry(false)), held(entry(true)));
        assert_eq!(Standing::of(Some(begun.clone()), &digest(1)), Standing::Begun(begun));
        assert_eq!(
            Standing::of(Some(finished.clone()), &digest(1)),
            Standing::Finished(made(), Some(go()))
        );
        assert_eq!(Standing::of(Some(finished), &digest(2)), Standing::Conflict);
    }

    #[test]
    fn what_it_means_to_be_overtaken() {
        let own = entry(false);
        let finished = Some(held(entry(true)));
        assert_eq!(Overtaken::of(finished, &own), Overtaken::Finished(made()));
        let at_it = held(entry(false));
        assert_eq!(Overtaken::of(Some(at_it.clone()), &own), Overtaken::AtIt(at_it));
        let taking_back = Entry { taking_back: true, ..entry(false) };
        let anew = Entry { intent: "light-2#2 9".to_owned(), ..entry(false) };
        for gone in [None, Some(held(taking_back)), Some(held(anew))] {
            assert_eq!(Overtaken::of(gone, &own), Overtaken::TakenBack);
        }
    }
}
