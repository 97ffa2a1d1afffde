//! The whole log of a workflow, wherever it is kept: in its stream, or, once it was archived, in one
//! object that its last decision names.
//!
//! An archive is an artefact like any other: an `ExportedLog`, byte for byte what was appended, named
//! by its digest. Nothing is ever decided here; whether what was read is whole, the chain tells.

use bytes::Bytes;
use deadelus_proto::{Artefact, Subject, WorkflowId, pb};
use prost::Message as _;

use crate::{Mesh, MeshError, append, objects};

/// What an archive is called, as a media type.
const MEDIA_TYPE: &str = "application/vnd.deadelus.log";

/// A message of a log: its sequence in the stream, and its bytes.
pub type Logged = (u64, Bytes);

/// All messages of a workflow's log from stream sequence `from` on, in order: from the archive what
/// is there, from the stream what is not.
///
/// Where an archive is missing or is not what its name says, only what the stream holds comes: whoever
/// folds it finds the gap.
///
/// # Errors
/// [`MeshError`] when the stream or the object store cannot be read.
pub async fn read(mesh: &Mesh, id: &WorkflowId, from: u64) -> Result<Vec<Logged>, MeshError> {
    let subject = mesh.subjects.of(&Subject::Log(id.clone()));
    let mut log = append::read_log(mesh, &subject, from).await?;
    loop {
        let Kept::Archived { at, archive, through } = kept(&log) else {
            return Ok(tail(log));
        };
        if through < from {
            return Ok(log);
        }
        match Box::pin(objects::get(mesh, &archive)).await {
            Ok(bytes) => return Ok(joined(&bytes, from, &log[at..]).unwrap_or(log)),
            Err(error @ (MeshError::NoArtefact { .. } | MeshError::Corrupt { .. })) => {
                // Perhaps it was archived anew, or forgotten, since the log was read.
                let again = append::read_log(mesh, &subject, from).await?;
                if again == log {
                    tracing::error!(workflow = %id, %error, "the archive of this workflow is lost");
                    return Ok(log);
                }
                log = again;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A log as it is archived and exported.
pub fn exported(id: &WorkflowId, log: &[Logged]) -> pb::ExportedLog {
    let decision = |(sequence, decision): &Logged| pb::ExportedDecision {
        sequence: *sequence,
        decision: decision.clone(),
    };
    let decisions = log.iter().map(decision).collect();
    pb::ExportedLog { workflow_id: id.to_string(), decisions }
}

/// Stores a log as one object and reads it back. Doing it twice is doing it once.
///
/// # Errors
/// Those of [`objects::put`] and [`objects::get`]: what comes back is what was stored, or an error.
pub async fn store(mesh: &Mesh, id: &WorkflowId, log: &[Logged]) -> Result<Artefact, MeshError> {
    let bytes = exported(id, log).encode_to_vec().into();
    let artefact = objects::put(mesh, &format!("{id}.log"), MEDIA_TYPE, bytes).await?;
    objects::get(mesh, &artefact).await?;
    Ok(artefact)
}

/// The archives that the decisions of a log name, the oldest first.
pub fn named(log: &[Logged]) -> Vec<Artefact> {
    log.iter().filter_map(|(_, bytes)| note(bytes)).filter_map(|note| note.archive).collect()
}

/// Where the messages of a log are kept.
enum Kept {
    /// In the log.
    Here,
    /// All that come before the one at this place are in this object; the last of them has the
    /// sequence `through`.
    Archived { at: usize, archive: Artefact, through: u64 },
}

/// What a decision without events says of those before it.
struct Note {
    archive: Option<Artefact>,
    forgotten: bool,
    builds_on: u64,
}

fn note(bytes: &Bytes) -> Option<Note> {
    let decision = pb::Decision::decode(bytes.clone()).ok()?;
    let archive = decision.archived.and_then(|archive| Artefact::try_from(archive).ok());
    let (forgotten, builds_on) = (decision.forgotten, decision.builds_on);
    (forgotten || archive.is_some()).then_some(Note { archive, forgotten, builds_on })
}

fn kept(log: &[Logged]) -> Kept {
    let last = log.iter().enumerate().rev().find_map(|(at, (_, bytes))| Some((at, note(bytes)?)));
    match last {
        Some((at, Note { archive: Some(archive), builds_on: through, .. })) => {
            Kept::Archived { at, archive, through }
        }
        Some((_, Note { archive: None, .. })) | None => Kept::Here,
    }
}

/// What counts of a log that is kept in its stream: nothing before it was forgotten.
fn tail(mut log: Vec<Logged>) -> Vec<Logged> {
    let forgotten = |(_, bytes): &Logged| note(bytes).is_some_and(|note| note.forgotten);
    match log.iter().rposition(forgotten) {
        Some(at) => log.split_off(at),
        None => log,
    }
}

/// The messages of an archive from `from` on, then those that the stream has; none when the object
/// holds no log.
fn joined(archive: &Bytes, from: u64, rest: &[Logged]) -> Option<Vec<Logged>> {
    let archive = pb::ExportedLog::decode(archive.clone()).ok()?;
    let all = archive.decisions.into_iter().map(|one| (one.sequence, one.decision));
    Some(all.filter(|(sequence, _)| *sequence >= from).chain(rest.iter().cloned()).collect())
}
