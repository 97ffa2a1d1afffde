//! The folder that `deadelus up` works in: configuration, data, logs, and who runs.
//!
//! Everything that stands in it is spelled here. It holds credentials of targets, so it is for its
//! owner only.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{error::CliError, supervise::process::Identity};

/// A folder of the owner's alone.
const PRIVATE_MODE: u32 = 0o700;

/// A state folder; it may not exist yet.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    path: PathBuf,
}

/// Who was started, as `run/NAME.json` holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// `db-2`
    pub(crate) name: String,
    /// With what.
    pub(crate) program: PathBuf,
    /// Which process, so that a recycled number is never taken for it.
    pub(crate) identity: Identity,
}

/// Held while processes are started or stopped: two at a time would start everything twice.
#[derive(Debug)]
pub(crate) struct Guard {
    _lock: File,
}

impl Home {
    /// The folder, as an absolute path: what is started must not depend on where we stand.
    ///
    /// # Errors
    /// When the working directory is gone.
    pub(crate) fn at(path: &Path) -> Result<Self, CliError> {
        let path = std::path::absolute(path).map_err(CliError::file("find", path))?;
        Ok(Self { path })
    }

    /// Makes the folder and those in it.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn create(&self) -> Result<(), CliError> {
        for folder in [self.path.clone(), self.run(), self.logs(), self.nats_data()] {
            DirBuilder::new()
                .recursive(true)
                .mode(PRIVATE_MODE)
                .create(&folder)
                .map_err(CliError::file("create", &folder))?;
        }
        Ok(())
    }

    /// Keeps others from starting and stopping here until it is dropped.
    ///
    /// # Errors
    /// [`CliError::Busy`] when somebody is at it.
    pub(crate) fn lock(&self) -> Result<Guard, CliError> {
        let path = self.run().join("lock");
        let lock = File::create(&path).map_err(CliError::file("create", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Guard { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(CliError::Busy(self.path.clone())),
            Err(TryLockError::Error(e)) => Err(CliError::file("lock", path)(e)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Configuration of a process, the person's to edit: `db.toml`.
    pub(crate) fn config(&self, process: &str) -> PathBuf {
        self.path.join(format!("{process}.toml"))
    }

    pub(crate) fn nats_conf(&self) -> PathBuf {
        self.path.join("nats.conf")
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Where the mesh of this folder is.
    ///
    /// # Errors
    /// [`CliError::File`] when it is recorded and cannot be read.
    pub(crate) fn url(&self) -> Result<Option<String>, CliError> {
        let path = self.url_file();
        match fs::read_to_string(&path) {
            Ok(url) => Ok(Some(url.trim().to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(CliError::file("read", path)(e)),
        }
    }

    /// Records where the mesh of this folder is.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn set_url(&self, url: &str) -> Result<(), CliError> {
        write_whole(&self.url_file(), format!("{url}\n").as_bytes())
    }

    /// Everybody who was started here and not stopped, by name.
    ///
    /// # Errors
    /// [`CliError::File`] or [`CliError::Damaged`].
    pub(crate) fn started(&self) -> Result<Vec<Started>, CliError> {
        let run = self.run();
        let entries = match fs::read_dir(&run) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(CliError::file("read", run)(e)),
        };
        let mut all = vec![];
        for entry in entries {
            let path = entry.map_err(CliError::file("read", &run))?.path();
            if path.extension().is_some_and(|e| e == "json") {
                let text = fs::read(&path).map_err(CliError::file("read", &path))?;
                let started = serde_json::from_slice(&text)
                    .map_err(|e| CliError::Damaged { path, problem: e.to_string() })?;
                all.push(started);
            }
        }
        all.sort_by(|a: &Started, b: &Started| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Remembers who was started.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn remember(&self, started: &Started) -> Result<(), CliError> {
        let text = serde_json::to_vec(started).unwrap_or_default();
        write_whole(&self.record(&started.name), &text)
    }

    /// Whether the configuration of a kind was edited after the process of this name was started.
    pub(crate) fn is_edited_since(&self, kind: &str, name: &str) -> bool {
        let modified = |path: PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
        modified(self.config(kind)) > modified(self.record(name))
    }

    /// Forgets who was stopped.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn forget(&self, name: &str) -> Result<(), CliError> {
        remove_file(&self.record(name))
    }

    /// Removes what was made here, except what a person may have edited.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn purge(&self) -> Result<(), CliError> {
        for folder in [self.run(), self.logs(), self.nats_data()] {
            match fs::remove_dir_all(&folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(CliError::file("remove", folder)(e));
                }
                Ok(()) | Err(_) => {}
            }
        }
        remove_file(&self.url_file())
    }

    pub(crate) fn nats_data(&self) -> PathBuf {
        self.path.join("nats")
    }

    fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    fn record(&self, name: &str) -> PathBuf {
        self.run().join(format!("{name}.json"))
    }

    fn url_file(&self) -> PathBuf {
        self.path.join("nats.url")
    }
}

/// Writes a file unless it is there.
///
/// # Errors
/// [`CliError::File`].
pub(crate) fn write_once(path: &Path, text: &str) -> Result<(), CliError> {
    match File::create_new(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map_err(CliError::file("write", path)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(CliError::file("create", path)(e)),
    }
}

/// In one step: nobody ever reads half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let part = path.with_extension("part");
    fs::write(&part, bytes).map_err(CliError::file("write", &part))?;
    fs::rename(&part, path).map_err(CliError::file("write", path))
}

fn remove_file(path: &Path) -> Result<(), CliError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(CliError::file("remove", path)(e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("home")).unwrap();
        home.create().unwrap();
        (folder, home)
    }

    #[test]
    fn it_is_for_its_owner_only() {
        let (_folder, home) = home();
        let mode = fs::metadata(home.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, PRIVATE_MODE);
    }

    #[test]
    fn purging_keeps_what_a_person_wrote() {
        let (_folder, home) = home();
        write_once(&home.config("db"), "# mine").unwrap();
        write_once(&home.config("db"), "# not mine").unwrap();
        home.set_url("nats://127.0.0.1:1").unwrap();
        home.purge().unwrap();
        assert_eq!(fs::read_to_string(home.config("db")).unwrap(), "# mine");
        assert_eq!(home.url().unwrap(), None);
        assert!(home.started().unwrap().is_empty());
    }

    #[test]
    fn one_at_a_time() {
        let (_folder, home) = home();
        let guard = home.lock().unwrap();
        assert!(matches!(home.lock(), Err(CliError::Busy(_))));
        drop(guard);
        assert!(home.lock().is_ok());
    }
}
