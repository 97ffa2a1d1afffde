//! The file a service follows: read whole, replaced whole.
//!
//! A reader sees the old text or the new one, never a part: the new text is written beside the
//! file, brought to the disk, and renamed over it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use deadelus_runtime::{ErrorClass, Failure};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

/// The file holds one short JSON object; what is longer is another file.
pub(crate) const REVISION_FILE_MAX_BYTES: u64 = 4_096;

/// Where a service looks for the revision it should serve.
#[derive(Debug, Clone)]
pub(crate) struct RevisionFile {
    path: Arc<Path>,
}

impl RevisionFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path: path.into() }
    }

    /// Its text; none when there is no such file.
    ///
    /// # Errors
    /// `unavailable` when it cannot be read, `precondition_failed` when it is no such file.
    pub(crate) async fn read(&self) -> Result<Option<String>, Failure> {
        let path = self.path.clone();
        match run(move || read(&path)).await {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                let text = format!("{}: {e}", self.path.display());
                Err(Failure::new(ErrorClass::PreconditionFailed, text)
                    .help("check that revision_file is the file the service follows"))
            }
            Err(e) => Err(self.unavailable("cannot read", &e)),
        }
    }

    /// Replaces the whole text.
    ///
    /// # Errors
    /// `unavailable`; the old text is then still there.
    pub(crate) async fn replace(&self, text: &str) -> Result<(), Failure> {
        let (path, text) = (self.path.clone(), text.to_owned());
        run(move || replace(&path, &text)).await.map_err(|e| self.unavailable("cannot replace", &e))
    }

    /// What the contract of a release says when the file is not there.
    pub(crate) fn missing(&self, served: &str) -> Failure {
        let text = format!("{}: there is no such file", self.path.display());
        let help = format!("create it with what is served now: {}", document(served).trim_end());
        Failure::new(ErrorClass::PreconditionFailed, text).help(help)
    }

    fn unavailable(&self, what: &str, error: &io::Error) -> Failure {
        let text = format!("{what} {}: {error}", self.path.display());
        Failure::new(ErrorClass::Unavailable, text)
            .help("this process needs to read the file and to write in its directory")
    }
}

/// The text that asks for a revision.
pub(crate) fn document(revision: &str) -> String {
    format!("{}\n", serde_json::json!({ "revision": revision }))
}

/// The revision that a text asks for; none when it asks for nothing that can be read.
pub(crate) fn revision(text: &str) -> Option<String> {
    /// Other keys may stand in the file: notes of whoever deploys.
    #[derive(Deserialize)]
    struct Document {
        revision: String,
    }
    serde_json::from_str(text).ok().map(|document: Document| document.revision)
}

/// SHA-256 of a text, as 64 hexadecimal digits.
pub(crate) fn fingerprint(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(REVISION_FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > REVISION_FILE_MAX_BYTES {
        let problem = format!("over {REVISION_FILE_MAX_BYTES} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(text)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // Behind a symbolic link the file is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut beside = tempfile::NamedTempFile::new_in(directory)?;
    beside.write_all(text.as_bytes())?;
    // The service may run as another user than this process.
    match fs::metadata(path) {
        Ok(old) => beside.as_file().set_permissions(old.permissions())?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => readable_by_all(beside.as_file())?,
        Err(e) => return Err(e),
    }
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    // The new text is in force from here on; an error would say that the old one still is.
    if let Err(error) = File::open(directory).and_then(|directory| directory.sync_all()) {
        tracing::warn!(file = %path.display(), %error, "may not survive a power cut");
    }
    Ok(())
}

#[cfg(unix)]
fn readable_by_all(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_: &File) -> io::Result<()> {
    Ok(())
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_text_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revision.json");
        let file = RevisionFile::new(path.clone());
        assert_eq!(file.read().await.unwrap(), None);
        for text in [document("v1"), "{ \"revision\": \"v2\" }".to_owned()] {
            file.replace(&text).await.unwrap();
            assert_eq!(file.read().await.unwrap(), Some(text));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn who_could_read_it_still_can_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("revision.json"), folder.path().join("link"));
        fs::write(&path, document("v1")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        symlink(&path, &link).unwrap();
        RevisionFile::new(link.clone()).replace(&document("v2")).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), document("v2"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o664);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[tokio::test]
    async fn what_cannot_be_read_or_written_says_where_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let failure = RevisionFile::new(folder.path().to_owned()).read().await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Unavailable);
        assert!(failure.message.contains(&folder.path().display().to_string()), "{failure}");
        let nowhere = RevisionFile::new(folder.path().join("no/such/revision.json"));
        let failure = nowhere.replace(&document("v1")).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Unavailable);
        assert!(failure.help.contains("write in its directory"), "{failure}");
    }

    #[tokio::test]
    async fn another_file_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revision.json");
        let file = RevisionFile::new(path.clone());
        for other in [vec![b' '; 5_000], vec![0xff, 0xfe]] {
            fs::write(&path, other).unwrap();
            assert_eq!(file.read().await.unwrap_err().class, ErrorClass::PreconditionFailed);
        }
    }

    #[test]
    fn the_revision_of_a_text() {
        assert_eq!(revision(&document("v2")).as_deref(), Some("v2"));
        assert_eq!(revision(r#"{"revision":"v2","by":"ops"}"#).as_deref(), Some("v2"));
        for text in ["", "{\"revi", "[]", r#"{"revision":2}"#] {
            assert_eq!(revision(text), None);
        }
    }
}
