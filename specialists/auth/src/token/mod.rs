//! Signed tokens: JWS in its compact form (RFC 7515) with the claims of a JWT (RFC 7519).
//!
//! Pure. Every segment is decoded strictly before anything else is looked at, the algorithm has to
//! be one that is allowed and that fits the key, and only then is a signature computed. A token and a
//! key have no `Debug` that shows them.

mod claims;
mod jws;
mod keys;
mod spki;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::{
    claims::{Claims, Expected},
    jws::{Signed, signed},
    keys::KeySet,
};

/// What a signature is computed with, by its registered name (RFC 7518, RFC 8037). ES512 is not
/// among them: no token with it is ever accepted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub(crate) enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Why a token is refused. It never says what stands in the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// More bytes than any token has.
    #[error("it is too long")]
    TooLong,
    /// Something else than `header.payload.signature`.
    #[error("it has not three segments")]
    Segments,
    /// A character, padding or bits that do not belong there.
    #[error("a segment is not base64url as RFC 7515 has it")]
    Encoding,
    /// No JSON object, or one that says something twice.
    #[error("the header is no JSON object with one alg")]
    Header,
    /// Among them `none`.
    #[error("its algorithm is not allowed")]
    Algorithm,
    /// An extension that has to be understood.
    #[error("the header names a critical extension")]
    Critical,
    /// No key of that name, or several keys and no name.
    #[error("no key is named by it")]
    Key,
    /// Of another type, for another algorithm, or for another use.
    #[error("the key is not for this algorithm or not for verifying")]
    KeyUse,
    /// The signature is not of this key over this text.
    #[error("the signature is wrong")]
    Signature,
    /// No JSON object, or a time that is no number.
    #[error("the payload is no JSON object of claims")]
    Claims,
    /// It would be good for ever.
    #[error("it does not say when it expires")]
    NoExpiry,
    /// It was good once.
    #[error("it has expired")]
    Expired,
    /// It will be good some day.
    #[error("it is not yet good")]
    NotYet,
    /// Another one made it.
    #[error("its issuer is another")]
    Issuer,
    /// It is for somebody else.
    #[error("its audience is another")]
    Audience,
}

impl Algorithm {
    /// By its name, exactly.
    pub(crate) fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// Those with which whoever verifies cannot sign.
    pub(crate) const ASYMMETRIC: [Self; 9] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A token that is signed by one of the keys and says what is expected.
///
/// # Errors
/// The first thing that is wrong with it.
pub(crate) fn verify(
    token: &str,
    keys: &KeySet,
    expected: &Expected,
    now_unix_s: i64,
) -> Result<(Signed, Claims), Refusal> {
    let signed = signed(token, keys, &expected.algorithms)?;
    let claims = claims::parse(&signed.payload)?;
    claims.judge(expected, now_unix_s)?;
    Ok((signed, claims))
}

#[cfg(test)]
mod tests;
