//! The append protocol, and reading what was appended.
//!
//! A workflow's log is one literal subject. [`append`] publishes one decision under
//! compare-and-append and does not return before it is known whose the next place is, or that it
//! cannot be known. It never carries `Nats-Msg-Id`: on a replicated stream a rejected append
//! leaves its id behind, and the retry would be swallowed.

mod read;
mod verdict;

use std::time::{Duration, Instant};

use async_nats::{
    HeaderMap,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID},
    jetstream::{
        context::{PublishError, PublishErrorKind},
        publish::PublishAck,
    },
};
use bytes::Bytes;
use deadelus_proto::limits::MESSAGE_MAX_BYTES;
use tokio::time::{sleep, timeout};

use crate::{Mesh, MeshError};
use read::winner;
pub use read::{last, read_log};
use verdict::{Verdict, judge, verdict};

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
