//! What an operator configures about a system's rights, checked once at the start.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use deadelus_runtime::{ErrorClass, Failure, InvalidTarget, Problem, TargetName};
use serde::{Deserialize, Serialize};

use crate::served::{Kind, Served};

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
}

impl AuthTarget {
    fn check(self) -> Result<Self, Problem> {
        absolute("folder", &self.folder)?;
        for (setting, path) in [("policies", &self.policies), ("keys", &self.keys)] {
            if let Some(path) = path {
                absolute(setting, path)?;
            }
        }
        Ok(self)
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
