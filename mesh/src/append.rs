//! The append protocol, and reading what was appended.
//!
//! A workflow's log is one literal subject. [`append`] publishes one decision under
//! compare-and-append and does not return before it is known whose the next place is, or that it
//! cannot be known. It never carries `Nats-Msg-Id`: on a replicated stream a rejected append
//! leaves its id behind, and the retry would be swallowed.

use std::time::{Duration, Instant};

use async_nats::{
    HeaderMap,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID},
    jetstream::{
        self, ErrorCode,
        consumer::{AckPolicy, DeliverPolicy, pull},
        context::{PublishError, PublishErrorKind},
        message::StreamMessage,
        publish::PublishAck,
        stream::{LastRawMessageErrorKind, RawMessageError},
    },
};
use bytes::Bytes;
use deadelus_proto::limits::MESSAGE_MAX_BYTES;
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use crate::{
    Mesh, MeshError,
    error::Cause,
    streams::{self, LOG},
};

/// Names the decision that a log message holds, so that its author knows it again.
pub const DECISION_HEADER: &str = "Deadelus-Decision";

/// An ack that takes longer is taken for lost. An fsynced, replicated append takes milliseconds.
pub const PUB_ACK_MAX: Duration = Duration::from_secs(2);

/// How long an append asks again before it gives up: longer than a server's restart or an
/// election, shorter than a person's patience with a stalled mesh.
pub const APPEND_MAX: Duration = Duration::from_mins(5);

/// The pause before the second try; it doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Reading one subject takes at most this long between two messages.
const READ_MAX: Duration = Duration::from_secs(5);

/// Messages fetched at once: up to 64 MiB if every decision were as large as it may be.
const READ_BATCH: usize = 256;

/// A reader that died is forgotten by the server after this.
const READER_FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// It is true, at this stream sequence.
    At(u64),
    /// Somebody else's decision has the place, or `expected` was never the last: read again and
    /// decide again.
    Lost,
}

/// Appends `bytes` to `subject`, if `expected` is the stream sequence of the subject's last
/// message, 0 for none.
///
/// `id` must be unique to this decision: by it the author recognises a message whose ack was
/// lost. `headers` are sent along; they must not hold `Nats-Msg-Id`.
///
/// # Errors
/// [`MeshError::OutcomeUnknown`] after [`APPEND_MAX`]: the append may still take effect, so
/// nothing may be decided before the log was read again. [`MeshError::Full`],
/// [`MeshError::TooLarge`] and [`MeshError::JetStream`]: it did not take effect.
pub async fn append(
    mesh: &Mesh,
    subject: &str,
    expected: u64,
    id: &str,
    bytes: Bytes,
    headers: HeaderMap,
) -> Result<Appended, MeshError> {
    debug_assert!(headers.get(NATS_MESSAGE_ID).is_none(), "see the module's documentation");
    if bytes.len() > MESSAGE_MAX_BYTES {
        let (size_bytes, max_bytes) = (bytes.len(), MESSAGE_MAX_BYTES);
        return Err(MeshError::TooLarge { subject: subject.to_owned(), size_bytes, max_bytes });
    }
    let headers = with_expectation(headers, expected, id);
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        let answer = publish(mesh, subject, headers.clone(), bytes.clone()).await;
        let cause = match verdict(answer, subject)? {
            Verdict::Stored(sequence) => return Ok(Appended::At(sequence)),
            Verdict::Taken { last } => match winner(mesh, subject, expected).await {
                Ok(None) if last > expected => "a leader from before answered".into(),
                Ok(winner) => return Ok(judge(winner.as_ref(), id)),
                // The same bytes again will be refused again, and then we ask again.
                Err(error) => error.into(),
            },
            Verdict::Unknown(cause) => cause,
        };
        let deadline = begun + APPEND_MAX;
        if !pause(mesh, tries, deadline).await {
            let (subject, waited) = (subject.to_owned(), begun.elapsed());
            return Err(MeshError::OutcomeUnknown { subject, tries, waited, source: cause });
        }
        tracing::debug!(subject, tries, %cause, "append: outcome unknown, publishing it again");
    }
}

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
    let Some(newest) = last_message(mesh, subject).await? else { return Ok(vec![]) };
    let target = newest.sequence;
    if target <= from {
        return Ok(if target == from { vec![(target, newest.payload)] } else { vec![] });
    }
    let what = || format!("read {subject}");
    let stream = streams::stream(mesh, LOG).await?;
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
            read.push((sequence, message.message.payload));
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
    Ok(last_message(mesh, subject).await?.map(|m| (m.sequence, m.payload)))
}

/// What an answer to a publish means.
#[derive(Debug)]
enum Verdict {
    /// It is true.
    Stored(u64),
    /// The subject's last sequence is another than expected, this one: ours from before, or
    /// somebody else's.
    Taken { last: u64 },
    /// It may have taken effect, now or later.
    Unknown(Cause),
}

fn verdict(answer: Result<PublishAck, PublishError>, subject: &str) -> Result<Verdict, MeshError> {
    let error = match answer {
        Ok(ack) => return Ok(Verdict::Stored(ack.sequence)),
        Err(error) => error,
    };
    let refused = |error| Err(MeshError::jetstream(format!("append to {subject}"), error));
    match error.kind() {
        PublishErrorKind::WrongLastSequence => {
            Ok(Verdict::Taken { last: said(&error).map_or(0, last_sequence) })
        }
        // No ack, no connection, or nobody leads the stream just now.
        PublishErrorKind::TimedOut
        | PublishErrorKind::BrokenPipe
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::StreamNotFound => Ok(Verdict::Unknown(error.into())),
        PublishErrorKind::WrongLastMessageId | PublishErrorKind::MaxPayloadExceeded => {
            refused(error)
        }
        PublishErrorKind::Other => match said(&error) {
            Some(said) if said.error_code() == ErrorCode::STREAM_STORE_FAILED && is_full(said) => {
                Err(MeshError::Full { subject: subject.to_owned(), reason: said.to_string() })
            }
            Some(said) if is_passing(said) => Ok(Verdict::Unknown(error.into())),
            Some(_) => refused(error),
            // Not the server's answer at all: the connection's task is gone, or bytes that are no
            // answer.
            None => Ok(Verdict::Unknown(error.into())),
        },
    }
}

/// What the server answered, when it did.
fn said(error: &PublishError) -> Option<&jetstream::Error> {
    std::error::Error::source(error)?.downcast_ref()
}

/// "wrong last sequence: 42"; 0 if the server ever words it otherwise, which costs a reread only.
fn last_sequence(said: &jetstream::Error) -> u64 {
    let digits = |c: char| !c.is_ascii_digit();
    let text = said.to_string();
    let after = text.split_once("sequence: ").map_or("", |(_, after)| after);
    after.split(digits).next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The expectation is checked before the limits are, so this answer also means that no earlier
/// try took effect.
fn is_full(said: &jetstream::Error) -> bool {
    said.to_string().contains("maximum")
}

/// 10164: another append to the subject is in flight. 503 and 10077: not now.
fn is_passing(said: &jetstream::Error) -> bool {
    said.code() == 503
        || [ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT, ErrorCode::STREAM_STORE_FAILED]
            .contains(&said.error_code())
}

fn judge(winner: Option<&StreamMessage>, id: &str) -> Appended {
    match winner {
        Some(message) if message.headers.get(DECISION_HEADER).is_some_and(|h| h.as_str() == id) => {
            Appended::At(message.sequence)
        }
        Some(_) | None => Appended::Lost,
    }
}

/// The message that follows `expected` on the subject, from the leader. Under compare-and-append
/// there is one at most, and it stays the winner however many build on it since.
async fn winner(
    mesh: &Mesh,
    subject: &str,
    expected: u64,
) -> Result<Option<StreamMessage>, MeshError> {
    let stream = streams::stream(mesh, LOG).await?;
    let request = stream.raw_message_builder().sequence(expected + 1).next_by_subject(subject);
    found(subject, request.send().await)
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

async fn publish(
    mesh: &Mesh,
    subject: &str,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<PublishAck, PublishError> {
    let acked = async {
        mesh.jetstream.publish_with_headers(subject.to_owned(), headers, bytes).await?.await
    };
    let no_ack = |_| PublishError::new(PublishErrorKind::TimedOut);
    timeout(PUB_ACK_MAX, acked).await.map_err(no_ack)?
}

fn with_expectation(mut headers: HeaderMap, expected: u64, id: &str) -> HeaderMap {
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string().as_str());
    headers.insert(DECISION_HEADER, id);
    headers
}

/// Waits a jittered moment and for the connection. False: the deadline has come.
async fn pause(mesh: &Mesh, tries: u32, deadline: Instant) -> bool {
    let longest = PAUSE_FIRST.saturating_mul(1 << tries.min(10)).min(PAUSE_MAX);
    sleep(longest.mul_f64(fastrand::f64())).await;
    mesh.connected_by(deadline).await && Instant::now() < deadline
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(code: usize, err_code: u64, description: &str) -> Result<Verdict, MeshError> {
        let said = json!({"code": code, "err_code": err_code, "description": description});
        let said: jetstream::Error = serde_json::from_value(said).unwrap();
        let kind = match err_code {
            10071 => PublishErrorKind::WrongLastSequence,
            _ => PublishErrorKind::Other,
        };
        verdict(Err(PublishError::with_source(kind, said)), "s")
    }

    #[test]
    fn every_answer_means_one_thing() {
        let taken = answered(400, 10071, "wrong last sequence: 42");
        assert!(matches!(taken, Ok(Verdict::Taken { last: 42 })), "{taken:?}");
        for (code, err_code, text) in [
            (400, 10164, "wrong last sequence"),
            (503, 10077, "raft: not leader"),
            (503, 10008, "JetStream system temporarily unavailable"),
        ] {
            let unknown = answered(code, err_code, text);
            assert!(matches!(unknown, Ok(Verdict::Unknown(_))), "{unknown:?}");
        }
        let full = answered(503, 10077, "maximum bytes exceeded");
        assert!(matches!(full, Err(MeshError::Full { .. })), "{full:?}");
        let refused = answered(400, 10060, "expected stream does not match");
        assert!(matches!(refused, Err(MeshError::JetStream { .. })), "{refused:?}");
        for kind in [
            PublishErrorKind::TimedOut,
            PublishErrorKind::BrokenPipe,
            PublishErrorKind::StreamNotFound,
        ] {
            let unknown = verdict(Err(PublishError::new(kind)), "s");
            assert!(matches!(unknown, Ok(Verdict::Unknown(_))), "{unknown:?}");
        }
    }
}
