//! What one line of a column of hashes is, and whether that is enough.
//!
//! The measures are those of OWASP's Password Storage Cheat Sheet; the notations are the PHC string
//! format and the older ones of crypt(3).

use schemars::JsonSchema;
use serde::Serialize;

/// Memory in KiB and passes that are worth the same, with any number of lanes.
const ARGON2ID_MIN: [(u64, u64); 5] =
    [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];
/// Of bcrypt, as the power of two of its rounds.
const BCRYPT_COST_MIN: u64 = 10;
/// Of scrypt, as the power of two of its cost, with blocks of 8.
const SCRYPT_LN_MIN: u64 = 17;
/// Rounds of PBKDF2 with SHA-256, and with SHA-512.
const PBKDF2_SHA256_MIN: u64 = 600_000;
const PBKDF2_SHA512_MIN: u64 = 210_000;
/// 16 bytes, in base64 without padding.
const SALT_MIN_CHARS: usize = 22;

/// What becomes of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Strength {
    /// In the clear, or so fast that it can be tried out: these passwords are to be changed.
    Broken,
    /// Slow, but not slow enough: to be hashed anew at the next login.
    Rehash,
    /// As it should be.
    Strong,
}

/// What a line is. It has no part of the hash but its salt, which is not told.
pub(super) struct Scheme<'a> {
    pub(super) strength: Strength,
    /// `argon2id m=19456 t=2 p=1`
    pub(super) name: String,
    pub(super) salt: Option<&'a str>,
}

/// What a line is.
pub(super) fn of(line: &str) -> Scheme<'_> {
    let parts: Vec<&str> = line.split('$').collect();
    match parts[..] {
        ["", "argon2id", "v=19", parameters, salt, hash] if !hash.is_empty() => {
            argon2id(parameters, salt)
        }
        ["", kind @ ("argon2id" | "argon2i" | "argon2d"), ..] => weak(&format!("{kind}, older")),
        ["", "2a" | "2b" | "2y", cost, rest] if rest.len() == 53 && rest.is_ascii() => {
            bcrypt(cost, rest)
        }
        ["", "scrypt", parameters, salt, hash] if !hash.is_empty() => scrypt(parameters, salt),
        ["", kind @ ("pbkdf2-sha256" | "pbkdf2-sha512"), parameters, salt, hash]
            if !hash.is_empty() =>
        {
            pbkdf2(kind, parameters, salt)
        }
        ["", "7" | "y" | "gy", ..] => weak("yescrypt, or scrypt of crypt"),
        ["", "5", ..] => weak("sha256crypt"),
        ["", "6", ..] => weak("sha512crypt"),
        ["", "1", ..] => broken("md5crypt"),
        _ => bare(line),
    }
}

fn argon2id<'a>(parameters: &str, salt: &'a str) -> Scheme<'a> {
    let (Some(m), Some(t), Some(p)) =
        (value(parameters, "m"), value(parameters, "t"), value(parameters, "p"))
    else {
        return weak("argon2id, without its parameters");
    };
    let enough = ARGON2ID_MIN.iter().any(|(memory, passes)| m >= *memory && t >= *passes);
    salted(&format!("argon2id m={m} t={t} p={p}"), salt, enough)
}

fn bcrypt<'a>(cost: &str, rest: &'a str) -> Scheme<'a> {
    let cost = cost.parse().unwrap_or(0);
    // The first 22 characters are the salt.
    salted(
        &format!("bcrypt cost={cost}"),
        rest.get(..SALT_MIN_CHARS).unwrap_or(rest),
        cost >= BCRYPT_COST_MIN,
    )
}

fn scrypt<'a>(parameters: &str, salt: &'a str) -> Scheme<'a> {
    let (ln, r) = (value(parameters, "ln").unwrap_or(0), value(parameters, "r").unwrap_or(0));
    salted(&format!("scrypt ln={ln} r={r}"), salt, ln >= SCRYPT_LN_MIN && r >= 8)
}

fn pbkdf2<'a>(kind: &str, parameters: &str, salt: &'a str) -> Scheme<'a> {
    let rounds = value(parameters, "i").unwrap_or(0);
    let least = if kind == "pbkdf2-sha512" { PBKDF2_SHA512_MIN } else { PBKDF2_SHA256_MIN };
    salted(&format!("{kind} i={rounds}"), salt, rounds >= least)
}

fn salted<'a>(name: &str, salt: &'a str, enough: bool) -> Scheme<'a> {
    let long = salt.len() >= SALT_MIN_CHARS;
    let name = if long { name.to_owned() } else { format!("{name}, short salt") };
    let strength = if enough && long { Strength::Strong } else { Strength::Rehash };
    Scheme { strength, name, salt: Some(salt) }
}

/// Without any salt; or no hash at all.
fn bare(line: &str) -> Scheme<'static> {
    let hex = line.bytes().all(|b| b.is_ascii_hexdigit());
    broken(match line.len() {
        32 if hex => "md5, no salt",
        40 if hex => "sha1, no salt",
        64 if hex => "sha256, no salt",
        128 if hex => "sha512, no salt",
        _ => "in the clear, or not known",
    })
}

fn weak(name: &str) -> Scheme<'static> {
    Scheme { strength: Strength::Rehash, name: name.to_owned(), salt: None }
}

fn broken(name: &str) -> Scheme<'static> {
    Scheme { strength: Strength::Broken, name: name.to_owned(), salt: None }
}

/// `m` of `m=19456,t=2,p=1`
fn value(parameters: &str, name: &str) -> Option<u64> {
    let mut pairs = parameters.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
}
