//! Who a token belongs to and what it may do. Pure: the moment is an argument.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_mesh::objects::sha256;
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq};

use crate::config::TokenConfig;

/// What a token may do. Every token may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Plan, start, cancel, undo.
    Operator,
    /// Approve and reject at gates.
    Approver,
}

impl Role {
    /// As configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
        }
    }
}

/// The tokens that are known.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<Token>);

/// One of them; its place is its number.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) expires_unix_s: Option<i64>,
    sha256: String,
}

/// Why a token is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoToken {
    Unknown,
    Expired,
}

impl Tokens {
    pub(crate) fn new(configured: &BTreeMap<String, TokenConfig>) -> Self {
        let token = |(name, config): (&String, &TokenConfig)| Token {
            name: name.clone(),
            roles: config.roles.clone(),
            expires_unix_s: config.expires_unix_s,
            sha256: config.sha256.to_string(),
        };
        Self(configured.iter().map(token).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whose it is, with its number. How long it takes says nothing about any token: digests are
    /// compared, each of them, and each to its end.
    pub(crate) fn find(&self, token: &str, now_unix_s: i64) -> Result<(usize, &Token), NoToken> {
        let shown = sha256(token.as_bytes()).to_string();
        let mut found = None;
        for (at, known) in self.0.iter().enumerate() {
            let same: Choice = known.sha256.as_bytes().ct_eq(shown.as_bytes());
            if bool::from(same) {
                found = Some((at, known));
            }
        }
        let (at, token) = found.ok_or(NoToken::Unknown)?;
        let expired = token.expires_unix_s.is_some_and(|expires| expires <= now_unix_s);
        if expired { Err(NoToken::Expired) } else { Ok((at, token)) }
    }
}

impl Token {
    pub(crate) fn may(&self, role: Role) -> bool {
        role == Role::Viewer || self.roles.contains(&role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_digest_until_it_expires() {
        let config = |token: &str, role, expires_unix_s| TokenConfig {
            sha256: sha256(token.as_bytes()),
            roles: BTreeSet::from([role]),
            expires_unix_s,
        };
        let tokens = Tokens::new(&BTreeMap::from([
            ("ada".to_owned(), config("one", Role::Operator, None)),
            ("bob".to_owned(), config("two", Role::Approver, Some(100))),
        ]));
        let (at, ada) = tokens.find("one", 1_000).unwrap();
        assert_eq!((at, ada.name.as_str()), (0, "ada"));
        assert!(ada.may(Role::Viewer) && ada.may(Role::Operator) && !ada.may(Role::Approver));
        assert_eq!(tokens.find("two", 99).unwrap().1.name, "bob");
        assert_eq!(tokens.find("two", 100).unwrap_err(), NoToken::Expired);
        let digest = sha256(b"one").to_string();
        for junk in ["", "One", "one ", digest.as_str()] {
            assert_eq!(tokens.find(junk, 0).unwrap_err(), NoToken::Unknown, "{junk:?}");
        }
    }
}
