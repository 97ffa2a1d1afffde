//! Which files of a root are read, and reading them. Nothing outside of the root is ever opened:
//! symbolic links are not followed.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use deadelus_runtime::{ErrorClass, Failure};
use ignore::WalkBuilder;
use schemars::JsonSchema;
use serde::Serialize;

/// Files of one scan; a larger tree is scanned in parts.
const FILES_MAX: usize = 500_000;
/// Of one file: larger ones are data and not sources, and memory is bounded by it.
const FILE_MAX_BYTES: u64 = 64 << 20;
/// What is looked at to tell text from anything else.
const SNIFFED_BYTES: usize = 8 << 10;

/// A file that is not read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Skipped {
    /// In the root, with `/`.
    pub path: String,
    /// `a symbolic link`
    pub reason: String,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In the root, with `/`, in order.
    pub(crate) files: Vec<String>,
    pub(crate) skipped: Vec<Skipped>,
}

/// The files under these paths of a root; of the whole root when there are none. What git ignores
/// is left out unless asked for.
pub(crate) fn list(root: &Path, paths: &[String], ignored: bool) -> Result<Listing, Failure> {
    let root = fs::canonicalize(root).map_err(|e| unreadable(root, &e))?;
    let mut listing = Listing::default();
    let whole = [String::new()];
    for path in if paths.is_empty() { &whole } else { paths } {
        let start = inside(&root, path)?;
        walk(&root, &start, ignored, &mut listing)?;
    }
    listing.files.sort_unstable();
    listing.files.dedup();
    Ok(listing)
}

/// A file's bytes; or why it is passed over.
pub(crate) fn read(root: &Path, path: &str) -> Result<Vec<u8>, Skipped> {
    let skipped = |reason: String| Skipped { path: path.to_owned(), reason };
    let full = root.join(path);
    let size = fs::symlink_metadata(&full).map_err(|e| skipped(e.to_string()))?.len();
    if size > FILE_MAX_BYTES {
        return Err(skipped(format!("{size} bytes, more than {FILE_MAX_BYTES}")));
    }
    let bytes = fs::read(&full).map_err(|e| skipped(e.to_string()))?;
    if bytes.iter().take(SNIFFED_BYTES).any(|byte| *byte == 0) {
        return Err(skipped("not text".to_owned()));
    }
    Ok(bytes)
}

/// The place of a path in a root, which it must not leave.
pub(crate) fn inside(root: &Path, path: &str) -> Result<PathBuf, Failure> {
    let relative = Path::new(path);
    let leaves =
        relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
    if leaves {
        let text = format!("path {path:?} leaves its root");
        return Err(Failure::new(ErrorClass::Denied, text).help("use a path inside of the root"));
    }
    let full = root.join(relative);
    let real = fs::canonicalize(&full).map_err(|e| {
        let text = format!("path {path:?}: {e}");
        Failure::new(ErrorClass::InvalidInput, text).help("paths are relative to the root")
    })?;
    let root = fs::canonicalize(root).map_err(|e| unreadable(root, &e))?;
    if !real.starts_with(&root) {
        let text = format!("path {path:?} leads out of its root through a symbolic link");
        return Err(Failure::new(ErrorClass::Denied, text)
            .help("configure the folder it leads to as a root of its own"));
    }
    Ok(real)
}

fn walk(root: &Path, start: &Path, ignored: bool, into: &mut Listing) -> Result<(), Failure> {
    let walk = WalkBuilder::new(start)
        .standard_filters(false)
        .git_ignore(!ignored)
        .git_exclude(!ignored)
        .parents(!ignored)
        .require_git(false)
        .follow_links(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                into.skipped.push(Skipped { path: String::new(), reason: error.to_string() });
                continue;
            }
        };
        let path = relative(root, entry.path());
        match entry.file_type() {
            Some(kind) if kind.is_file() => into.files.push(path),
            Some(kind) if kind.is_symlink() => {
                into.skipped.push(Skipped { path, reason: "a symbolic link".to_owned() });
            }
            Some(_) | None => {}
        }
        if into.files.len() > FILES_MAX {
            let text = format!("more than {FILES_MAX} files");
            return Err(Failure::new(ErrorClass::InvalidInput, text)
                .help("name the folders to look at in `paths`"));
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    inside.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}

fn unreadable(root: &Path, error: &io::Error) -> Failure {
    let text = format!("root {}: {error}", root.display());
    Failure::new(ErrorClass::Unavailable, text)
        .help("this process needs to read the folder; see its configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn what_git_ignores_is_left_out_unless_asked_for() {
        let files: &[(&str, &[u8])] =
            &[(".gitignore", b"out/\n"), ("out/a", b""), ("src/.b", b""), (".git/c", b"")];
        let folder = tree(files);
        let listing = list(folder.path(), &[], false).unwrap();
        assert_eq!(listing.files, [".gitignore", "src/.b"]);
        let listing = list(folder.path(), &[], true).unwrap();
        assert_eq!(listing.files, [".gitignore", "out/a", "src/.b"]);
        let twice = ["src".to_owned(), "src/.b".to_owned()];
        assert_eq!(list(folder.path(), &twice, false).unwrap().files, ["src/.b"]);
    }

    #[test]
    fn nothing_outside_of_the_root() {
        let folder = tree(&[("in/a", b""), ("out/b", b"")]);
        let root = folder.path().join("in");
        for path in ["../out", "/etc", "a/../../out"] {
            let failure = list(&root, &[path.to_owned()], false).unwrap_err();
            assert_eq!(failure.class, ErrorClass::Denied, "{path}");
        }
        let missing = list(&root, &["no".to_owned()], false).unwrap_err();
        assert_eq!(missing.class, ErrorClass::InvalidInput);
        let gone = list(&root.join("no"), &[], false).unwrap_err();
        assert_eq!(gone.class, ErrorClass::Unavailable);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let folder = tree(&[("in/a", b""), ("out/b", b"")]);
        let root = folder.path().join("in");
        std::os::unix::fs::symlink(folder.path().join("out"), root.join("link")).unwrap();
        let listing = list(&root, &[], false).unwrap();
        assert_eq!(listing.files, ["a"]);
        assert_eq!(listing.skipped[0].path, "link");
        let failure = list(&root, &["link".to_owned()], false).unwrap_err();
        assert_eq!(failure.class, ErrorClass::Denied);
    }

    #[test]
    fn what_is_not_text_says_so() {
        let folder = tree(&[("a", b"text"), ("b", b"\x7fELF\0")]);
        assert_eq!(read(folder.path(), "a").unwrap(), b"text");
        assert_eq!(read(folder.path(), "b").unwrap_err().reason, "not text");
        assert!(read(folder.path(), "c").is_err());
    }
}
