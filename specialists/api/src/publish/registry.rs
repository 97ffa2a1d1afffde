//! Published documents: files named by their SHA-256, and one pointer per channel.
//!
//! ```text
//! published/documents/<sha256>.json    never changed once it is there
//! published/<channel>.json             {"document":"<sha256>"}
//! ```
//!
//! A reader sees the old pointer or the new one, never a part, and what it names is there before
//! it is named.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use deadelus_runtime::{ErrorClass, Failure, file, source::TEXT_MAX_BYTES};
use serde::Deserialize;

/// A pointer is one short object; what is longer is another file.
const POINTER_MAX_BYTES: u64 = 256;

/// Characters of a channel's name; it is the name of a file.
const CHANNEL_MAX_CHARS: usize = 64;

/// The name of a pointer's document in reports, where there is no pointer.
pub(super) const NOTHING: &str = "nothing";

/// The published documents of a target.
#[derive(Debug, Clone)]
pub(super) struct Registry {
    folder: PathBuf,
}

impl Registry {
    pub(super) fn of(folder: &Path) -> Self {
        Self { folder: folder.join("published") }
    }

    /// The document that a channel points to; none when nothing is published there.
    ///
    /// # Errors
    /// `precondition_failed` for a pointer that this specialist would not have written,
    /// `unavailable` when it cannot be read.
    pub(super) fn pointer(&self, channel: &str) -> Result<Option<String>, Failure> {
        let path = self.pointer_path(channel);
        let Some(text) = read(&path, POINTER_MAX_BYTES)? else { return Ok(None) };
        let sha256 = String::from_utf8(text.clone()).ok().as_deref().and_then(named);
        if let Some(sha256) = sha256.filter(|sha256| pointer_text(sha256).as_bytes() == text) {
            return Ok(Some(sha256));
        }
        let problem = format!("{}: it is no pointer of this specialist", path.display());
        Err(Failure::new(ErrorClass::PreconditionFailed, problem)
            .help("move it away, or choose another channel"))
    }

    /// Points a channel to a document, or to nothing.
    ///
    /// # Errors
    /// `unavailable`; the channel then points where it did.
    pub(super) fn point(&self, channel: &str, to: Option<&str>) -> Result<(), Failure> {
        let path = self.pointer_path(channel);
        match to {
            Some(sha256) => put(&self.folder, &path, pointer_text(sha256).as_bytes()),
            None => file::remove(&path),
        }
        .map_err(|e| unavailable("cannot write", &path, &e))
    }

    /// Whether a document is there, whole.
    pub(super) fn holds(&self, sha256: &str) -> Result<bool, Failure> {
        let bytes = read(&self.document_path(sha256), TEXT_MAX_BYTES as u64)?;
        Ok(bytes.is_some_and(|bytes| digest(&bytes) == sha256))
    }

    /// Keeps a document under its SHA-256.
    ///
    /// # Errors
    /// `unavailable`; no channel points to it then.
    pub(super) fn keep(&self, sha256: &str, bytes: &[u8]) -> Result<(), Failure> {
        if self.holds(sha256)? {
            return Ok(());
        }
        let path = self.document_path(sha256);
        put(&self.documents(), &path, bytes).map_err(|e| unavailable("cannot write", &path, &e))
    }

    /// Removes a document that no channel points to, and folders that are empty then.
    ///
    /// # Errors
    /// `unavailable`; it is still there then.
    pub(super) fn forget(&self, sha256: &str) -> Result<(), Failure> {
        if self.refers_to(sha256)? {
            return Ok(());
        }
        let path = self.document_path(sha256);
        file::remove(&path).map_err(|e| unavailable("cannot remove", &path, &e))?;
        // Only where nothing else is in them.
        let _ = fs::remove_dir(self.documents());
        let _ = fs::remove_dir(&self.folder);
        Ok(())
    }

    /// Whether any channel points to a document.
    pub(super) fn refers_to(&self, sha256: &str) -> Result<bool, Failure> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(unavailable("cannot read", &self.folder, &e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| unavailable("cannot read", &self.folder, &e))?;
            if entry.path().is_file()
                && read(&entry.path(), POINTER_MAX_BYTES)?.as_deref()
                    == Some(pointer_text(sha256).as_bytes())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pointer_path(&self, channel: &str) -> PathBuf {
        self.folder.join(format!("{channel}.json"))
    }

    fn document_path(&self, sha256: &str) -> PathBuf {
        self.documents().join(format!("{sha256}.json"))
    }

    fn documents(&self) -> PathBuf {
        self.folder.join("documents")
    }
}

/// Refuses the name of a channel that could be another file.
pub(super) fn check_channel(channel: &str) -> Result<(), Failure> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=CHANNEL_MAX_CHARS).contains(&channel.len()) && channel.chars().all(legal) {
        return Ok(());
    }
    let text = format!("channel {channel:?}: use 1 to {CHANNEL_MAX_CHARS} of a-z 0-9 -");
    Err(Failure::new(ErrorClass::InvalidInput, text))
}

/// Refuses what is no SHA-256 in hexadecimal digits.
pub(super) fn check_sha256(sha256: &str) -> Result<(), Failure> {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if sha256.len() == 64 && sha256.chars().all(hex) {
        return Ok(());
    }
    let text = format!("document {sha256:?}: use the 64 hexadecimal digits of its SHA-256");
    Err(Failure::new(ErrorClass::InvalidInput, text))
}

/// SHA-256 as 64 hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    deadelus_runtime::sha256(bytes).to_string()
}

/// SHA-256 of a channel's pointer; `nothing` where there is none.
pub(super) fn fingerprint(pointer: Option<&str>) -> String {
    pointer.map_or(NOTHING.to_owned(), |sha256| digest(pointer_text(sha256).as_bytes()))
}

fn pointer_text(sha256: &str) -> String {
    format!("{}\n", serde_json::json!({ "document": sha256 }))
}

fn named(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Pointer {
        document: String,
    }
    serde_json::from_str(text).ok().map(|pointer: Pointer| pointer.document)
}

fn read(path: &Path, at_most: u64) -> Result<Option<Vec<u8>>, Failure> {
    let mut bytes = vec![];
    match File::open(path).and_then(|file| file.take(at_most + 1).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unavailable("cannot read", path, &e)),
    }
}

fn put(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    file::create_folder(folder)?;
    file::replace(path, bytes)
}

fn unavailable(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(ErrorClass::Unavailable, format!("{what} {}: {error}", path.display()))
        .help("this process needs to read and to write in the target's folder")
}
