//! On a mesh with credentials the gateway asks with the orchestrator's, and nothing it does is
//! refused.

use std::time::Instant;

use deadelus_tests::{
    fleet::{Fleet, ORCHESTRATOR},
    nats::NatsServer,
    process::command,
    programs::program,
};
use serde_json::json;
use tempfile::TempDir;

use super::{approval, configured, gated, http::Http, token};
use crate::{
    person::{PATIENCE, POLL},
    quiet,
    shop::{Database, Engine},
};

#[tokio::test]
async fn with_credentials_everything_is_still_answered_and_nothing_refused() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(100);
    let keys = TempDir::with_prefix("keys-").unwrap();
    let made = command(&program("deadelus")).arg("nats-config").arg(keys.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = keys.path().join("nats.conf").display().to_string();
    let nats = NatsServer::start_with(&["--config", &config]);
    let (target, lines) = (database.target("shop"), configured(""));
    let all = [("db", target.as_str()), (ORCHESTRATOR, lines.as_str())];
    let mut fleet = Fleet::confined(nats, keys.path(), &all);
    let http = Http::of(&mut fleet);
    let [vera, otto, anna] = ["vera", "otto", "anna"].map(token);

    until_known(&http, &vera).await;
    let plan = http.post("/v1/plans", &otto, &json!({"plan_file": gated()})).await.expect(200);
    let start = json!({"workflow": "wf-own", "plan": plan["plan"], "plan_digest": plan["digest"]});
    http.post("/v1/workflows", &otto, &start).await.expect(201);
    let mut of_all = http.watch("/v1/events", &vera, Some(0)).await;
    let mut events = http.watch("/v1/workflows/wf-own/events", &vera, None).await;
    let gate = "/v1/workflows/wf-own/gates/plan";
    http.post(gate, &anna, &approval(plan["digest"].as_str().unwrap())).await.expect(200);
    let told = events.until("done").await;
    for event in &told {
        assert_eq!(of_all.next().await.id, event.id);
    }
    for place in ["", "/report", "/why"] {
        http.get(&format!("/v1/workflows/wf-own{place}"), &vera).await.expect(200);
    }
    http.get("/v1/workflows", &vera).await.expect(200);
    assert_eq!(http.get("/readyz", "").await.status, 200);
    let log = fleet.nats.log();
    let refused: Vec<&str> = log.lines().filter(|line| line.contains("Violation")).collect();
    assert_eq!(refused, Vec::<&str>::new());
}

/// The specialist's card is there a moment after it was said.
async fn until_known(http: &Http, token: &str) {
    let begun = Instant::now();
    loop {
        let specialists = http.get("/v1/specialists", token).await.expect(200);
        if specialists[0]["specialist"] == "db" {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the specialist is not known: {specialists}");
        tokio::time::sleep(POLL).await;
    }
}
