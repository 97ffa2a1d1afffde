//! A file that somebody else reads while it changes: it is replaced whole, or not at all.
//!
//! A reader sees the old content or the new one, never a part, also after a power cut: the new
//! content is written beside the file, brought to the disk, and renamed over it; then the folder is
//! brought to the disk. These functions block: call them beside the async threads. They never
//! decide what stands in the file, and never wait for one another: whoever changes one file from
//! several places holds a lock of his own.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use tempfile::NamedTempFile;

/// Puts this content in the place of a file, or makes the file; its folder has to be there.
///
/// Behind a symbolic link the file is replaced, not the link. A file keeps its permissions; a new
/// one is readable by all, because whoever follows it may be another user than this process.
///
/// # Errors
/// When it cannot be written; the old content is then still in force.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(path);
    let mut beside = NamedTempFile::new_in(folder)?;
    beside.write_all(content)?;
    match fs::metadata(path) {
        Ok(old) => beside.as_file().set_permissions(old.permissions())?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => readable_by_all(beside.as_file())?,
        Err(e) => return Err(e),
    }
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    settle(folder);
    Ok(())
}

/// Removes a file. That it is not there is no trouble.
///
/// # Errors
/// When it cannot be removed; it is then still there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => settle(folder_of(path)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    Ok(())
}

/// Makes a folder and those above it, so that what is put into it is found after a power cut.
///
/// # Errors
/// When one cannot be made; those above it may be there.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    if above != folder {
        create_folder(above)?;
    }
    match fs::create_dir(folder) {
        // Somebody else was faster.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    settle(above);
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        None => Path::new("/"),
        Some(here) if here.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    }
}

/// What was done is in force already; an error here would say that it is not.
fn settle(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        tracing::warn!(folder = %folder.display(), %error, "may not survive a power cut");
    }
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

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn content_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for content in ["a longer one", "short", ""] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn who_reads_meanwhile_sees_one_content_or_the_other() {
        const BYTES: usize = 100_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, &[b'a'; BYTES]).unwrap();
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            let reader = threads.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let seen = fs::read(&path).unwrap();
                    assert!(seen.len() == BYTES && seen.iter().all(|byte| *byte == seen[0]));
                }
            });
            for byte in (b'a'..=b'z').cycle().take(100) {
                replace(&path, &[byte; BYTES]).unwrap();
            }
            over.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        });
    }

    #[cfg(unix)]
    #[test]
    fn who_could_read_it_still_can_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        replace(&path, b"old").unwrap();
        assert_eq!(mode(&path), 0o644);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        symlink(&path, &link).unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o660);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn what_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, nowhere) = (folder.path().join("file"), folder.path().join("no/file"));
        assert_eq!(replace(&nowhere, b"new").unwrap_err().kind(), io::ErrorKind::NotFound);
        // A folder of that name cannot be replaced by a file.
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "old").unwrap();
        assert!(replace(&path, b"new").is_err() && remove(&path).is_err());
        assert_eq!(fs::read_to_string(path.join("inside")).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn removing_and_making_a_folder_can_be_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        let path = deep.join("file");
        for _ in 0..2 {
            create_folder(&deep).unwrap();
            replace(&path, b"content").unwrap();
        }
        for _ in 0..2 {
            remove(&path).unwrap();
            assert!(!path.exists());
        }
        replace(&path, b"a file").unwrap();
        assert!(create_folder(&path.join("under it")).is_err());
    }
}
