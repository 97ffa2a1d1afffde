//! What the server's answers mean for an append. No IO.

use async_nats::jetstream::{
    self, ErrorCode,
    context::{PublishError, PublishErrorKind},
    message::StreamMessage,
    publish::PublishAck,
};

use super::{Appended, DECISION_HEADER};
use crate::{MeshError, error::Cause};

/// What an answer to a publish means.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is true.
    Stored(u64),
    /// The subject's last sequence is another than expected, this one: ours from before, or
    /// somebody else's.
    Taken { last: u64 },
    /// It may have taken effect, now or later.
    Unknown(Cause),
}

/// Decides what the answer to one try means for the append.
pub(super) fn verdict(
    answer: Result<PublishAck, PublishError>,
    subject: &str,
) -> Result<Verdict, MeshError> {
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

/// Whether the winner is the decision `id`.
pub(super) fn judge(winner: Option<&StreamMessage>, id: &str) -> Appended {
    match winner {
        Some(message) if message.headers.get(DECISION_HEADER).is_some_and(|h| h.as_str() == id) => {
            Appended::At(message.sequence)
        }
        Some(_) | None => Appended::Lost,
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
