//! What the server's answers mean for an append. No IO.

use async_nats::jetstream::{self, ErrorCode};

use crate::{MeshError, error::Cause, pipeline::Answer};

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
pub(super) fn verdict(answer: Answer, subject: &str) -> Result<Verdict, MeshError> {
    let said = match answer {
        Answer::Stored(sequence) => return Ok(Verdict::Stored(sequence)),
        // No ack, no connection, nobody leads the stream just now, or bytes that are no answer.
        Answer::Silence(why) => return Ok(Verdict::Unknown(why.into())),
        Answer::Refused(said) => said,
    };
    match said.error_code() {
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE => Ok(Verdict::Taken { last: last_sequence(&said) }),
        ErrorCode::STREAM_STORE_FAILED if is_full(&said) => {
            Err(MeshError::Full { subject: subject.to_owned(), reason: said.to_string() })
        }
        _ if is_passing(&said) => Ok(Verdict::Unknown(said.into())),
        _ => Err(MeshError::jetstream(format!("append to {subject}"), said)),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(code: usize, err_code: u64, description: &str) -> Result<Verdict, MeshError> {
        let said = json!({"code": code, "err_code": err_code, "description": description});
        verdict(Answer::Refused(serde_json::from_value(said).unwrap()), "s")
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
        let unknown = verdict(Answer::Silence("no answer".into()), "s");
        assert!(matches!(unknown, Ok(Verdict::Unknown(_))), "{unknown:?}");
    }
}
