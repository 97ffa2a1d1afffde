//! What is written down about one process, so that whoever comes next finds it again.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use deadelus_runtime::file;
use serde::{Deserialize, Serialize};

use super::identity::Leader;

/// One instance of a revision: which, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instance {
    /// `v2-0`: the revision and the number among its replicas.
    pub(crate) name: String,
    /// Where it was told to listen.
    pub(crate) address: SocketAddr,
}

/// The note that the holder of a process writes: before it starts it, and when it has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    pub(crate) instance: Instance,
    pub(crate) leader: Leader,
    /// How it ended, in the system's words; none as long as nobody saw an end.
    pub(crate) ended: Option<String>,
}

/// The files of one instance, all in the target's folder.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) note: PathBuf,
    /// Held locked by the holder as long as it lives: there is never a second one.
    pub(crate) lock: PathBuf,
    pub(crate) log: PathBuf,
    /// The older half of the log.
    pub(crate) log_before: PathBuf,
}

impl Files {
    pub(crate) fn of(folder: &Path, name: &str) -> Self {
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        Self { note: file("json"), lock: file("lock"), log: file("log"), log_before: file("log.1") }
    }

    /// Forgets the instance. That something is not there is no trouble.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for file in [&self.note, &self.log, &self.log_before, &self.lock] {
            match fs::remove_file(file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Note {
    /// The old note or the new one, never a part.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        file::replace(path, &serde_json::to_vec(self)?)
    }

    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}
