//! Who is let in, and what is not: tokens, roles, junk.

use deadelus_tests::{
    fleet::{Fleet, ORCHESTRATOR},
    process::command,
    programs::program,
};
use serde_json::{Value, json};

use super::{GONE, Rig, approval, configured, http::Http, token};
use crate::quiet;

/// What anybody may ask.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_may() {
    let _others = quiet::among_others().await;
    let mut rig = Rig::new("");
    let http = rig.http.clone();
    let digest = rig.waiting("wf-door").await;
    let document = http.get("/openapi.json", "").await.expect(200);
    for (path, item) in document["paths"].as_object().unwrap() {
        let place = path.replace("{workflow}", "wf-door").replace("{gate}", "plan");
        for method in item.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            if OPEN.contains(&path.as_str()) {
                assert_eq!(http.send(&method, &place, "", &[], "").await.status, 200, "{path}");
                continue;
            }
            for shown in ["", "nobody", GONE, "Bearer", "\u{e9}"] {
                let answer = http.send(&method, &place, shown, &[], "").await;
                answer.problem(401);
                assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
            }
            if method == "POST" {
                http.post(&place, &token("vera"), &json!({})).await.problem(403);
            }
        }
    }
    let gate = "/v1/workflows/wf-door/gates/plan";
    http.post(gate, &token("otto"), &approval(&digest)).await.problem(403);
    for place in ["/v1/plans", "/v1/workflows", "/v1/workflows/wf-door/cancel"] {
        http.post(place, &token("anna"), &json!({})).await.problem(403);
    }
    // Who decides is who holds the token, whatever else is claimed.
    let mut forged = approval(&digest);
    forged["by"] = json!("grace");
    http.post(gate, &token("alma"), &forged).await.problem(400);
    http.post(gate, &token("alma"), &approval(&digest)).await.expect(200);
    let shown = http.get("/v1/workflows/wf-door", &token("vera")).await.expect(200);
    assert_eq!(shown["gates"][0]["by"], "alma", "{shown}");

    let log = rig.fleet.process(ORCHESTRATOR).said();
    for name in ["vera", "otto", "anna", "alma"] {
        assert!(!log.contains(&token(name)), "a token is in the log");
    }
}

#[tokio::test]
async fn junk_is_refused_with_what_to_do_and_nothing_else_suffers() {
    let _others = quiet::among_others().await;
    let limits = "body_max_bytes = 10000\nrequests_per_second = 1\nrequests_burst = 100\n";
    let mut fleet = Fleet::of(&[(ORCHESTRATOR, &configured(limits))]);
    let http = Http::of(&mut fleet);
    let (vera, otto) = (token("vera"), token("otto"));
    let places: [(&str, u16); 9] = [
        ("/v1/nothing", 404),
        ("/", 404),
        ("/v1/workflows/WF", 400),
        ("/v1/workflows/a%00b", 400),
        ("/v1/workflows/%ff", 400),
        ("/v1/workflows/wf-nobody", 404),
        ("/v1/workflows/wf-nobody/events", 404),
        ("/v1/workflows?limit=0", 400),
        ("/v1/workflows?state=nice", 400),
    ];
    for (place, status) in places {
        http.get(place, &vera).await.problem(status);
    }
    let answer = http.send("DELETE", "/v1/workflows", &vera, &[], "").await;
    answer.problem(405);
    assert!(answer.head.contains("allow: get,head,post"), "{}", answer.head);
    let json = [("content-type", "application/json")];
    for junk in ["", "{", "[]", "null", "{\"plan\": 1}", "\u{0}\u{1}", &"[".repeat(5_000)] {
        http.send("POST", "/v1/workflows", &otto, &json, junk).await.problem(400);
    }
    http.send("POST", "/v1/plans", &otto, &[("content-type", "text/yaml")], "a: b")
        .await
        .problem(415);
    let large = format!("{{\"request\": \"{}\"}}", "x".repeat(20_000));
    http.send("POST", "/v1/plans", &otto, &json, &large).await.problem(413);
    let none = json!({"plan": {}, "plan_digest": "0".repeat(64)});
    http.post("/v1/workflows", &otto, &none).await.problem(422);
    let key = [("idempotency-key", "k")];
    http.post_with("/v1/workflows", &otto, &key, &none).await.problem(422);
    let back = http.send("GET", "/v1/events", &vera, &[("last-event-id", "-1")], "").await;
    back.problem(400);

    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", b"\r\n\r\n\r\n", &[0xff; 100_000]] {
        let answer = http.raw(bytes).await;
        assert!([0, 400, 414, 431].contains(&answer.status), "{} {}", answer.status, answer.body);
    }
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "y".repeat(200_000));
    assert_eq!(http.raw(head.as_bytes()).await.status, 431);

    let mut answers = vec![];
    for _ in 0..150 {
        answers.push(http.get("/v1/workflows", &vera).await);
    }
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(refused.len() > 20, "{} of 150 too often", refused.len());
    refused[0].problem(429);
    assert!(refused[0].head.contains("retry-after: "), "{}", refused[0].head);
    assert_ne!(http.get("/v1/workflows", &token("anna")).await.status, 429, "her own bucket");
    assert_eq!(http.get("/healthz", "").await.status, 200);
    assert_eq!(http.get("/readyz", "").await.status, 200);
}

#[test]
fn it_does_not_open_as_a_door_for_anybody() {
    let open = |settings: &[&str]| {
        let mut words = vec![];
        settings.iter().for_each(|setting| words.extend(["--set", setting]));
        let output = command(&program("deadelus-orchestrator")).args(words).output().unwrap();
        assert!(!output.status.success(), "{settings:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    // Both before anybody looks for a server.
    let said = open(&["gateway.listen=0.0.0.0:0"]);
    assert!(said.contains("deadelus token"), "{said}");
    let digest = format!("gateway.tokens.ada.sha256={}", "0".repeat(64));
    let said = open(&["gateway.listen=0.0.0.0:0", &digest]);
    assert!(said.contains("not loopback") && said.contains("gateway.tls"), "{said}");
}

#[tokio::test]
async fn it_speaks_tls_itself() {
    let _others = quiet::among_others().await;
    let Some(home) = certificate() else { return };
    let file = |name: &str| home.path().join(name).display().to_string();
    let (cert, key) = (file("cert.pem"), file("key.pem"));
    let tls = format!("[gateway.tls]\ncert_file = {cert:?}\nkey_file = {key:?}\n");
    // Then it may listen where others are, too.
    let lines = format!("{}{tls}", configured("")).replace("127.0.0.1:0", "0.0.0.0:0");
    let mut fleet = Fleet::of(&[(ORCHESTRATOR, &lines)]);
    let said = fleet.process(ORCHESTRATOR).said();
    let port = said.split("https://0.0.0.0:").nth(1).unwrap().split('"').next().unwrap();
    let port = port.to_owned();
    let answer = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--cacert", &cert])
        .args(["--header", &format!("authorization: Bearer {}", token("vera"))])
        .arg(format!("https://localhost:{port}/v1/workflows"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    let page: Value =
        serde_json::from_slice(&answer.stdout).unwrap_or_else(|e| panic!("{e} {said}"));
    assert_eq!(page["workflows"], json!([]));
    let clear = Http { address: format!("127.0.0.1:{port}") };
    assert_ne!(clear.get("/healthz", "").await.status, 200, "nothing in the clear");
}

/// A certificate of our own for `localhost`; none, loudly, where it cannot be made or used.
fn certificate() -> Option<tempfile::TempDir> {
    let home = tempfile::TempDir::with_prefix("tls-").unwrap();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "1", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(home.path())
        .output();
    let curl = std::process::Command::new("curl").arg("--version").output();
    if made.is_ok_and(|made| made.status.success()) && curl.is_ok() {
        return Some(home);
    }
    eprintln!("SKIPPED: TLS of the gateway needs openssl and curl");
    None
}
