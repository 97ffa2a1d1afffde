//! Reading the log. Every read asks the leader: a stale answer would be decided upon.

use std::time::Duration;

use async_nats::{
    HeaderMap,
    jetstream::{
        ErrorCode,
        consumer::{AckPolicy, DeliverPolicy, pull},
        message::StreamMessage,
        stream::{LastRawMessageErrorKind, RawMessageError},
    },
};
use bytes::Bytes;
use futures_util::StreamExt;

use super::{DECISION_HEADER, Entry};
use crate::{
    Mesh, MeshError,
    streams::{self, LOG},
};

/// Reading one subject takes at most this long between two messages.
const READ_MAX: Duration = Duration::from_secs(5);

/// Messages fetched at once: up to 64 MiB if every decision were as large as it may be.
const READ_BATCH: usize = 256;

/// A reader that died is forgotten by the server after this.
const READER_FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// All messages of one literal subject of the log from stream sequence `from` on, in order and
/// complete up to the last one at the time of the call.
///
/// # Errors
/// [`MeshError::JetStream`] or [`MeshError::TimedOut`].
pub async fn read_log(
    mesh: &Mesh,
    subject: &str,
    from: u64,
) -> Result<Vec<(u64, Bytes)>, MeshError> {
    mesh.answer_to(|| read_once(mesh, subject, from)).await
}

async fn read_once(mesh: &Mesh, subject: &str, from: u64) -> Result<Vec<(u64, Bytes)>, MeshError> {
    let Some(newest) = last_message(mesh, subject).await? else { return Ok(vec![]) };
    let target = newest.sequence;
    if target <= from {
        let newest = || (target, decision(mesh, Some(&newest.headers), &newest.payload));
        return Ok(if target == from { vec![newest()] } else { vec![] });
    }
    let stream = streams::stream(mesh, LOG).await?;
    // Most logs that wait for a person are one message long: they need no reader.
    let next = stream.raw_message_builder().sequence(from.max(1)).next_by_subject(subject);
    if found(subject, next.send().await)?.is_some_and(|first| first.sequence == target) {
        return Ok(vec![(target, decision(mesh, Some(&newest.headers), &newest.payload))]);
    }
    let what = || format!("read {subject}");
    let consumer = stream
        .create_consumer(reader(subject, from))
        .await
        .map_err(|e| MeshError::jetstream(what(), e))?;
    let mut read: Vec<(u64, Bytes)> = vec![];
    // The reader may run on a replica that lags behind the leader: it has read everything when it
    // has read what the leader called the newest, not when it sees nothing more.
    while read.last().is_none_or(|(sequence, _)| *sequence < target) {
        let fetch = consumer.batch().max_messages(READ_BATCH).expires(READ_MAX);
        let mut batch = fetch.messages().await.map_err(|e| MeshError::jetstream(what(), e))?;
        let before = read.len();
        while let Some(message) = batch.next().await {
            let message = message.map_err(|e| MeshError::jetstream(what(), e))?;
            let info = message.info().map_err(|e| MeshError::jetstream(what(), e))?;
            let sequence = info.stream_sequence;
            let bytes = decision(mesh, message.headers.as_ref(), &message.payload);
            read.push((sequence, bytes));
            if sequence >= target {
                break;
            }
        }
        if read.len() == before {
            return Err(MeshError::TimedOut { what: what(), waited: READ_MAX });
        }
    }
    let name = &consumer.cached_info().name;
    if let Err(error) = stream.delete_consumer(name).await {
        tracing::debug!(%error, name, "the server will forget this reader by itself");
    }
    Ok(read)
}

/// The last message of one literal subject of the log, from the leader: its stream sequence and
/// its bytes.
///
/// # Errors
/// [`MeshError::JetStream`].
pub async fn last(mesh: &Mesh, subject: &str) -> Result<Option<(u64, Bytes)>, MeshError> {
    let last = mesh.answer_to(|| last_message(mesh, subject)).await?;
    Ok(last.map(|message| (message.sequence, message.payload)))
}

/// The message that follows `expected` on the subject, from the leader. Under compare-and-append
/// there is one at most, and it stays the winner however many build on it since.
///
/// # Errors
/// [`MeshError::JetStream`].
pub async fn winner(mesh: &Mesh, subject: &str, expected: u64) -> Result<Option<Entry>, MeshError> {
    let next = async || {
        let stream = streams::stream(mesh, LOG).await?;
        let request = stream.raw_message_builder().sequence(expected + 1).next_by_subject(subject);
        found(subject, request.send().await)
    };
    let message = mesh.answer_to(next).await?;
    Ok(message.map(|message| Entry {
        sequence: message.sequence,
        id: message.headers.get(DECISION_HEADER).map(ToString::to_string),
    }))
}

/// Removes the messages of one literal subject of the log, below a sequence. What they decided must be
/// kept elsewhere, and the message at that sequence must say so.
///
/// # Errors
/// [`MeshError::JetStream`].
pub async fn purge_below(mesh: &Mesh, subject: &str, sequence: u64) -> Result<(), MeshError> {
    streams::purge(mesh, &mesh.subjects.resource(LOG), subject, Some(sequence)).await
}

/// What counts as a decision. Where only orchestrators may append, a message without their header is
/// the server's own: an acknowledgement that a thief had it send here, by naming the log as the place
/// of the answer. It takes a place in the stream and decides nothing, as an empty decision does.
fn decision(mesh: &Mesh, headers: Option<&HeaderMap>, bytes: &Bytes) -> Bytes {
    let is_ours = headers.is_some_and(|headers| headers.get(DECISION_HEADER).is_some());
    if is_ours || mesh.role.is_none() { bytes.clone() } else { Bytes::new() }
}

async fn last_message(mesh: &Mesh, subject: &str) -> Result<Option<StreamMessage>, MeshError> {
    let stream = streams::stream(mesh, LOG).await?;
    found(subject, stream.raw_message_builder().last_by_subject(subject).send().await)
}

fn found(
    subject: &str,
    answer: Result<StreamMessage, RawMessageError>,
) -> Result<Option<StreamMessage>, MeshError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(said)
                if said.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok(None)
            }
            LastRawMessageErrorKind::JetStream(_)
            | LastRawMessageErrorKind::InvalidSubject
            | LastRawMessageErrorKind::Other => {
                Err(MeshError::jetstream(format!("read {subject}"), error))
            }
        },
    }
}

fn reader(subject: &str, from: u64) -> pull::Config {
    pull::Config {
        filter_subject: subject.to_owned(),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
        ack_policy: AckPolicy::None,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: READER_FORGOTTEN_AFTER,
        ..pull::Config::default()
    }
}
