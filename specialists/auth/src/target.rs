//! What an operator configures about a system's rights, checked once at the start.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use deadelus_runtime::{ErrorClass, Failure, InvalidTarget, Problem, Secret, TargetName};
use serde::{Deserialize, Serialize};

use crate::{
    probe::Client,
    served::{Kind, Served},
};

/// A system whose rights are looked after.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthTarget {
    /// The folder of its policies, schemas, entities and documents. Absolute. Tasks read no other
    /// file.
    pub folder: PathBuf,
    /// The file that services read their policies from. Absolute. This process writes it only for
    /// `auth.policy_publish` and its undo.
    #[serde(default)]
    pub policies: Option<PathBuf>,
    /// The set of public keys that services verify tokens with. Absolute. This process writes it
    /// only for `auth.keys_rotate` and its undo.
    #[serde(default)]
    pub keys: Option<PathBuf>,
    /// The live service, for `auth.probe`.
    #[serde(default)]
    pub probe: Option<ProbeTarget>,
}

/// A service that is tried, and the tokens to try it with. They are shown to nobody else.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeTarget {
    /// `http://127.0.0.1:8080`: on this machine; no other address is ever asked.
    pub base_url: String,
    /// A good token for each role.
    pub tokens: BTreeMap<String, Secret>,
    /// One that was good once; without it that is not measured.
    #[serde(default)]
    pub expired: Secret,
    /// One of the same issuer for another service; without it that is not measured.
    #[serde(default)]
    pub wrong_audience: Secret,
    /// For one answer, in milliseconds; 1 to 30,000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

/// A service that takes longer to refuse is a matter of performance.
fn default_timeout_ms() -> u64 {
    5_000
}

/// Several hundred answers have to fit into one task.
const TIMEOUT_MAX_MS: u64 = 30_000;

impl AuthTarget {
    fn check(self) -> Result<Self, Problem> {
        absolute("folder", &self.folder)?;
        for (setting, path) in [("policies", &self.policies), ("keys", &self.keys)] {
            if let Some(path) = path {
                absolute(setting, path)?;
            }
        }
        if let Some(probe) = &self.probe {
            probe.check()?;
        }
        Ok(self)
    }

    /// The live service.
    pub(crate) fn probe(&self) -> Result<&ProbeTarget, Failure> {
        self.probe.as_ref().ok_or_else(|| {
            let text = "no live service is configured for this target";
            Failure::new(ErrorClass::Unsupported, text)
                .help("describe it as `probe`, in the auth specialist's configuration")
        })
    }

    /// The file of this kind that services read.
    pub(crate) fn served(&self, kind: Kind) -> Result<Served, Failure> {
        let (path, setting) = match kind {
            Kind::Policies => (&self.policies, "policies"),
            Kind::Keys => (&self.keys, "keys"),
        };
        let path = path.clone().ok_or_else(|| {
            let text = format!("no file of {setting} is configured for this target");
            Failure::new(ErrorClass::Unsupported, text)
                .help(format!("name one as `{setting}`, in the auth specialist's configuration"))
        })?;
        Ok(Served { kind, path })
    }
}

impl ProbeTarget {
    fn check(&self) -> Result<(), Problem> {
        Client::acceptable(&self.base_url).map_err(|problem| ("probe.base_url", problem))?;
        if self.tokens.is_empty() || self.tokens.values().any(Secret::is_empty) {
            return Err(("probe.tokens", "name a role, each with its token".to_owned()));
        }
        if !(1..=TIMEOUT_MAX_MS).contains(&self.timeout_ms) {
            return Err(("probe.timeout_ms", format!("not between 1 and {TIMEOUT_MAX_MS}")));
        }
        Ok(())
    }
}

fn absolute(setting: &'static str, path: &Path) -> Result<(), Problem> {
    if path.is_absolute() {
        return Ok(());
    }
    Err((setting, format!("{} is not absolute", path.display())))
}

/// All systems of this process, shared by its capabilities.
pub(crate) type Targets = deadelus_runtime::Targets<AuthTarget>;

/// # Errors
/// The first system whose configuration cannot work.
pub(crate) fn checked(
    configured: BTreeMap<TargetName, AuthTarget>,
) -> Result<Targets, InvalidTarget> {
    Targets::check(configured, AuthTarget::check)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn target(config: Value) -> Result<Targets, InvalidTarget> {
        let config: AuthTarget = serde_json::from_value(config).unwrap();
        checked([("shop".parse().unwrap(), config)].into())
    }

    #[test]
    fn tokens_go_to_this_machine_alone_and_are_never_shown() {
        let probe = |url: &str, token: &str| json!({"folder": "/srv", "probe": {"base_url": url, "tokens": {"ann": token}}});
        let good: AuthTarget = serde_json::from_value(probe("http://[::1]:80", "s3cret")).unwrap();
        assert!(!format!("{good:?}{}", json!(good)).contains("s3cret"));
        for url in ["http://127.0.0.1:80", "http://localhost:80/", "http://[::1]:80"] {
            assert!(target(probe(url, "t")).is_ok(), "{url}");
        }
        for url in [
            "https://127.0.0.1",
            "http://shop.test",
            "http://10.0.0.1",
            "http://127.0.0.1/a",
            "http://a:b@127.0.0.1",
            "http://127.0.0.1.shop.test",
            "127.0.0.1:80",
            "",
        ] {
            assert_eq!(target(probe(url, "t")).unwrap_err().setting, "probe.base_url", "{url}");
        }
        let empty = target(probe("http://127.0.0.1", "")).unwrap_err();
        assert_eq!(empty.setting, "probe.tokens");
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(target(json!({"folder": "/srv/shop"})).is_ok());
        for (setting, config) in [
            ("folder", json!({"folder": "srv"})),
            ("policies", json!({"folder": "/srv", "policies": "policies.cedar"})),
            ("keys", json!({"folder": "/srv", "keys": "jwks.json"})),
        ] {
            assert_eq!(target(config).unwrap_err().setting, setting);
        }
        let misspelt = serde_json::from_value::<AuthTarget>(json!({"folders": "/srv"}));
        assert!(misspelt.unwrap_err().to_string().contains("folders"));
    }
}
