//! Keys as a JSON Web Key Set has them (RFC 7517), and what each can verify.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Algorithm, Refusal, spki};

/// Keys of one set: an issuer has a few.
const KEYS_MAX: usize = 64;

/// The first byte of a point that is not compressed (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Of a public key (RFC 8032, 5.1.5).
const ED25519_BYTES: usize = 32;

/// The keys of an issuer.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeySet(Vec<Key>);

/// One key. Its `Debug` shows its name and nothing else.
#[derive(Clone)]
pub(crate) struct Key {
    kid: Option<String>,
    /// The only algorithm it is for.
    alg: Option<String>,
    /// Whether it is for verifying.
    verifies: bool,
    /// Whether its private part stands in the set.
    private: bool,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Octets(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

/// What of a key counts; certificates and the like do not.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Of RSA, EC and OKP alike: what only the issuer may have.
    d: Option<Value>,
}

impl KeySet {
    /// Reads a set. Keys of a type that is not known are left out, as RFC 7517 wants it.
    ///
    /// # Errors
    /// What is wrong with it, without any part of a key.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Jwks { keys } = serde_json::from_str(text)
            .map_err(|e| format!("no key set: line {}, column {}", e.line(), e.column()))?;
        if keys.len() > KEYS_MAX {
            return Err(format!("{} keys, at most {KEYS_MAX}", keys.len()));
        }
        let mut set: Vec<Key> = vec![];
        for (index, jwk) in keys.into_iter().enumerate() {
            let name = jwk.kid.clone().unwrap_or_else(|| index.to_string());
            let Some(key) = jwk.key().map_err(|part| format!("key {name}: {part} is wrong"))?
            else {
                continue;
            };
            if key.kid.is_some() && set.iter().any(|other| other.kid == key.kid) {
                return Err(format!("two keys are called {name}"));
            }
            set.push(key);
        }
        Ok(Self(set))
    }

    /// The names of its keys; empty for a key that has none.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|key| key.kid.clone().unwrap_or_default())
    }

    /// Whether each key says what it is used with, and can be.
    pub(crate) fn names_algorithm(&self) -> bool {
        let named = |key: &Key| key.alg.as_deref().and_then(Algorithm::named);
        self.0.iter().all(|key| named(key).is_some_and(|algorithm| key.is_for(algorithm)))
    }

    /// Keys that somebody could sign with: private parts, and secrets of HMAC.
    pub(crate) fn signing(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(|key| key.private || matches!(key.material, Material::Octets(_)))
    }

    /// Each public key as files and libraries keep it. A forger has them too, and a careless verifier
    /// takes one for a secret.
    pub(crate) fn public_forms(&self) -> Vec<Vec<u8>> {
        let mut forms = vec![];
        for key in &self.0 {
            let (der, raw) = match &key.material {
                Material::Octets(_) => continue,
                Material::Rsa { n, e } => (spki::rsa(n, e), n),
                Material::P256(point) => (spki::p256(point), point),
                Material::P384(point) => (spki::p384(point), point),
                Material::Ed25519(point) => (spki::ed25519(point), point),
            };
            let pem = spki::pem(&der);
            forms.extend([pem.trim_end().as_bytes().to_vec(), pem.into_bytes(), der, raw.clone()]);
        }
        forms
    }

    /// The first key that somebody could sign with, though verifying needs its public part alone.
    pub(crate) fn private(&self) -> Option<&Key> {
        self.0.iter().find(|key| key.private)
    }

    /// The key that a token means.
    pub(super) fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Refusal> {
        if let Some(kid) = kid {
            let key = self.0.iter().find(|key| key.kid() == Some(kid)).ok_or(Refusal::Key)?;
            return if key.is_for(algorithm) { Ok(key) } else { Err(Refusal::KeyUse) };
        }
        let mut fit = self.0.iter().filter(|key| key.is_for(algorithm));
        match (fit.next(), fit.next()) {
            (Some(only), None) => Ok(only),
            (None, _) if !self.0.is_empty() => Err(Refusal::KeyUse),
            (None | Some(_), _) => Err(Refusal::Key),
        }
    }
}

impl Key {
    /// Its name.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        let fits = match algorithm {
            A::HS256 | A::HS384 | A::HS512 => matches!(self.material, Material::Octets(_)),
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512 => {
                matches!(self.material, Material::Rsa { .. })
            }
            A::ES256 => matches!(self.material, Material::P256(_)),
            A::ES384 => matches!(self.material, Material::P384(_)),
            A::EdDSA => matches!(self.material, Material::Ed25519(_)),
        };
        let named =
            self.alg.as_deref().is_none_or(|name| Algorithm::named(name) == Some(algorithm));
        fits && named && self.verifies
    }

    /// Whether the signature is of this key over this text.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let held = match &self.material {
            Material::Octets(secret) => {
                let key = hmac::Key::new(mac(algorithm)?, secret);
                hmac::verify(&key, text, signature)
            }
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(rsa(algorithm)?, text, signature)
            }
            Material::P256(point) => {
                point_of(&signature::ECDSA_P256_SHA256_FIXED, point).verify(text, signature)
            }
            Material::P384(point) => {
                point_of(&signature::ECDSA_P384_SHA384_FIXED, point).verify(text, signature)
            }
            Material::Ed25519(point) => {
                point_of(&signature::ED25519, point).verify(text, signature)
            }
        };
        held.map_err(|_| Refusal::Signature)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

fn point_of<'a>(
    algorithm: &'static dyn VerificationAlgorithm,
    point: &'a [u8],
) -> UnparsedPublicKey<&'a [u8]> {
    UnparsedPublicKey::new(algorithm, point)
}

fn mac(algorithm: Algorithm) -> Result<hmac::Algorithm, Refusal> {
    use Algorithm as A;
    match algorithm {
        A::HS256 => Ok(hmac::HMAC_SHA256),
        A::HS384 => Ok(hmac::HMAC_SHA384),
        A::HS512 => Ok(hmac::HMAC_SHA512),
        A::RS256
        | A::RS384
        | A::RS512
        | A::PS256
        | A::PS384
        | A::PS512
        | A::ES256
        | A::ES384
        | A::EdDSA => Err(Refusal::KeyUse),
    }
}

/// Keys of 2048 to 8192 bits.
fn rsa(algorithm: Algorithm) -> Result<&'static signature::RsaParameters, Refusal> {
    use Algorithm as A;
    match algorithm {
        A::RS256 => Ok(&signature::RSA_PKCS1_2048_8192_SHA256),
        A::RS384 => Ok(&signature::RSA_PKCS1_2048_8192_SHA384),
        A::RS512 => Ok(&signature::RSA_PKCS1_2048_8192_SHA512),
        A::PS256 => Ok(&signature::RSA_PSS_2048_8192_SHA256),
        A::PS384 => Ok(&signature::RSA_PSS_2048_8192_SHA384),
        A::PS512 => Ok(&signature::RSA_PSS_2048_8192_SHA512),
        A::HS256 | A::HS384 | A::HS512 | A::ES256 | A::ES384 | A::EdDSA => Err(Refusal::KeyUse),
    }
}

impl Jwk {
    /// None for a type or a curve that is not known; the name of a part that is wrong.
    fn key(self) -> Result<Option<Key>, &'static str> {
        let curve = self.crv.as_deref();
        let material = match (self.kty.as_str(), curve) {
            ("oct", _) => Material::Octets(part("k", self.k.as_deref())?),
            ("RSA", _) => {
                Material::Rsa { n: part("n", self.n.as_deref())?, e: part("e", self.e.as_deref())? }
            }
            ("EC", Some("P-256")) => Material::P256(self.point(32)?),
            ("EC", Some("P-384")) => Material::P384(self.point(48)?),
            ("OKP", Some("Ed25519")) => {
                let point = part("x", self.x.as_deref())?;
                if point.len() != ED25519_BYTES {
                    return Err("x");
                }
                Material::Ed25519(point)
            }
            _ => return Ok(None),
        };
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        Ok(Some(Key {
            kid: self.kid,
            alg: self.alg,
            verifies: signs && verifies,
            private: self.d.is_some(),
            material,
        }))
    }

    fn point(&self, coordinate_bytes: usize) -> Result<Vec<u8>, &'static str> {
        let mut point = vec![UNCOMPRESSED];
        for (name, text) in [("x", &self.x), ("y", &self.y)] {
            let coordinate = part(name, text.as_deref())?;
            if coordinate.len() != coordinate_bytes {
                return Err(name);
            }
            point.extend(coordinate);
        }
        Ok(point)
    }
}

fn part(name: &'static str, text: Option<&str>) -> Result<Vec<u8>, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(text.ok_or(name)?).map_err(|_| name)?;
    if bytes.is_empty() { Err(name) } else { Ok(bytes) }
}
