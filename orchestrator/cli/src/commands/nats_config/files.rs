//! Writing what was decided. A secret is made once, readable by its owner alone, and replaced only
//! where a person has asked for that.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nkeys::KeyPair;
use serde::Serialize;

use crate::error::CliError;

/// Its owner reads and writes; nobody else does either.
const SECRET_MODE: u32 = 0o600;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kept {
    New,
    AsItWas,
    Replaced,
}

/// The public half of a role's key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) public: String,
    pub(super) kept: Kept,
}

/// The folder, made where it is missing, by its whole path: processes run elsewhere.
///
/// # Errors
/// When it cannot be made.
pub(super) fn folder(path: &Path) -> Result<PathBuf, CliError> {
    fs::create_dir_all(path).map_err(CliError::file("create", path))?;
    fs::canonicalize(path).map_err(CliError::file("find", path))
}

/// The whole path of a file that has to be there.
///
/// # Errors
/// When it is not.
pub(super) fn readable(path: &Path) -> Result<PathBuf, CliError> {
    let whole = fs::canonicalize(path).map_err(CliError::file("read", path))?;
    fs::File::open(&whole).map_err(CliError::file("read", path))?;
    Ok(whole)
}

/// The role's key: the one that is there, unless it is to be another.
///
/// # Errors
/// When it cannot be written, or what is there is no key.
pub(super) fn key(path: &Path, rotate: bool) -> Result<Key, CliError> {
    match (fs::read_to_string(path), rotate) {
        (Ok(seed), false) => {
            let pair = KeyPair::from_seed(seed.trim()).map_err(|_| CliError::Damaged {
                path: path.to_owned(),
                problem: "no NKey seed".to_owned(),
            })?;
            Ok(Key { public: pair.public_key(), kept: Kept::AsItWas })
        }
        (Ok(_), true) => made(path, Kept::Replaced),
        (Err(e), _) if e.kind() == io::ErrorKind::NotFound => made(path, Kept::New),
        (Err(e), _) => Err(CliError::file("read", path)(e)),
    }
}

fn made(path: &Path, kept: Kept) -> Result<Key, CliError> {
    let pair = KeyPair::new_user();
    let seed = pair.seed().map_err(|e| CliError::file("make", path)(io::Error::other(e)))?;
    let written = match kept {
        Kept::New => write(path, &seed, SECRET_MODE),
        Kept::Replaced | Kept::AsItWas => renamed(path, &seed, SECRET_MODE),
    };
    written.map_err(CliError::file("write", path))?;
    Ok(Key { public: pair.public_key(), kept })
}

/// Writes a file that people add to afterwards; one that is there stays.
///
/// # Errors
/// When it cannot be written.
pub(super) fn once(path: &Path, text: &str) -> Result<Kept, CliError> {
    match write(path, text, 0o644) {
        Ok(()) => Ok(Kept::New),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Kept::AsItWas),
        Err(e) => Err(CliError::file("write", path)(e)),
    }
}

/// Puts a file in place of the one that may be there: whole or not at all.
///
/// # Errors
/// When it cannot be written; what was there still is.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    renamed(path, text, 0o644).map_err(CliError::file("write", path))
}

fn renamed(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    write(&beside, text, mode)?;
    fs::rename(&beside, path)
}

/// A file that must not be there yet.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_replaced_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.nk");
        let first = key(&path, false).unwrap();
        assert_eq!(first.kept, Kept::New);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        let again = key(&path, false).unwrap();
        assert_eq!((again.public.as_str(), again.kept), (first.public.as_str(), Kept::AsItWas));
        let other = key(&path, true).unwrap();
        assert_eq!((other.kept, mode()), (Kept::Replaced, 0o600));
        assert_ne!(other.public, first.public);
        assert_eq!(key(&path, false).unwrap().public, other.public);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_key_is_neither_used_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.nk");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(key(&path, false), Err(CliError::Damaged { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_configuration_that_a_person_has_changed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.toml");
        assert_eq!(once(&path, "made").unwrap(), Kept::New);
        fs::write(&path, "changed").unwrap();
        assert_eq!(once(&path, "made").unwrap(), Kept::AsItWas);
        assert_eq!(fs::read_to_string(&path).unwrap(), "changed");
    }
}
