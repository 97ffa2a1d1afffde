//! The compact form: three segments, decoded strictly, and whether the signature holds.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::{Algorithm, KeySet, Refusal};

/// Headers of HTTP are seldom allowed more.
const TOKEN_MAX_BYTES: usize = 64 * 1024;

/// What a signature stands under.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) algorithm: Algorithm,
    /// Of the key that made the signature.
    pub(crate) kid: Option<String>,
    pub(super) payload: Vec<u8>,
}

/// What of a header counts. Keys that a header brings along, or points to, never do.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// The token, if one of these keys signed it with one of these algorithms.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn signed(token: &str, keys: &KeySet, allowed: &[Algorithm]) -> Result<Signed, Refusal> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err(Refusal::TooLong);
    }
    let segments: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = segments[..] else { return Err(Refusal::Segments) };
    let decode = |segment: &str| URL_SAFE_NO_PAD.decode(segment).map_err(|_| Refusal::Encoding);
    let (head, body, mac) = (decode(header)?, decode(payload)?, decode(signature)?);
    let Header { alg, kid, crit } = serde_json::from_slice(&head).map_err(|_| Refusal::Header)?;
    let algorithm = Algorithm::named(&alg).filter(|alg| allowed.contains(alg));
    let algorithm = algorithm.ok_or(Refusal::Algorithm)?;
    if crit.is_some() {
        return Err(Refusal::Critical);
    }
    let key = keys.key(kid.as_deref(), algorithm)?;
    let text = &token[..header.len() + 1 + payload.len()];
    key.verify(algorithm, text.as_bytes(), &mac)?;
    Ok(Signed { algorithm, kid: key.kid().map(str::to_owned), payload: body })
}
