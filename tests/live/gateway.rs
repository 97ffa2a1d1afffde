//! The HTTP gateway, over HTTP alone: what a plan comes to, who is let in, what junk does, how many
//! may watch.

mod confined;
mod crowd;
mod door;
mod http;
mod outsider;
mod seen;

use std::fmt::Write as _;

use deadelus_mesh::objects::sha256;
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    plans::ONE_INDEX,
    quiet,
    shop::{Database, Engine},
};
use http::Http;

/// Whose tokens there are; each token is its owner's name with a tail.
const TOKENS: [(&str, &[&str]); 4] = [
    ("vera", &["viewer"]),
    ("otto", &["operator"]),
    ("anna", &["approver"]),
    ("alma", &["operator", "approver"]),
];

/// Of somebody whose token has expired.
const GONE: &str = "gone-token";

fn token(name: &str) -> String {
    format!("{name}-token-9f1c0a")
}

/// The orchestrator's lines for a gateway on a free port; `limits` are lines of its table.
fn configured(limits: &str) -> String {
    let mut text = "[gateway]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    let mut add = |name: &str, token: &str, roles: &[&str], more: &str| {
        let digest = sha256(token.as_bytes());
        let _ = write!(
            text,
            "[gateway.tokens.{name}]\nsha256 = \"{digest}\"\nroles = {roles:?}\n{more}"
        );
    };
    TOKENS.iter().for_each(|(name, roles)| add(name, &token(name), roles, ""));
    add("gone", GONE, &["viewer", "operator", "approver"], "expires_unix_s = 1\n");
    format!("{text}[gateway.limits]\n{limits}")
}

/// A small shop's database with its specialist, and an orchestrator with a gateway.
struct Rig {
    fleet: Fleet,
    http: Http,
    database: Database,
    _home: TempDir,
}

impl Rig {
    fn new(limits: &str) -> Self {
        let home = TempDir::with_prefix("shop-").unwrap();
        let database = Database::make("", Engine::Sqlite, &home).unwrap();
        database.seed(100);
        let specialists = [("db", database.target("shop")), (ORCHESTRATOR, configured(limits))];
        let specialists = specialists.each_ref().map(|(name, lines)| (*name, lines.as_str()));
        let mut fleet = Fleet::of(&specialists);
        let http = Http::of(&mut fleet);
        Self { fleet, http, database, _home: home }
    }

    /// A plan as `POST /v1/plans` gives it, in the body that starts it.
    async fn planned(&self, plan_file: &str) -> Value {
        let wish = json!({"plan_file": plan_file});
        let proposal = self.http.post("/v1/plans", &token("otto"), &wish).await.expect(200);
        json!({"plan": proposal["plan"], "plan_digest": proposal["digest"]})
    }

    /// Starts what waits for approval; its digest.
    async fn waiting(&self, id: &str) -> String {
        let mut start = self.planned(&gated()).await;
        start["workflow"] = json!(id);
        self.http.post("/v1/workflows", &token("otto"), &start).await.expect(201);
        start["plan_digest"].as_str().unwrap().to_owned()
    }
}

fn gated() -> String {
    ONE_INDEX.replace("approval: none", "approval: required")
}

fn approval(digest: &str) -> Value {
    json!({"decision": "approve", "plan_digest": digest, "reason": "looked"})
}

#[tokio::test]
async fn over_http_alone_a_plan_is_started_approved_watched_to_its_end_and_undone() {
    let _others = quiet::among_others().await;
    let rig = Rig::new("");
    let (http, [vera, otto, anna]) = (&rig.http, ["vera", "otto", "anna"].map(token));
    let before = rig.database.schema().await;

    let start = rig.planned(&gated()).await;
    let key = [("idempotency-key", "order 66")];
    let first = http.post_with("/v1/workflows", &otto, &key, &start).await;
    let started = first.expect(201);
    let again = http.post_with("/v1/workflows", &otto, &key, &start).await;
    assert_eq!(again.expect(201), started, "the same is answered the same");
    let other = rig.planned(&gated().replace("One index", "Another title")).await;
    http.post_with("/v1/workflows", &otto, &key, &other).await.problem(409);
    let id = started["workflow"].as_str().unwrap();
    let place = format!("/v1/workflows/{id}");
    assert!(first.head.contains(&format!("location: {place}")), "{}", first.head);

    let mut events = http.watch(&format!("{place}/events"), &vera, None).await;
    let waiting = events.until("awaits approval").await;
    let why = http.get(&format!("{place}/why"), &vera).await.expect(200);
    assert_eq!(why["status"], "awaits approval", "{why}");
    let digest = start["plan_digest"].as_str().unwrap();
    let gate = format!("{place}/gates/plan");
    let wrong = http.post(&gate, &anna, &approval(&"0".repeat(64))).await.problem(409);
    assert!(wrong["detail"].as_str().unwrap().contains("look at it again"), "{wrong}");
    http.post(&gate, &anna, &approval(digest)).await.expect(200);

    let done = events.until("done").await;
    assert_ne!(rig.database.schema().await, before);
    let shown = http.get(&place, &vera).await.expect(200);
    assert_eq!((&shown["status"], &shown["submitted_by"]), (&json!("done"), &json!("otto")));
    assert_eq!(shown["gates"][0]["by"], "anna", "the token's name: {shown}");
    let report = http.get(&format!("{place}/report"), &vera).await.expect(200);
    assert_eq!(
        (&report["approved_by"], &report["kept"][0]["does"]),
        (&json!("anna"), &json!("db.create_index")),
        "{report}"
    );

    http.post(&format!("{place}/undo"), &otto, &json!({"reason": "a test"})).await.expect(200);
    let undone = events.until("undone").await;
    assert_eq!(rig.database.schema().await, before);
    http.post(&format!("{place}/cancel"), &otto, &json!({})).await.problem(409);

    // Whoever comes back goes on where they were, and nothing is told twice or left out.
    let all = [waiting, done, undone].concat();
    assert!(all.is_sorted_by(|a, b| a.id < b.id), "{all:?}");
    let at = all.len() / 2;
    let mut back = http.watch(&format!("{place}/events"), &vera, Some(all[at].id)).await;
    assert_eq!(back.until("undone").await, all[at + 1..]);
    let mut of_all = http.watch("/v1/events", &vera, Some(0)).await;
    for expected in &all {
        let event = of_all.next().await;
        assert_eq!((event.id, &event.data["workflow"]), (expected.id, &json!(id)));
    }
}

#[tokio::test]
async fn the_list_has_pages_and_states_and_the_specialists_are_named() {
    let _others = quiet::among_others().await;
    let rig = Rig::new("");
    let (http, vera) = (&rig.http, token("vera"));
    for id in ["wf-one", "wf-two", "wf-three"] {
        rig.waiting(id).await;
    }
    let cancelled = http.post("/v1/workflows/wf-two/cancel", &token("otto"), &json!({})).await;
    cancelled.expect(200);
    let listed =
        async |query: &str| http.get(&format!("/v1/workflows{query}"), &vera).await.expect(200);
    // The list follows the log within a moment.
    let begun = std::time::Instant::now();
    loop {
        let waiting = listed("?state=waiting").await["workflows"].as_array().unwrap().len();
        let ended = listed("?state=cancelled").await["workflows"].as_array().unwrap().len();
        if (waiting, ended) == (2, 1) {
            break;
        }
        assert!(begun.elapsed() < crate::person::PATIENCE, "{waiting} wait, {ended} cancelled");
        tokio::time::sleep(crate::person::POLL).await;
    }
    let mut seen = vec![];
    let mut offset = Some(0);
    while let Some(at) = offset {
        let page = listed(&format!("?limit=1&offset={at}")).await;
        let [only] = &page["workflows"].as_array().unwrap()[..] else { panic!("{page}") };
        seen.push(only["workflow"].as_str().unwrap().to_owned());
        offset = page["next_offset"].as_u64();
    }
    assert_eq!(seen, ["wf-three", "wf-one", "wf-two"], "open ones first");
    let specialists = http.get("/v1/specialists", &vera).await.expect(200);
    assert_eq!(specialists[0]["specialist"], "db", "{specialists}");
    assert_eq!(specialists[0]["replicas"].as_array().unwrap().len(), 1, "{specialists}");
}
