//! What is tried, and which answers are right. Pure.

use super::{Cell, forge};
use crate::{target::ProbeTarget, token::KeySet};

/// What an attempt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Allowed,
    Anonymous,
    Forged,
    Expired,
    WrongAudience,
    Denied,
}

/// One request. It has no `Debug`: it holds a token.
pub(super) struct Attempt {
    pub(super) name: &'static str,
    pub(super) role: Option<String>,
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) token: Option<String>,
}

impl Kind {
    pub(super) const ALL: [Self; 6] = [
        Self::Allowed,
        Self::Anonymous,
        Self::Forged,
        Self::Expired,
        Self::WrongAudience,
        Self::Denied,
    ];

    /// The id of its check.
    pub(super) fn check(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Anonymous => "anonymous",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::WrongAudience => "wrong_audience",
            Self::Denied => "denied",
        }
    }

    /// What has to be configured for it.
    pub(super) fn setting(self) -> &'static str {
        match self {
            Self::Expired => "probe.expired",
            Self::WrongAudience => "probe.wrong_audience",
            Self::Allowed | Self::Anonymous | Self::Forged | Self::Denied => "probe.tokens",
        }
    }

    /// Whether this is the right answer. A service that fails has not refused.
    pub(super) fn accepts(self, status: u16) -> bool {
        match self {
            Self::Allowed => (200..300).contains(&status),
            Self::Anonymous | Self::Forged | Self::Expired | Self::WrongAudience => {
                matches!(status, 401 | 403)
            }
            // That it is there may be a secret too.
            Self::Denied => matches!(status, 401 | 403 | 404),
        }
    }
}

/// The good token, and everything that must not do in its place.
///
/// # Errors
/// When the role's token is not one that can be forged.
pub(super) fn on_allowed(
    cell: &Cell,
    probe: &ProbeTarget,
    keys: &KeySet,
) -> Result<Vec<Attempt>, String> {
    let good = probe.tokens.get(&cell.role).map_or("", |token| token.expose());
    let attempt = |name, kind, token: Option<&str>| Attempt {
        name,
        role: token.map(|_| cell.role.clone()),
        path: cell.path.clone(),
        kind,
        token: token.map(str::to_owned),
    };
    let mut attempts = vec![
        attempt("good token", Kind::Allowed, Some(good)),
        attempt("no token", Kind::Anonymous, None),
    ];
    let forged = forge::all(good, keys).map_err(|e| format!("token of {}: {e}", cell.role))?;
    attempts.extend(forged.iter().map(|(name, token)| attempt(name, Kind::Forged, Some(token))));
    for (name, kind, token) in [
        ("expired token", Kind::Expired, &probe.expired),
        ("token for another audience", Kind::WrongAudience, &probe.wrong_audience),
    ] {
        if !token.is_empty() {
            attempts.push(attempt(name, kind, Some(token.expose())));
        }
    }
    Ok(attempts)
}

/// A good token where it is not enough.
pub(super) fn on_denied(cell: &Cell, probe: &ProbeTarget) -> Attempt {
    Attempt {
        name: "token of a role that may not",
        role: Some(cell.role.clone()),
        path: cell.path.clone(),
        kind: Kind::Denied,
        token: probe.tokens.get(&cell.role).map(|token| token.expose().to_owned()),
    }
}
