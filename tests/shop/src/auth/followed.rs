//! A small file that somebody else replaces: read for each request, parsed when it has changed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Ten thousand policies are about as long; what is longer is another file.
const FOLLOWED_MAX_BYTES: u64 = 4 << 20;

/// What a file says now.
pub(crate) struct Followed<T> {
    path: PathBuf,
    parse: fn(&str) -> Result<T, String>,
    last: Mutex<Option<(String, Arc<T>)>>,
}

impl<T> Followed<T> {
    pub(crate) fn new(path: PathBuf, parse: fn(&str) -> Result<T, String>) -> Self {
        Self { path, parse, last: Mutex::new(None) }
    }

    /// What it says to a request that begins now. What was good once does not count any more: a
    /// file that was taken away is meant to be gone.
    pub(crate) fn now(&self) -> Result<Arc<T>, String> {
        let text = self.text().map_err(|e| format!("{}: {e}", self.path.display()))?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, value)) = &*last
            && *known == text
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new((self.parse)(&text)?);
        *last = Some((text, Arc::clone(&value)));
        Ok(value)
    }

    fn text(&self) -> io::Result<String> {
        let mut text = String::new();
        let limit = FOLLOWED_MAX_BYTES + 1;
        File::open(&self.path)?.take(limit).read_to_string(&mut text)?;
        if text.len() as u64 > FOLLOWED_MAX_BYTES {
            return Err(io::Error::other(format!("more than {FOLLOWED_MAX_BYTES} bytes")));
        }
        Ok(text)
    }
}

impl<T> fmt::Debug for Followed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_away_or_is_broken_does_not_count_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let followed =
            Followed::new(path.clone(), |text| text.parse::<u8>().map_err(|e| e.to_string()));
        assert!(followed.now().unwrap_err().contains("number"));
        for (text, number) in [("7", Some(7)), ("8", Some(8)), ("x", None), ("8", Some(8))] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(followed.now().ok().map(|n| *n), number, "{text}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(followed.now().is_err());
    }
}
