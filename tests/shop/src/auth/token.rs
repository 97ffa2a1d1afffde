//! Tokens: JWS in its compact form (RFC 7515) with a few claims (RFC 7519), EdDSA only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::keys::{PublicKeys, SigningKey};

/// Who makes the shop's tokens.
pub(crate) const ISSUER: &str = "deadelus-shop";
/// Whom they are for.
pub(crate) const AUDIENCE: &str = "shop";
/// A token is good for an hour: then people log in again.
pub(crate) const LIFETIME_SECONDS: i64 = 3_600;
/// A token of the shop has some 300 bytes.
const TOKEN_MAX_BYTES: usize = 4_096;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// Whose it is: an email address.
    pub sub: String,
    /// What they are.
    pub roles: Vec<String>,
    /// From when, in seconds since 1970.
    pub iat: i64,
    /// Until when.
    pub exp: i64,
}

/// Why a token is not believed. Never tells a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unbelieved {
    #[error("it is no signed token")]
    Shape,
    #[error("its algorithm is not EdDSA")]
    Algorithm,
    #[error("no published key signed it")]
    Signature,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has expired")]
    Expired,
}

impl Claims {
    /// Of somebody who has just logged in.
    pub(crate) fn fresh(sub: &str, role: &str, now_unix_s: i64) -> Self {
        Self::lasting(sub, role, AUDIENCE, now_unix_s, LIFETIME_SECONDS)
    }

    /// For other audiences and other lives, which may be over.
    #[must_use]
    pub fn lasting(sub: &str, role: &str, aud: &str, now_unix_s: i64, lifetime_s: i64) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: aud.to_owned(),
            sub: sub.to_owned(),
            roles: vec![role.to_owned()],
            iat: now_unix_s,
            exp: now_unix_s.saturating_add(lifetime_s),
        }
    }
}

/// A token with these claims.
#[must_use]
pub fn token(key: &SigningKey, claims: &Claims) -> String {
    let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": key.kid()});
    let text = format!("{}.{}", encode(header.to_string()), encode(json!(claims).to_string()));
    let signature = encode(key.sign(text.as_bytes()));
    format!("{text}.{signature}")
}

/// What of a header counts. A key or an address in it never does.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// The claims, if one of these keys signed them and they hold now.
pub(crate) fn believed(
    token: &str,
    keys: &PublicKeys,
    now_unix_s: i64,
) -> Result<Claims, Unbelieved> {
    let segments: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = segments[..] else { return Err(Unbelieved::Shape) };
    if token.len() > TOKEN_MAX_BYTES {
        return Err(Unbelieved::Shape);
    }
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Unbelieved::Shape);
    let (head, body, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let head: Header = serde_json::from_slice(&head).map_err(|_| Unbelieved::Shape)?;
    if head.alg != "EdDSA" || head.crit.is_some() {
        return Err(Unbelieved::Algorithm);
    }
    let text = &token[..header.len() + 1 + payload.len()];
    if !keys.verify(&head.kid, text.as_bytes(), &signature) {
        return Err(Unbelieved::Signature);
    }
    let claims: Claims = serde_json::from_slice(&body).map_err(|_| Unbelieved::Shape)?;
    if claims.iss != ISSUER || claims.aud != AUDIENCE {
        return Err(Unbelieved::Audience);
    }
    if claims.exp <= now_unix_s {
        return Err(Unbelieved::Expired);
    }
    Ok(claims)
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_published_key_signed_for_us_and_now_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::make(&folder.path().join("a"), "a").unwrap();
        let other = SigningKey::make(&folder.path().join("b"), "a").unwrap();
        let keys = PublicKeys::parse(&json!({"keys": [key.public()]}).to_string()).unwrap();
        let claims = Claims::fresh("ann@example.test", "customer", 1_000);
        let good = token(&key, &claims);
        assert_eq!(believed(&good, &keys, 1_000), Ok(claims.clone()));
        let (text, signature) = good.rsplit_once('.').unwrap();
        let none = encode(json!({"alg": "none", "kid": "a"}).to_string());
        let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
        flipped[0] ^= 1;
        let elsewhere = Claims { aud: "bank".to_owned(), ..claims.clone() };
        for (bad, why) in [
            (token(&other, &claims), Unbelieved::Signature),
            (format!("{text}."), Unbelieved::Signature),
            (format!("{text}.{}", encode(flipped)), Unbelieved::Signature),
            (format!("{text}.{signature}="), Unbelieved::Shape),
            (format!("{none}.{}.", text.split('.').nth(1).unwrap()), Unbelieved::Algorithm),
            (token(&key, &elsewhere), Unbelieved::Audience),
            (String::new(), Unbelieved::Shape),
        ] {
            assert_eq!(believed(&bad, &keys, 1_000), Err(why), "{bad}");
        }
        assert_eq!(believed(&good, &keys, claims.exp), Err(Unbelieved::Expired));
        let read = SigningKey::read(&folder.path().join("a")).unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(format!("{read:?}"), "SigningKey { kid: \"a\", .. }");
    }
}
