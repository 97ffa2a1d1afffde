//! Who somebody is and what they may do: what the revisions `auth-off`, `auth-report` and
//! `auth-enforce` add to v2.
//!
//! Tokens are signed with a key that only the shop has, and believed only by the public keys of a
//! file that somebody else writes; what they allow is decided by the Cedar policies of another such
//! file. Both are read again for each request, so that what was published is in force for every
//! request that begins afterwards. What cannot be read allows nothing.
//!
//! It must never tell a password, its hash, a token or the private key.

mod accounts;
mod decisions;
mod followed;
mod guard;
mod keys;
mod password;
mod policies;
mod routes;
mod token;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

pub use self::keys::{KeyError, SigningKey};
pub use self::token::{Claims, token};

pub(crate) use self::guard::guard;
pub(crate) use self::routes::{internal, router};

use self::decisions::Decisions;
use self::followed::Followed;
use self::keys::PublicKeys;
use self::password::Passwords;
use self::policies::Policies;

/// How the policies count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// People can have accounts; policies are not asked.
    Off,
    /// Policies are asked and their decisions are logged; nobody is refused for one.
    Report,
    /// Policies decide.
    Enforce,
}

/// The table `auth` of the configuration. Relative paths are relative to the configuration file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The private key that tokens are signed with, as `deadelus-shop key` writes it.
    pub signing_key: PathBuf,
    /// The public keys that tokens are believed by: a JSON Web Key Set, written by others.
    pub keys: PathBuf,
    /// The policies, Cedar's text, written by others.
    pub policies: PathBuf,
}

/// What the revisions with accounts work with.
#[derive(Debug)]
pub(crate) struct Auth {
    signing: SigningKey,
    keys: Followed<PublicKeys>,
    policies: Followed<Policies>,
    passwords: Passwords,
    decisions: Decisions,
}

impl AuthConfig {
    pub(crate) fn are_relative_to(&mut self, folder: &Path) {
        for path in [&mut self.signing_key, &mut self.keys, &mut self.policies] {
            *path = folder.join(&*path);
        }
    }
}

impl Auth {
    /// # Errors
    /// When the private key cannot be read. The other two files may come later.
    pub(crate) fn open(config: &AuthConfig) -> Result<Self, KeyError> {
        Ok(Self {
            signing: SigningKey::read(&config.signing_key)?,
            keys: Followed::new(config.keys.clone(), PublicKeys::parse),
            policies: Followed::new(config.policies.clone(), Policies::parse),
            passwords: Passwords::default(),
            decisions: Decisions::default(),
        })
    }
}

/// Seconds since 1970.
pub(crate) fn now_unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
