//! Which revision of itself the shop serves: a release without code generation.
//!
//! v1 reads an order with one statement per line (the N+1); v2 reads it with one join, v3 takes
//! payments too, and `auth-…` has accounts. A small file says which. It is read again for each request, so that a release is in force for every
//! request that begins after the file was written; a request in flight keeps what it began with.
//! The shop must never stop serving because of this file: what it cannot follow, it reports.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::auth::Mode;

/// The file holds one short JSON object; what is longer is another file.
const REVISION_FILE_MAX_BYTES: u64 = 4_096;

/// The revisions this build can serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// One statement for the lines of an order and one more for the product of each.
    V1,
    /// One join.
    V2,
    /// One join, and payments: needs the table `payment`.
    V3,
    /// One join, and subscriptions: needs their tables.
    V4,
    /// One join, and accounts: needs the table `account`.
    Auth(Mode),
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::V4 => "v4",
            Self::Auth(Mode::Off) => "auth-off",
            Self::Auth(Mode::Report) => "auth-report",
            Self::Auth(Mode::Enforce) => "auth-enforce",
        })
    }
}

impl FromStr for Revision {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        match name {
            "v1" => Ok(Self::V1),
            "v2" => Ok(Self::V2),
            "v3" => Ok(Self::V3),
            "v4" => Ok(Self::V4),
            "auth-off" => Ok(Self::Auth(Mode::Off)),
            "auth-report" => Ok(Self::Auth(Mode::Report)),
            "auth-enforce" => Ok(Self::Auth(Mode::Enforce)),
            other => Err(Refusal {
                wanted: Some(other.to_owned()),
                error: "unknown revision".to_owned(),
            }),
        }
    }
}

/// What the file wanted and why the shop does not follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error} (wanted: {})", wanted.as_deref().unwrap_or("not readable"))]
pub struct Refusal {
    /// The revision named in the file, when that much could be read.
    pub wanted: Option<String>,
    /// `unknown revision`, or why the file could not be read.
    pub error: String,
}

/// What is served, and what was refused if the file wants something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) serving: Revision,
    pub(crate) refused: Option<Refusal>,
}

impl Standing {
    /// The decision: follow a wish that is understood, stay on the old one otherwise.
    fn follow(self, wish: Result<Revision, Refusal>) -> Self {
        match wish {
            Ok(serving) => Self { serving, refused: None },
            Err(refusal) => Self { refused: Some(refusal), ..self },
        }
    }
}

/// Follows the revision file.
#[derive(Debug)]
pub(crate) struct Release {
    file: Option<PathBuf>,
    standing: Mutex<Standing>,
}

impl Release {
    /// Starts with what the file says now, or with v1 when there is no file to follow.
    ///
    /// # Errors
    /// When the file cannot be followed: at the start there is no older revision to stay on.
    pub(crate) fn start(file: Option<PathBuf>) -> Result<Self, Refusal> {
        let serving = file.as_deref().map_or(Ok(Revision::V1), wish)?;
        Ok(Self { file, standing: Mutex::new(Standing { serving, refused: None }) })
    }

    /// What is served from now on. Reads a file of a few bytes, which takes microseconds.
    pub(crate) fn standing(&self) -> Standing {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file {
            *standing = standing.clone().follow(wish(file));
        }
        standing.clone()
    }
}

fn wish(file: &Path) -> Result<Revision, Refusal> {
    let unreadable = |e: io::Error| Refusal {
        wanted: None,
        error: format!("revision file {}: {e}", file.display()),
    };
    parse(&read(file).map_err(unreadable)?)
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?.take(REVISION_FILE_MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Other keys may stand in the file: it belongs to whoever deploys, who may keep notes there.
#[derive(Deserialize)]
struct RevisionFile {
    revision: String,
}

fn parse(text: &str) -> Result<Revision, Refusal> {
    let file: RevisionFile = serde_json::from_str(text).map_err(|e| Refusal {
        wanted: None,
        error: format!("revision file is not {{\"revision\":\"v1\"}}: {e}"),
    })?;
    file.revision.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_that_is_not_understood_changes_nothing_but_the_report() {
        let v1 = Standing { serving: Revision::V1, refused: None };
        let torn = v1.clone().follow(parse("{\"revi"));
        assert_eq!(torn.serving, Revision::V1);
        let v9 = torn.follow(parse(r#"{"revision":"v9"}"#));
        assert_eq!(v9.serving, Revision::V1);
        assert_eq!(v9.refused.as_ref().unwrap().wanted.as_deref(), Some("v9"));
        let v2 = v9.follow(parse(r#"{"revision":"v2","by":"ops"}"#));
        assert_eq!(v2, Standing { serving: Revision::V2, refused: None });
    }

    #[test]
    fn a_missing_file_refuses_the_start() {
        let refusal = Release::start(Some("/nowhere/release.json".into())).unwrap_err();
        assert!(refusal.to_string().contains("/nowhere/release.json"), "{refusal}");
    }
}
