//! `security.sbom`: what is built, as a list that others' tools read: CycloneDX 1.5. The same lock
//! file gives the same bytes.

use std::time::Duration;

use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    lockfile::{self, LOCKFILE, Package},
    target::Targets,
};

/// Reading one file.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Of which build.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inputs {
    /// One of the target's roots; may be left out where there is only one.
    pub root: Option<String>,
    /// In the root; `Cargo.lock` when it is not given.
    pub lockfile: Option<String>,
}

/// The list itself is the artefact `sbom.cdx.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Packages that are listed.
    pub components: usize,
    /// Of those, how many carry the digest of their archive.
    pub with_digest: usize,
}

/// `security.sbom`
#[derive(Debug, Clone)]
pub struct Sbom {
    targets: Targets,
}

impl Sbom {
    /// For these systems.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for Sbom {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "sbom",
            role: crate::ROLE,
            summary: "Lists everything that is built, from the lock file, as CycloneDX.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("every_package_listed", "each locked package is in the list, once")],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let root = self.targets.of(cx)?.root(inputs.root.as_deref())?;
        let packages = lockfile::read(root, inputs.lockfile.as_deref().unwrap_or(LOCKFILE))?;
        let document = document(&packages);
        let listed = references(&document);
        let bytes = document.to_string().into_bytes();
        let artefact =
            cx.keep("sbom.cdx.json", "application/vnd.cyclonedx+json", bytes.into()).await?;
        let with_digest = packages.iter().filter(|package| package.checksum.is_some()).count();
        let outputs = Outputs { components: listed, with_digest };
        let check =
            Check::equal("every_package_listed", listed, packages.len()).evidence(artefact.clone());
        Ok(Measured::new(outputs, vec![check]).artefacts(vec![artefact]))
    }
}

fn document(packages: &[Package]) -> Value {
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "components": packages.iter().map(component).collect::<Vec<_>>(),
        "dependencies": packages.iter().map(|p| edges(p, packages)).collect::<Vec<_>>(),
    })
}

fn component(package: &Package) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": package.purl(),
        "name": package.name,
        "version": package.version.to_string(),
        "purl": package.purl(),
        // A lock file knows no licences, and nobody should believe that it does.
        "licenses": [{ "license": { "name": "NOASSERTION" } }],
    });
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn edges(package: &Package, packages: &[Package]) -> Value {
    let on = package.dependencies.iter().filter_map(|dependency| {
        let mut words = dependency.split(' ');
        let (name, version) = (words.next()?, words.next());
        let same = |other: &&Package| {
            other.name == name && version.is_none_or(|v| other.version.to_string() == v)
        };
        packages.iter().find(same).map(Package::purl)
    });
    json!({ "ref": package.purl(), "dependsOn": on.collect::<Vec<_>>() })
}

/// How many different components a document has.
fn references(document: &Value) -> usize {
    let components = document["components"].as_array().into_iter().flatten();
    let names = components.filter_map(|component| component["bom-ref"].as_str());
    names.collect::<std::collections::BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{SecurityTarget, testing::targets};

    #[tokio::test]
    async fn the_list_of_this_workspace_is_complete_and_the_same_twice() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let roots = [("source".to_owned(), root)].into();
        let sbom = Sbom::new(targets(SecurityTarget { roots, ..SecurityTarget::default() }));
        let cx = Context::detached("shop");
        let one = sbom.perform(&cx, Inputs::default()).await.unwrap();
        let two = sbom.perform(&cx, Inputs::default()).await.unwrap();
        assert!(one.checks[0].pass, "{one:?}");
        assert_eq!(one.artefacts[0].sha256, two.artefacts[0].sha256);
        let bytes = cx.fetch(&one.artefacts[0]).await.unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let of_ours = document["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .find(|d| d["ref"].as_str().unwrap().starts_with("pkg:cargo/deadelus-security@"));
        let on = of_ours.unwrap()["dependsOn"].to_string();
        assert!(on.contains("pkg:cargo/deadelus-runtime@") && on.contains("pkg:cargo/semver@"));
        assert!(one.outputs.with_digest > 100, "{one:?}");
    }
}
