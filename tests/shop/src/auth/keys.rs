//! The shop's own key, and the public keys that tokens are believed by. Ed25519 only (RFC 8037).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

/// Bytes of a private key, and of a public one (RFC 8032, 5.1.5).
const KEY_BYTES: usize = 32;

/// A key that signs. Never shown.
pub struct SigningKey {
    kid: String,
    pair: Ed25519KeyPair,
}

/// Why there is no such key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read, or there is one already.
    #[error("key {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no private Ed25519 key as `deadelus-shop key` writes it.
    #[error("key {}: not a private Ed25519 key: {what}", path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
        /// What is wrong, without a part of the key.
        what: &'static str,
    },
    /// The machine has no randomness to give.
    #[error("no randomness for a key")]
    Random,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    x: Option<String>,
    d: Option<String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

impl SigningKey {
    /// Makes a key and writes it, for its owner's eyes only, where there is no file yet.
    ///
    /// # Errors
    /// When the file is there or cannot be written.
    pub fn make(path: &Path, kid: &str) -> Result<Self, KeyError> {
        let mut seed = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Random)?;
        let key = Self { kid: kid.to_owned(), pair };
        let mut jwk = key.public();
        jwk["d"] = URL_SAFE_NO_PAD.encode(seed).into();
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(format!("{jwk}\n").as_bytes()));
        written.map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        Ok(key)
    }

    /// Reads what [`Self::make`] wrote.
    ///
    /// # Errors
    /// When it cannot be read or is something else.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path)
            .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        let wrong = |what| KeyError::Shape { path: path.to_owned(), what };
        let jwk: Jwk = serde_json::from_str(&text).map_err(|_| wrong("no JSON Web Key"))?;
        let (Some(public), Some(kid)) = (jwk.public(), jwk.kid.clone()) else {
            return Err(wrong("not OKP, Ed25519, kid and x"));
        };
        let seed = jwk.d.and_then(|d| URL_SAFE_NO_PAD.decode(d).ok()).ok_or(wrong("no d"))?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &public)
            .map_err(|_| wrong("d and x do not belong together"))?;
        Ok(Self { kid, pair })
    }

    /// Its public part, for those who publish keys: `auth.keys_rotate`.
    #[must_use]
    pub fn public(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(self.pair.public_key())})
    }

    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(text).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Public keys by name. Those of other types are not the shop's, and are passed over.
#[derive(Debug)]
pub(crate) struct PublicKeys(BTreeMap<String, Vec<u8>>);

impl PublicKeys {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Jwks { keys } = serde_json::from_str(text).map_err(|e| format!("key set: {e}"))?;
        let named = |jwk: Jwk| Some((jwk.kid.clone()?, jwk.public()?));
        Ok(Self(keys.into_iter().filter_map(named).collect()))
    }

    pub(crate) fn has(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// Whether the key of this name signed the text.
    pub(crate) fn verify(&self, kid: &str, text: &[u8], signature: &[u8]) -> bool {
        let key = self.0.get(kid).map(|bytes| UnparsedPublicKey::new(&ED25519, bytes));
        key.is_some_and(|key| key.verify(text, signature).is_ok())
    }
}

impl Jwk {
    fn public(&self) -> Option<Vec<u8>> {
        let ed25519 = self.kty == "OKP" && self.crv.as_deref() == Some("Ed25519");
        let bytes = URL_SAFE_NO_PAD.decode(self.x.as_ref()?).ok()?;
        (ed25519 && bytes.len() == KEY_BYTES).then_some(bytes)
    }
}
