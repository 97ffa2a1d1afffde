//! The append protocol, and reading what was appended.
//!
//! A workflow's log is one literal subject. An [`Append`] is one decision on its way there under
//! compare-and-append; it is not over before it is known whose the next place is, or that it cannot
//! be known. It does no IO itself: [`Append::finish`] does, and so does whoever publishes many at
//! once. It never carries `Nats-Msg-Id`: on a replicated stream a rejected append
//! leaves its id behind, and the retry would be swallowed.

mod read;
mod verdict;

use std::time::{Duration, Instant};

use async_nats::{
    HeaderMap,
    header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID},
};
use bytes::Bytes;
use deadelus_proto::limits::MESSAGE_MAX_BYTES;
use tokio::time::sleep;

use crate::{
    Mesh, MeshError,
    error::Cause,
    pipeline::{self, Answer},
};
pub use read::{last, purge_below, read_log, winner};
use verdict::{Verdict, verdict};

/// Names the decision that a log message holds, so that its author knows it again.
pub const DECISION_HEADER: &str = "Deadelus-Decision";

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

/// One append under way.
#[derive(Debug)]
pub struct Append {
    subject: String,
    expected: u64,
    id: String,
    headers: HeaderMap,
    bytes: Bytes,
    tries: u32,
    /// What the server called the subject's last message when it refused ours.
    refused_at: u64,
}

/// What an append needs next.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// Nothing: this became of it.
    Over(Appended),
    /// What follows `expected` on the subject, from the leader: see [`Append::looked_up`].
    LookUp,
    /// The same bytes published again, after a jittered pause no longer than this.
    Again {
        /// The longest pause.
        pause: Duration,
        /// Why the outcome is not known.
        cause: Cause,
    },
}

/// A message of the log, as far as an author needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its stream sequence.
    pub sequence: u64,
    /// Which decision it holds; none when it says so nowhere.
    pub id: Option<String>,
}

impl Append {
    /// `bytes` at the end of `subject`, if `expected` is the stream sequence of the subject's last
    /// message, 0 for none.
    ///
    /// `id` must be unique to this decision: by it the author recognises a message whose ack was
    /// lost. `headers` are sent along; they must not hold `Nats-Msg-Id`.
    ///
    /// # Errors
    /// [`MeshError::TooLarge`].
    pub fn new(
        subject: String,
        expected: u64,
        id: String,
        bytes: Bytes,
        mut headers: HeaderMap,
    ) -> Result<Self, MeshError> {
        debug_assert!(headers.get(NATS_MESSAGE_ID).is_none(), "see the module's documentation");
        if bytes.len() > MESSAGE_MAX_BYTES {
            let (size_bytes, max_bytes) = (bytes.len(), MESSAGE_MAX_BYTES);
            return Err(MeshError::TooLarge { subject, size_bytes, max_bytes });
        }
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string().as_str());
        headers.insert(DECISION_HEADER, id.as_str());
        Ok(Self { subject, expected, id, headers, bytes, tries: 0, refused_at: 0 })
    }

    /// What to publish: subject, headers, bytes. The same every time.
    pub fn message(&self) -> (String, HeaderMap, Bytes) {
        (self.subject.clone(), self.headers.clone(), self.bytes.clone())
    }

    /// It was published; this came back.
    ///
    /// # Errors
    /// [`MeshError::Full`] and [`MeshError::JetStream`]: it did not take effect and never will.
    pub fn answered(&mut self, answer: Answer) -> Result<Next, MeshError> {
        self.tries += 1;
        Ok(match verdict(answer, &self.subject)? {
            Verdict::Stored(sequence) => Next::Over(Appended::At(sequence)),
            Verdict::Taken { last } => {
                self.refused_at = last;
                Next::LookUp
            }
            Verdict::Unknown(cause) => self.again(cause),
        })
    }

    /// This follows `expected`, as the leader says; none when nothing does.
    pub fn looked_up(&self, found: Result<Option<Entry>, MeshError>) -> Next {
        match found {
            Ok(None) if self.refused_at > self.expected => {
                self.again("a leader from before answered".into())
            }
            Ok(Some(Entry { sequence, id: Some(id) })) if id == self.id => {
                Next::Over(Appended::At(sequence))
            }
            Ok(_) => Next::Over(Appended::Lost),
            // The same bytes again will be refused again, and then we ask again.
            Err(error) => self.again(error.into()),
        }
    }

    /// Publishes it and does what it needs until it is over.
    ///
    /// # Errors
    /// [`MeshError::OutcomeUnknown`] after [`APPEND_MAX`]: the append may still take effect, so
    /// nothing may be decided before the log was read again. Those of [`Append::answered`].
    pub async fn finish(mut self, mesh: &Mesh) -> Result<Appended, MeshError> {
        let (subject, headers, bytes) = self.message();
        let answer = pipeline::publish(mesh, &subject, headers, bytes).await;
        let next = self.answered(answer)?;
        self.carry_on(mesh, next).await
    }

    /// The same from where it stands.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    pub async fn carry_on(mut self, mesh: &Mesh, mut next: Next) -> Result<Appended, MeshError> {
        let begun = Instant::now();
        loop {
            next = match next {
                Next::Over(appended) => return Ok(appended),
                Next::LookUp => self.looked_up(winner(mesh, &self.subject, self.expected).await),
                Next::Again { pause, cause } => {
                    if !wait(mesh, pause, begun + APPEND_MAX).await {
                        let (subject, tries, waited) = (self.subject, self.tries, begun.elapsed());
                        let source = cause;
                        return Err(MeshError::OutcomeUnknown { subject, tries, waited, source });
                    }
                    tracing::debug!(self.subject, self.tries, %cause, "append: publishing it again");
                    let (subject, headers, bytes) = self.message();
                    self.answered(pipeline::publish(mesh, &subject, headers, bytes).await)?
                }
            };
        }
    }

    fn again(&self, cause: Cause) -> Next {
        let pause = PAUSE_FIRST.saturating_mul(1 << self.tries.min(10)).min(PAUSE_MAX);
        Next::Again { pause, cause }
    }
}

/// Waits a jittered moment and for the connection. False: the deadline has come.
async fn wait(mesh: &Mesh, longest: Duration, deadline: Instant) -> bool {
    sleep(longest.mul_f64(fastrand::f64())).await;
    mesh.connected_by(deadline).await && Instant::now() < deadline
}
