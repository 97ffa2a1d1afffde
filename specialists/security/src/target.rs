//! What an operator configures about a system whose safety is looked at. Everything that is read,
//! asked or written is named here; a task can only choose among it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use deadelus_runtime::{ErrorClass, Failure, TargetName};
use hyper::{Uri, http::uri::Authority};
use serde::{Deserialize, Serialize};

/// A system that may be looked at. Unknown keys are errors.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecurityTarget {
    /// Folders that may be read, by the name that tasks use: `source`. Absolute.
    pub roots: BTreeMap<String, PathBuf>,
    /// Where accepted findings are written down, one JSON object a line. Absolute. This process
    /// writes it only for `security.waive` and its undo.
    pub waivers: Option<PathBuf>,
    /// The live service, for `security.check_http`.
    pub http: Option<HttpTarget>,
    /// What is known about packages, for `security.scan_dependencies`.
    pub advisories: Option<AdvisoryFolder>,
}

/// A checkout of the RustSec advisory database, or a folder of OSV documents.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoryFolder {
    /// Absolute. Somebody else keeps it up to date.
    pub folder: PathBuf,
    /// How many days ago its newest advisory may be; older data tells nothing about today.
    #[serde(default = "default_max_age_days")]
    pub max_age_days: u32,
}

/// New advisories come every week; two months without one is a folder that nobody updates.
fn default_max_age_days() -> u32 {
    60
}

/// The one address that is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTarget {
    /// `http://host:port`
    pub base_url: String,
    /// Whether clients reach the service over TLS, perhaps through a proxy: then cookies must be
    /// `Secure`, and browsers told to stay with TLS.
    #[serde(default = "default_behind_tls")]
    pub behind_tls: bool,
    /// Whether this address exists only to send clients on to `https://`.
    #[serde(default)]
    pub redirects_to_tls: bool,
    /// For one answer, in milliseconds; 1 to 30,000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

/// Whoever serves in the clear says so.
fn default_behind_tls() -> bool {
    true
}

/// A page that takes longer is a matter of performance.
fn default_timeout_ms() -> u64 {
    5_000
}

/// Several hundred answers have to fit into one task.
const TIMEOUT_MAX_MS: u64 = 30_000;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// What a relative path is relative to would be an accident.
    #[error("{target}: {key}: {path} is not an absolute path")]
    Relative {
        /// Whose configuration.
        target: TargetName,
        /// The key it stands under.
        key: String,
        /// What stands there.
        path: String,
    },
    /// Another scheme, a user in the address, a path behind it.
    #[error("{target}: http.base_url: {url} is not http://host:port")]
    Address {
        /// Whose configuration.
        target: TargetName,
        /// What stands there.
        url: String,
    },
    /// A wait that is none or too long.
    #[error("{target}: http.timeout_ms: {timeout_ms} is not between 1 and {TIMEOUT_MAX_MS}")]
    Timeout {
        /// Whose configuration.
        target: TargetName,
        /// What stands there.
        timeout_ms: u64,
    },
}

/// All systems of this process, shared by its capabilities.
pub(crate) type Targets = deadelus_runtime::Targets<SecurityTarget>;

/// # Errors
/// When a configuration cannot be honoured.
pub(crate) fn checked(
    targets: BTreeMap<TargetName, SecurityTarget>,
) -> Result<Targets, TargetError> {
    for (name, target) in &targets {
        if let Some(http) = &target.http {
            http.checked(name)?;
        }
        let roots = target.roots.iter().map(|(root, path)| (format!("roots.{root}"), path));
        let waivers = target.waivers.iter().map(|path| ("waivers".to_owned(), path));
        let known = target.advisories.iter();
        let known = known.map(|known| ("advisories.folder".to_owned(), &known.folder));
        for (key, path) in roots.chain(waivers).chain(known) {
            if !path.is_absolute() {
                let path = path.display().to_string();
                return Err(TargetError::Relative { target: name.clone(), key, path });
            }
        }
    }
    Ok(Targets::new(targets))
}

impl SecurityTarget {
    /// What plans may know of it.
    pub(crate) fn facts(&self) -> BTreeMap<String, String> {
        let roots: Vec<&str> = self.roots.keys().map(String::as_str).collect();
        [("roots".to_owned(), roots.join(" "))].into()
    }

    /// The file of waivers.
    pub(crate) fn waivers(&self) -> Result<&Path, Failure> {
        self.waivers.as_deref().ok_or_else(|| {
            let text = "no file of waivers is configured for this target";
            Failure::new(ErrorClass::Unsupported, text)
                .help("name one as `waivers`, in the security specialist's configuration")
        })
    }

    /// Where advisories are: without any, nothing can be said.
    pub(crate) fn advisories(&self) -> Result<&AdvisoryFolder, Failure> {
        self.advisories.as_ref().ok_or_else(|| {
            let text = "no advisory data is configured for this target";
            Failure::new(ErrorClass::Unavailable, text).help(
                "name a folder as `advisories.folder`, in the security specialist's configuration",
            )
        })
    }

    /// The live service.
    pub(crate) fn http(&self) -> Result<&HttpTarget, Failure> {
        self.http.as_ref().ok_or_else(|| {
            let text = "no address is configured for this target";
            Failure::new(ErrorClass::Unsupported, text)
                .help("name it as `http.base_url`, in the security specialist's configuration")
        })
    }

    /// The folder of a name; without a name the only one there is.
    pub(crate) fn root(&self, name: Option<&str>) -> Result<&Path, Failure> {
        let found = match name {
            Some(name) => self.roots.get(name),
            None if self.roots.len() == 1 => self.roots.values().next(),
            None => None,
        };
        found.map(PathBuf::as_path).ok_or_else(|| {
            let known: Vec<&str> = self.roots.keys().map(String::as_str).collect();
            let text = match name {
                Some(name) => format!("root: {name:?} is not configured; there is {known:?}"),
                None => format!("root: say which one of {known:?}"),
            };
            Failure::new(ErrorClass::InvalidInput, text)
                .help("roots are configured with the target, in the security specialist")
        })
    }
}

impl HttpTarget {
    fn checked(&self, target: &TargetName) -> Result<(), TargetError> {
        if self.authority().is_none() {
            return Err(TargetError::Address {
                target: target.clone(),
                url: self.base_url.clone(),
            });
        }
        if !(1..=TIMEOUT_MAX_MS).contains(&self.timeout_ms) {
            let (target, timeout_ms) = (target.clone(), self.timeout_ms);
            return Err(TargetError::Timeout { target, timeout_ms });
        }
        Ok(())
    }

    /// Host and port; checked when the process begins.
    pub(crate) fn authority(&self) -> Option<Authority> {
        let uri: Uri = self.base_url.parse().ok()?;
        let bare = uri.path() == "/" && uri.query().is_none();
        let plain = uri.scheme_str() == Some("http") && bare;
        uri.into_parts().authority.filter(|a| plain && !a.as_str().contains('@'))
    }

    /// For one answer.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_relative_paths_are_errors() {
        assert!(serde_json::from_str::<SecurityTarget>(r#"{"root": {"a": "/a"}}"#).is_err());
        let target = SecurityTarget { waivers: Some("a".into()), ..SecurityTarget::default() };
        let error = checked([("shop".parse().unwrap(), target)].into()).unwrap_err();
        assert_eq!(error.to_string(), "shop: waivers: a is not an absolute path");
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let of = |url: &str| HttpTarget {
            base_url: url.to_owned(),
            behind_tls: true,
            redirects_to_tls: false,
            timeout_ms: 1,
        };
        assert!(of("http://127.0.0.1:80").authority().is_some());
        for url in ["https://a", "a:80", "http://u:p@a", "http://a/b", "http://a?b", "http:///", ""]
        {
            assert_eq!(of(url).authority(), None, "{url}");
        }
        let target = SecurityTarget {
            http: Some(HttpTarget { timeout_ms: 0, ..of("http://a") }),
            ..SecurityTarget::default()
        };
        let error = checked([("shop".parse().unwrap(), target)].into()).unwrap_err();
        assert!(error.to_string().contains("timeout_ms: 0"), "{error}");
    }

    #[test]
    fn the_only_root_needs_no_name() {
        let mut target = SecurityTarget::default();
        assert!(target.root(None).is_err());
        target.roots.insert("a".to_owned(), "/a".into());
        assert_eq!(target.root(None).unwrap(), Path::new("/a"));
        target.roots.insert("b".to_owned(), "/b".into());
        assert!(target.root(None).unwrap_err().message.contains(r#"["a", "b"]"#));
        assert!(target.root(Some("c")).is_err());
    }
}
