//! Which servers we work with.

use std::{fmt, str::FromStr};

use crate::MeshError;

/// Below this, a replicated stream lets several writers win one compare-and-append.
pub const OLDEST_SERVER: ServerVersion = ServerVersion { major: 2, minor: 11, patch: 0 };

/// Below this, known losses and stuck message ids are not fixed.
const OLDEST_WITHOUT_KNOWN_LOSSES: ServerVersion = ServerVersion { major: 2, minor: 12, patch: 12 };

/// A version of nats-server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    /// 2
    pub major: u32,
    /// 14
    pub minor: u32,
    /// 6
    pub patch: u32,
}

impl ServerVersion {
    /// Parses what the server says of itself, and refuses what is too old.
    pub(super) fn accept(text: &str) -> Result<Self, MeshError> {
        let version = text.parse::<Self>().ok().filter(|version| *version >= OLDEST_SERVER);
        let version = version.ok_or_else(|| MeshError::TooOld { found: text.to_owned() })?;
        if version < OLDEST_WITHOUT_KNOWN_LOSSES {
            tracing::warn!(
                %version,
                "this nats-server has known losses; use {OLDEST_WITHOUT_KNOWN_LOSSES} or newer"
            );
        }
        Ok(version)
    }
}

impl FromStr for ServerVersion {
    type Err = ();

    /// `2.14.6`, `v2.14.6`, `2.15.0-RC.1+build`: what follows the three numbers is ignored.
    fn from_str(text: &str) -> Result<Self, ()> {
        let numbers = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<u32> =
            numbers.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| ())?;
        match numbers[..] {
            [major, minor, patch] => Ok(Self { major, minor, patch }),
            _ => Err(()),
        }
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_enough_is_taken() {
        for good in ["2.11.0", "2.11.0-preview.1", "v2.14.6", "2.15.1+abc", "3.0.0"] {
            assert!(ServerVersion::accept(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn too_old_is_refused_with_the_reason_and_the_remedy() {
        for bad in ["2.9.10", "2.10.26", "1.99.99", "", "2.11", "nonsense"] {
            let error = ServerVersion::accept(bad).unwrap_err().to_string();
            assert!(error.contains("2.11.0"), "{error}");
            assert!(error.contains("compare-and-append"), "{error}");
            assert!(error.contains("deploy/nats-server"), "{error}");
        }
    }
}
