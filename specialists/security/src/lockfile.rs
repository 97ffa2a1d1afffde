//! `Cargo.lock`: what is built, exactly. Pure but for finding the file.

use std::path::Path;

use deadelus_runtime::{ErrorClass, Failure};
use semver::Version;
use serde::Deserialize;

use crate::files;

/// The name of the file, where a task names none.
pub(crate) const LOCKFILE: &str = "Cargo.lock";

/// One package of a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: Version,
    /// `registry+https://…`, `git+https://…`; none for what lies in the workspace itself.
    pub(crate) source: Option<String>,
    /// SHA-256 of the archive, for what comes from a registry.
    pub(crate) checksum: Option<String>,
    /// `name`, or `name version` where there are several.
    #[serde(default)]
    pub(crate) dependencies: Vec<String>,
}

impl Package {
    /// Whether advisories of the ecosystem are about it: names elsewhere mean something else.
    pub(crate) fn is_from_registry(&self) -> bool {
        self.source
            .as_deref()
            .is_some_and(|source| source.starts_with("registry+") || source.starts_with("sparse+"))
    }

    /// `pkg:cargo/serde@1.0.0`
    pub(crate) fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version.to_string().replace('+', "%2B"))
    }
}

/// Every package of a lock file in a root.
///
/// # Errors
/// `invalid_input` when it is not there or is no lock file, `denied` outside of the root.
pub(crate) fn read(root: &Path, path: &str) -> Result<Vec<Package>, Failure> {
    files::inside(root, path)?;
    let unreadable = |reason: String| {
        Failure::new(ErrorClass::InvalidInput, format!("{path}: {reason}"))
            .help("name a Cargo.lock of version 3 or 4")
    };
    let bytes = files::read(root, path).map_err(|skipped| unreadable(skipped.reason))?;
    let text = String::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))?;
    parse(&text).map_err(|e| unreadable(format!("no lock file: {}", e.message())))
}

fn parse(text: &str) -> Result<Vec<Package>, toml::de::Error> {
    /// Other keys belong to cargo.
    #[derive(Deserialize)]
    struct File {
        package: Vec<Package>,
    }
    toml::from_str(text).map(|File { package }| package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_of_this_workspace_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let packages = read(&root, LOCKFILE).unwrap();
        let ours = packages.iter().find(|p| p.name == "deadelus-security").unwrap();
        assert!(!ours.is_from_registry() && ours.dependencies.contains(&"semver".to_owned()));
        let semver = packages.iter().find(|p| p.name == "semver").unwrap();
        assert!(semver.is_from_registry() && semver.checksum.is_some());
        assert!(semver.purl().starts_with("pkg:cargo/semver@1."));
    }

    #[test]
    fn what_is_no_lock_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(LOCKFILE), "[[package]]\nname = 1\n").unwrap();
        for path in [LOCKFILE, "missing"] {
            assert_eq!(read(folder.path(), path).unwrap_err().class, ErrorClass::InvalidInput);
        }
        assert_eq!(read(folder.path(), "../a").unwrap_err().class, ErrorClass::Denied);
    }
}
