//! The file of accepted findings: read whole, replaced whole.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use deadelus_runtime::{ErrorClass, Failure};

use crate::waivers::{self, Lines};

/// Thousands of accepted findings are a decision that a person has to make anew.
const WAIVERS_MAX_BYTES: u64 = 4 << 20;

/// What is in the file; nothing where there is no file.
///
/// # Errors
/// `precondition_failed` when a line of it is no waiver, `unavailable` when it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Lines, Failure> {
    let told = |class, what: String| {
        Failure::new(class, format!("waivers {}: {what}", path.display()))
            .help("each line is {\"fingerprint\", \"reason\", \"by\", \"until\": \"2026-01-31\"}")
    };
    let size = match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Lines::default()),
        Err(e) => return Err(told(ErrorClass::Unavailable, e.to_string())),
        Ok(metadata) => metadata.len(),
    };
    if size > WAIVERS_MAX_BYTES {
        let text = format!("{size} bytes, at most {WAIVERS_MAX_BYTES}");
        return Err(told(ErrorClass::PreconditionFailed, text));
    }
    let text =
        fs::read_to_string(path).map_err(|e| told(ErrorClass::Unavailable, e.to_string()))?;
    waivers::parse(&text).map_err(|e| told(ErrorClass::PreconditionFailed, e.to_string()))?;
    Ok(Lines::new(&text))
}

/// Puts these lines in its place, in one step; with no line there is no file.
///
/// # Errors
/// `unavailable`: nothing was changed.
pub(crate) fn replace(path: &Path, lines: &Lines) -> Result<(), Failure> {
    put(path, &lines.text()).map_err(|e| {
        let text = format!("waivers {}: {e}", path.display());
        Failure::new(ErrorClass::Unavailable, text)
            .help("this process needs to write in the folder of the file")
    })
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
    }
    // Behind a symbolic link the file is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    match fs::metadata(path) {
        Ok(old) => beside.as_file().set_permissions(old.permissions())?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => readable_by_all(beside.as_file())?,
        Err(e) => return Err(e),
    }
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    // It is in force from here on; an error would say that the old one still is.
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
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
