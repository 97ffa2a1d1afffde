//! Signatures of webhooks, scheme `v1`: HMAC-SHA256 over `{t}.{body}` with the endpoint's secret,
//! as <https://docs.stripe.com/webhooks/signature> has it. Pure: `now` is an argument.

use std::fmt::Write as _;

use deadelus_runtime::Secret;
use hmac::{Hmac, KeyInit, Mac};
use hmac_sha2::Sha256;

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("the header has no t=, or one that is no time")]
    NoTimestamp,
    #[error("the header has no v1=; other schemes are not believed")]
    NoSignature,
    #[error("no signature is of this body with a secret of this target")]
    Mismatch,
    #[error("it was signed too long ago: perhaps it is repeated by somebody")]
    TooOld,
    #[error("it was signed in the future: is a clock wrong?")]
    FromTheFuture,
}

/// Believes a body that any of the header's `v1` proves with any of the secrets, signed at most
/// `tolerance_s` seconds before or after `now`. Time is judged last: what is forged is told nothing.
pub(crate) fn verify(
    body: &str,
    header: &str,
    secrets: &[Secret],
    tolerance_s: i64,
    now_unix_s: i64,
) -> Result<(), Reason> {
    let values = |name: &'static str| {
        let pairs = header.split(',').filter_map(|item| item.split_once('='));
        pairs.filter(move |(n, _)| *n == name).map(|(_, value)| value)
    };
    let text = values("t").next().ok_or(Reason::NoTimestamp)?;
    let signed: i64 = text.parse().map_err(|_| Reason::NoTimestamp)?;
    if values("v1").next().is_none() {
        return Err(Reason::NoSignature);
    }
    let proven = values("v1").filter_map(digest).any(|candidate| {
        secrets.iter().any(|secret| {
            let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
            // The comparison takes the same time wherever the two differ.
            mac.is_ok_and(|mac| {
                mac.chain_update(format!("{text}.{body}")).verify_slice(&candidate).is_ok()
            })
        })
    });
    match now_unix_s.saturating_sub(signed) {
        _ if !proven => Err(Reason::Mismatch),
        age if age > tolerance_s => Err(Reason::TooOld),
        age if age < -tolerance_s => Err(Reason::FromTheFuture),
        _ => Ok(()),
    }
}

/// The header that [`verify`] believes, of this body and with this secret.
pub(crate) fn sign(body: &str, secret: &Secret, at_unix_s: i64) -> String {
    let mut header = format!("t={at_unix_s},v1=");
    // HMAC takes a key of any length.
    if let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) {
        for byte in mac.chain_update(format!("{at_unix_s}.{body}")).finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(header, "{byte:02x}");
        }
    }
    header
}

/// 64 hexadecimal digits; none for anything else.
fn digest(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        let pair = bytes.get(2 * index..2 * index + 2)?;
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    (bytes.len() == 64).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const BODY: &str = r#"{"id": "evt_1"}"#;

    /// By OpenSSL: `printf '1700000000.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_a`.
    const V1: &str = "959e681f2eb761e01462d4257e1912530636dfce927fda01a1c443dbaa6aa0c7";

    fn check(header: &str, now: i64) -> Result<(), Reason> {
        let secrets = [Secret::from("whsec_b".to_owned()), Secret::from("whsec_a".to_owned())];
        verify(BODY, header, &secrets, 300, now)
    }

    #[test]
    fn what_is_believed_and_why_not() {
        let zeros = "0".repeat(64);
        for (header, expected) in [
            (format!("t={NOW},v1={V1}"), Ok(())),
            (format!("v1={V1},t={NOW}"), Ok(())),
            (format!("t={NOW},v1=xyz,v1={zeros},v1={V1},v0={zeros}"), Ok(())),
            (format!("t={NOW},v1={zeros}"), Err(Reason::Mismatch)),
            (format!("t={NOW},v1={V1}00"), Err(Reason::Mismatch)),
            (format!("t={NOW},v1={V1} "), Err(Reason::Mismatch)),
            (format!("t=0{NOW},v1={V1}"), Err(Reason::Mismatch)),
            (format!("t={NOW},v0={V1}"), Err(Reason::NoSignature)),
            (format!("v1={V1}"), Err(Reason::NoTimestamp)),
            (format!("t=now,v1={V1}"), Err(Reason::NoTimestamp)),
            (String::new(), Err(Reason::NoTimestamp)),
        ] {
            assert_eq!(check(&header, NOW), expected, "{header}");
        }
        let header = format!("t={NOW},v1={V1}");
        assert_eq!(sign(BODY, &Secret::from("whsec_a".to_owned()), NOW), header);
        assert_eq!(check(&header, NOW + 300), Ok(()));
        assert_eq!(check(&header, NOW + 301), Err(Reason::TooOld));
        assert_eq!(check(&header, NOW - 300), Ok(()));
        assert_eq!(check(&header, NOW - 301), Err(Reason::FromTheFuture));
        // Another body, and no secret at all.
        let secret = [Secret::from("whsec_a".to_owned())];
        assert_eq!(verify(r#"{"id":"evt_1"}"#, &header, &secret, 300, NOW), Err(Reason::Mismatch));
        assert_eq!(verify(BODY, &header, &[], 300, NOW), Err(Reason::Mismatch));
    }
}
