//! What a stranger finds on the service after the workflow: [Schemathesis](https://schemathesis.io),
//! by the document that is public then.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use deadelus_proto::pb::Ending;
use serde_json::Value;

use super::{Case, V4, approved, committed};
use crate::{
    person::Person,
    quiet,
    scene::Scene,
    shop::{Engine, Shop},
};

/// So that a finding is found again.
const SEED: &str = "1";

/// Of each operation and each way to try it.
const EXAMPLES_MAX: &str = "40";

#[tokio::test]
async fn schemathesis_finds_nothing_on_the_service_that_has_subscriptions() {
    let _others = quiet::among_others().await;
    let Some(schemathesis) = Schemathesis::installed() else { return };
    let case = Case::open("outsider", Engine::Sqlite).await.unwrap();
    let fleet = case.fleet();
    let ada = Person::at(&fleet).await;
    let id = approved(&ada, "wf-golden1", &V4).await;
    committed(&ada, &id).await;
    ada.until_ended(&id, Ending::Done).await;
    let found = schemathesis.tries(&case.shop, &case.published(), &case.token("billing", &[]));
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success(), "{said}{}", String::from_utf8_lossy(&found.stderr));
    assert!(said.contains("Selected: 6/6"), "{said}");
}

impl Case {
    /// The file of the public document.
    fn published(&self) -> PathBuf {
        let folder = self.folder.path().join("published");
        let pointer = fs::read(folder.join("public.json")).unwrap();
        let pointer: Value = serde_json::from_slice(&pointer).unwrap();
        let sha256 = pointer["document"].as_str().unwrap_or_else(|| panic!("{pointer}"));
        folder.join("documents").join(format!("{sha256}.json"))
    }
}

/// The program, in a folder of its own that stays: the next run finds it there.
struct Schemathesis(PathBuf);

impl Schemathesis {
    /// None, and a word about it, where it cannot be had.
    fn installed() -> Option<Self> {
        let home = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/schemathesis-4.32.5"));
        let program = home.join("bin/st");
        let runs = |program: &Path, words: &[&str]| {
            Command::new(program).args(words).output().is_ok_and(|out| out.status.success())
        };
        if !runs(&program, &["--version"]) {
            let words = ["-m", "venv", "--clear", &home.display().to_string()];
            let packages = ["-m", "pip", "install", "--quiet", "schemathesis==4.32.5"];
            let made =
                runs(Path::new("python3"), &words) && runs(&home.join("bin/python3"), &packages);
            if !made {
                eprintln!("SKIPPED: Schemathesis cannot be installed (python3 -m venv, pip)");
                return None;
            }
        }
        Some(Self(program))
    }

    /// Every operation of the document, as somebody who may all of it.
    fn tries(&self, shop: &Shop, document: &Path, token: &str) -> Output {
        let header = format!("authorization: Bearer {token}");
        let words = ["--url", &shop.base(), "--header", &header, "--seed", SEED, "--no-color"];
        Command::new(&self.0)
            .arg("run")
            .arg(document)
            .args(words)
            .args(["--max-examples", EXAMPLES_MAX])
            .current_dir(document.parent().unwrap())
            .output()
            .unwrap()
    }
}
