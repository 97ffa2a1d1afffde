//! The file a service follows: read whole, replaced whole.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use deadelus_runtime::{ErrorClass, Failure, blocking, file};
use serde::Deserialize;

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
        match blocking(move || read(&path)).await {
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
        blocking(move || file::replace(&path, text.as_bytes()))
            .await
            .map_err(|e| self.unavailable("cannot replace", &e))
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
    deadelus_runtime::sha256(text.as_bytes()).to_string()
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

#[cfg(test)]
mod tests {
    use std::fs;

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
