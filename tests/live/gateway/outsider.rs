//! What a stranger finds by the document: [Schemathesis](https://schemathesis.io).

use std::fs;

use super::{Rig, token};
use crate::{quiet, schemathesis::Schemathesis};

/// Event streams do not end; a stranger that waits for their end waits for ever. They are tried by
/// hand in the tests beside this one.
const STREAMS: &str = "/events$";

/// All but the two streams.
const SELECTED: &str = "Selected: 13/15";

/// What fits its schema may still be no plan for what is there, which is a 422 with the reasons.
const CONFIG: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
"#;

#[tokio::test]
async fn schemathesis_finds_nothing() {
    let _others = quiet::among_others().await;
    let Some(schemathesis) = Schemathesis::installed() else { return };
    let mut rig = Rig::new("requests_per_second = 100000\nrequests_burst = 100000\n");
    rig.waiting("wf-outsider").await;
    let document = rig.http.get("/openapi.json", "").await.expect(200);
    let file = rig.fleet.home().join("openapi.json");
    fs::write(&file, document.to_string()).unwrap();
    fs::write(rig.fleet.home().join("schemathesis.toml"), CONFIG).unwrap();
    let base = format!("http://{}", rig.http.address);
    let words = ["--exclude-path-regex", STREAMS];
    let found = schemathesis.tries(&base, &file, &token("alma"), &words);
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success(), "{said}{}", String::from_utf8_lossy(&found.stderr));
    assert!(said.contains(SELECTED), "{said}");
    assert!(rig.fleet.process(deadelus_tests::fleet::ORCHESTRATOR).runs());
}
