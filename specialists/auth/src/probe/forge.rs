//! Tokens that a careless verifier takes for good, made of a good one. Pure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Map, Value, json};

use crate::token::KeySet;

/// An hour more than it had.
const LONGER_SECONDS: i64 = 3600;

/// `(what it is, the token)`
pub(super) type Forged = (&'static str, String);

/// Every forgery of a token.
///
/// # Errors
/// When it is no signed token with claims. Never tells a part of it.
pub(super) fn all(token: &str, keys: &KeySet) -> Result<Vec<Forged>, String> {
    let segments: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = segments[..] else {
        return Err("it has not three segments".to_owned());
    };
    let (head, claims) = (object(header)?, object(payload)?);
    let mut forged = vec![
        ("no signature", format!("{header}.{payload}.")),
        ("another signature", format!("{header}.{payload}.{}", tampered(signature)?)),
        ("longer life, old signature", {
            format!("{header}.{}.{signature}", encode(&longer(claims)))
        }),
    ];
    for (name, alg) in [("alg none", "none"), ("alg None", "None"), ("alg NONE", "NONE")] {
        forged.push((name, format!("{}.{payload}.", encode(&with(&head, "alg", alg)))));
    }
    // The key that everybody has, taken for a secret.
    for secret in keys.public_forms() {
        let text = format!("{}.{payload}", encode(&with(&head, "alg", "HS256")));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
        forged.push(("public key as secret", format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))));
    }
    let empty = hmac::Key::new(hmac::HMAC_SHA256, b"");
    let text = format!("{}.{payload}", encode(&with(&head, "alg", "HS256")));
    let mac = hmac::sign(&empty, text.as_bytes());
    forged.push(("empty secret", format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))));
    Ok(forged)
}

fn object(segment: &str) -> Result<Map<String, Value>, String> {
    let bytes = URL_SAFE_NO_PAD.decode(segment).map_err(|_| "a segment is no base64url")?;
    serde_json::from_slice(&bytes).map_err(|_| "a segment is no JSON object".to_owned())
}

fn with(head: &Map<String, Value>, key: &str, value: &str) -> Map<String, Value> {
    let mut head = head.clone();
    head.insert(key.to_owned(), value.into());
    head
}

fn longer(mut claims: Map<String, Value>) -> Map<String, Value> {
    let expires = claims.get("exp").and_then(Value::as_i64).unwrap_or_default();
    claims.insert("exp".to_owned(), json!(expires + LONGER_SECONDS));
    claims
}

fn tampered(signature: &str) -> Result<String, String> {
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "a segment is no base64url")?;
    let first = bytes.first_mut().ok_or("it has no signature")?;
    *first ^= 1;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn encode(object: &Map<String, Value>) -> String {
    URL_SAFE_NO_PAD.encode(Value::Object(object.clone()).to_string())
}
