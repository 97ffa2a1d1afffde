//! A folder of a test's own, gone with it.

#![expect(clippy::expect_used, reason = "test support: a folder that cannot be used ends the test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// The folder.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// An empty one.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn empty() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Where something in it is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Puts a file there.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }
}
