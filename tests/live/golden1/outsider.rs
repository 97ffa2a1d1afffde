//! What a stranger finds on the service after the workflow: [Schemathesis](https://schemathesis.io),
//! by the document that is public then.

use std::{fs, path::PathBuf};

use deadelus_proto::pb::Ending;
use serde_json::Value;

use super::{Case, V4, approved, committed};
use crate::{person::Person, quiet, scene::Scene, schemathesis::Schemathesis, shop::Engine};

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
    let found =
        schemathesis.tries(&case.shop.base(), &case.published(), &case.token("billing", &[]), &[]);
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
