//! A file that services read, and that this specialist replaces: the policies, the public keys.
//!
//! It is replaced whole or not at all, only while it holds what was there when the way back was
//! recorded, and what it held is kept as an artefact before: so every byte comes back.

use std::{
    fs::File,
    io::{self, Read as _},
    path::PathBuf,
};

use deadelus_runtime::{
    Context, ErrorClass, Failure, Prepared, Undo, blocking, file, invalid, sha256,
    source::TEXT_MAX_BYTES,
};
use serde::{Deserialize, Serialize};

use crate::restore;

/// The digest of a file that is not there.
pub(crate) const NOTHING: &str = "nothing";

/// What such a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Cedar policies.
    Policies,
    /// A JSON Web Key Set of public keys.
    Keys,
}

/// One such file.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
}

/// What it holds; none when it is not there.
pub(crate) type Content = Option<Vec<u8>>;

/// What was known before it was changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    /// SHA-256 of what it held; `nothing` when it was not there.
    pub(crate) previous: String,
    /// SHA-256 of what it is to hold; `nothing` when it is to go.
    pub(crate) wanted: String,
}

impl Served {
    /// What it holds now.
    ///
    /// # Errors
    /// `unavailable` when it cannot be read, `precondition_failed` when it is too large to be it.
    pub(crate) async fn now(&self) -> Result<Content, Failure> {
        let path = self.path.clone();
        let read = move || {
            let mut bytes = vec![];
            let limit = TEXT_MAX_BYTES as u64 + 1;
            match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
                Ok(_) => Ok(Some(bytes)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(e),
            }
        };
        match blocking(read).await.map_err(|e| self.unavailable("cannot read", &e))? {
            Some(bytes) if bytes.len() > TEXT_MAX_BYTES => {
                let text = format!("{}: more than {TEXT_MAX_BYTES} bytes", self.path.display());
                Err(Failure::new(ErrorClass::PreconditionFailed, text))
            }
            content => Ok(content),
        }
    }

    /// Records the way back to what it holds now. Refuses when that is not what was expected.
    pub(crate) async fn prepare(
        &self,
        cx: &Context,
        wanted: &Content,
        expected: Option<&str>,
    ) -> Result<Prepared<Before>, Failure> {
        let now = self.now().await?;
        let before = Before { previous: digest(&now), wanted: digest(wanted) };
        if let Some(expected) = expected {
            is_digest(expected)?;
            if before.previous != expected && before.previous != before.wanted {
                return Err(self.drift(expected, &before.previous));
            }
        }
        let previous = match now {
            Some(bytes) => {
                Some(cx.keep(self.kind.name(), self.kind.media_type(), bytes.into()).await?)
            }
            None => None,
        };
        let inputs = restore::Inputs { previous, replaces: before.wanted.clone() };
        let undo = Undo::exact(&format!("auth.{}", self.kind.restore_verb()), &inputs);
        Ok(Prepared { before, undo: Some(undo) })
    }

    /// Puts the new content in its place, or removes it; once more, it changes nothing.
    ///
    /// # Errors
    /// `precondition_failed` when somebody else changed it, or the new content; `unavailable` when
    /// it cannot be written. Nothing was changed then.
    pub(crate) async fn replace(&self, wanted: Content, before: &Before) -> Result<(), Failure> {
        if digest(&wanted) != before.wanted {
            let text = "what is to be served is not what it was when the way back was recorded";
            return Err(Failure::new(ErrorClass::PreconditionFailed, text).help("plan again"));
        }
        let now = digest(&self.now().await?);
        if now == before.wanted {
            return Ok(());
        }
        if now != before.previous {
            return Err(self.drift(&before.previous, &now));
        }
        let path = self.path.clone();
        let put = move || match wanted {
            Some(bytes) => file::replace(&path, &bytes),
            None => file::remove(&path),
        };
        blocking(put).await.map_err(|e| self.unavailable("cannot write", &e))
    }

    fn drift(&self, expected: &str, now: &str) -> Failure {
        let text = format!("{}: {expected} was expected, {now} is there", self.path.display());
        Failure::new(ErrorClass::PreconditionFailed, text)
            .help("somebody else changed it; plan again on what is there now")
    }

    fn unavailable(&self, what: &str, error: &io::Error) -> Failure {
        let text = format!("{what} {}: {error}", self.path.display());
        Failure::new(ErrorClass::Unavailable, text)
            .help("this process needs to read and to write in the folder of the file")
    }
}

impl Kind {
    /// `policy_restore`
    pub(crate) fn restore_verb(self) -> &'static str {
        match self {
            Self::Policies => "policy_restore",
            Self::Keys => "keys_restore",
        }
    }

    /// Of its artefact.
    fn name(self) -> &'static str {
        match self {
            Self::Policies => "policies.cedar",
            Self::Keys => "jwks.json",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Policies => "text/plain",
            Self::Keys => "application/jwk-set+json",
        }
    }
}

/// SHA-256 as 64 hexadecimal digits; `nothing` for a file that is not there.
pub(crate) fn digest(content: &Content) -> String {
    content.as_ref().map_or(NOTHING.to_owned(), |bytes| sha256(bytes).to_string())
}

/// Refuses what no file has as its digest.
pub(crate) fn is_digest(text: &str) -> Result<(), Failure> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text == NOTHING || (text.len() == 64 && text.bytes().all(hex)) {
        return Ok(());
    }
    Err(invalid(format!("{text:?}: use the 64 hexadecimal digits of a SHA-256, or {NOTHING:?}")))
}
