//! The file of accepted findings: read whole, replaced whole.

use std::{fs, io, path::Path};

use deadelus_runtime::{ErrorClass, Failure, file};

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
    let text = lines.text();
    let put =
        if text.is_empty() { file::remove(path) } else { file::replace(path, text.as_bytes()) };
    put.map_err(|e| {
        let text = format!("waivers {}: {e}", path.display());
        Failure::new(ErrorClass::Unavailable, text)
            .help("this process needs to write in the folder of the file")
    })
}
