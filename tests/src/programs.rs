//! The programs of the workspace, found beside the test that runs them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

const ADVICE: &str = "use tests/run, or first: cargo build --workspace --bins";

/// The path of `deadelus-db`, say, as this build made it.
///
/// # Panics
/// When it was not built, or is older than a source file that went into it: a test of yesterday's
/// program proves nothing.
pub fn program(name: &str) -> PathBuf {
    let path = folder().join(name);
    let built = modified(&path).unwrap_or_else(|| panic!("{name} is not built: {ADVICE}"));
    let newer = sources(&path).into_iter().find(|s| modified(s).is_some_and(|m| m > built));
    if let Some(source) = newer {
        panic!("{name} is older than {}: {ADVICE}", source.display());
    }
    path
}

/// `target/debug`; the test itself is in `target/debug/deps`.
fn folder() -> PathBuf {
    let test = env::current_exe().unwrap_or_default();
    test.ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}

/// Cargo lists what a program was made from beside it: `path: source source …`.
fn sources(program: &Path) -> Vec<PathBuf> {
    let list = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let Some((_, sources)) = list.split_once(": ") else { return vec![] };
    // A blank within a path is written with a backslash before it.
    let marked = sources.trim_end().replace("\\ ", "\0");
    marked.split(' ').map(|path| PathBuf::from(path.replace('\0', " "))).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}
