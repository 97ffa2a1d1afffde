//! The decision: which keys stand in the next set.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::token::KeySet;

/// Beside an old key: the second since 1970 from which no token of it can be alive. Whoever does not
/// know this member has to ignore it (RFC 7517, 4).
const RETIRES: &str = "retires_unix_s";

/// The next set, and what became of each key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rotation {
    /// JSON, public keys only.
    pub(super) set: String,
    /// The new key's name.
    pub(super) kid: String,
    /// Those that stay beside it.
    pub(super) kept: Vec<String>,
    /// Those whose time was over.
    pub(super) dropped: Vec<String>,
}

/// Why there is no next set. Never shows a part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the new key: {0}")]
    NotAKey(String),
    #[error("a key named {0} is in the set")]
    Known(String),
    #[error("key {0} could sign: it is not public")]
    Signs(String),
    #[error("the set that is there: {0}")]
    Set(String),
}

/// The set with one more key. Those that are there get a time from which they are not needed, if
/// they have none; those whose time is over go.
pub(super) fn rotated(
    set: Option<&str>,
    key: &str,
    overlap_s: u32,
    now_unix_s: i64,
) -> Result<Rotation, Refused> {
    let (key, kid) = new_key(key)?;
    let mut set = existing(set.unwrap_or(r#"{"keys": []}"#))?;
    let old = set.get_mut("keys").and_then(Value::as_array_mut).map(std::mem::take);
    let (mut keys, mut kept, mut dropped) = (vec![], vec![], vec![]);
    for mut old in old.unwrap_or_default() {
        let name = old["kid"].as_str().unwrap_or_default().to_owned();
        if name == kid {
            return Err(Refused::Known(kid));
        }
        let retires = old[RETIRES].as_i64();
        if retires.is_some_and(|retires| retires <= now_unix_s) {
            dropped.push(name);
            continue;
        }
        old[RETIRES] = retires.unwrap_or(now_unix_s + i64::from(overlap_s)).into();
        kept.push(name);
        keys.push(old);
    }
    keys.insert(0, key);
    set.insert("keys".to_owned(), keys.into());
    let mut set = Value::Object(set);
    set.sort_all_objects();
    Ok(Rotation { set: format!("{set:#}\n"), kid, kept, dropped })
}

fn new_key(text: &str) -> Result<(Value, String), Refused> {
    let wrong = |text: String| Refused::NotAKey(text);
    let key: Value = serde_json::from_str(text)
        .map_err(|e| wrong(format!("no JSON: line {}, column {}", e.line(), e.column())))?;
    let set = KeySet::parse(&json!({ "keys": [key] }).to_string()).map_err(wrong)?;
    public(&set)?;
    let Some(kid) = set.names().next().filter(|kid| !kid.is_empty()) else {
        return Err(wrong("it has no kid, or its type is not known".to_owned()));
    };
    if !set.names_algorithm() {
        return Err(wrong(format!("{kid}: it names no alg that it can be used with")));
    }
    if key.get(RETIRES).is_some() {
        return Err(wrong(format!("{kid}: it retires already")));
    }
    Ok((key, kid))
}

fn existing(text: &str) -> Result<Map<String, Value>, Refused> {
    let set = KeySet::parse(text).map_err(Refused::Set)?;
    public(&set)?;
    serde_json::from_str(text).map_err(|e| Refused::Set(format!("line {}", e.line())))
}

fn public(set: &KeySet) -> Result<(), Refused> {
    match set.signing().next() {
        None => Ok(()),
        Some(key) => Err(Refused::Signs(key.kid().unwrap_or("without a name").to_owned())),
    }
}
