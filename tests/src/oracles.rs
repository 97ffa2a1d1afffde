//! Material that others wrote and that tests are judged by. It is no part of the repository.

use std::{env, path::PathBuf};

/// A file or folder of the oracles, `secrets/cases.json`: in the folder that `DEADELUS_ORACLES`
/// names, or in `../shared/oracles` beside the checkout. None, and a word about it, where it is not.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub fn oracle(path: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/oracles");
    let folder = env::var_os("DEADELUS_ORACLES").map_or_else(|| beside.into(), PathBuf::from);
    let oracle = folder.join(path);
    if !oracle.exists() {
        eprintln!("SKIPPED: {} is not here; DEADELUS_ORACLES may name it", oracle.display());
        return None;
    }
    Some(oracle)
}
