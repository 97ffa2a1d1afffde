use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, StatusCode, Uri},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::now_unix_s,
    testing::{Desk, Issuer},
    token::{Algorithm, Expected, Refusal, verify},
};

/// What a service does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    None,
    Open,
    AlgNone,
    Confusion,
    Signature,
    Expiry,
    Audience,
    EverybodyReadsAll,
    FailsOnBadTokens,
    RefusesAll,
}

/// Orders, each for the one whose name it has.
struct Service {
    keys: KeySet,
    fault: Fault,
}

impl Service {
    fn status(&self, token: Option<&str>, path: &str) -> u16 {
        let fault = self.fault;
        let Some(token) = token else { return if fault == Fault::Open { 200 } else { 401 } };
        if fault == Fault::RefusesAll {
            return 403;
        }
        if !self.believes(token) {
            return if fault == Fault::FailsOnBadTokens { 500 } else { 401 };
        }
        let name = json_of(token.split('.').nth(1).unwrap())["sub"].as_str().unwrap().to_owned();
        let own = path == format!("/orders/{name}") || fault == Fault::EverybodyReadsAll;
        if own { 200 } else { 404 }
    }

    fn believes(&self, token: &str) -> bool {
        let parts: Vec<&str> = token.split('.').collect();
        let alg = json_of(parts[0])["alg"].as_str().unwrap().to_lowercase();
        let text = format!("{}.{}", parts[0], parts[1]);
        let mac = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let by = |secret: &Vec<u8>| {
            hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes(), &mac).is_ok()
        };
        match (self.fault, alg.as_str()) {
            (Fault::AlgNone, "none") => return true,
            (Fault::Confusion, "hs256") => return self.keys.public_forms().first().is_some_and(by),
            _ => {}
        }
        let expected = Expected {
            algorithms: Algorithm::ASYMMETRIC.to_vec(),
            issuer: None,
            audience: Some("shop".to_owned()),
            leeway_s: 0,
        };
        match (self.fault, verify(token, &self.keys, &expected, now_unix_s()).map(|_| ())) {
            (_, Ok(()))
            | (Fault::Expiry, Err(Refusal::Expired))
            | (Fault::Audience, Err(Refusal::Audience))
            | (Fault::Signature, Err(Refusal::Signature)) => true,
            (_, Err(_)) => false,
        }
    }
}

fn json_of(segment: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap()
}

/// Serves until the test ends.
async fn served(service: Service) -> String {
    let service = Arc::new(service);
    let answer = move |uri: Uri, headers: HeaderMap| async move {
        let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let token = token.as_deref().and_then(|token| token.strip_prefix("Bearer "));
        StatusCode::from_u16(service.status(token, uri.path())).unwrap()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    format!("http://{address}")
}

struct Lab {
    desk: Desk,
    tokens: Value,
    issuer: Issuer,
}

impl Lab {
    fn new() -> Self {
        let (desk, issuer) = (Desk::new(), Issuer::new("k1"));
        desk.write("served.jwks", &issuer.jwks().to_string());
        let token = |sub: &str, aud: &str, lives: i64| {
            let claims = json!({"sub": sub, "aud": aud, "exp": now_unix_s() + lives});
            issuer.sign(&json!({"alg": "EdDSA", "kid": "k1"}), &claims)
        };
        let tokens = json!({
            "tokens": {"ann": token("ann", "shop", 600), "bob": token("bob", "shop", 600)},
            "expired": token("ann", "shop", -600),
            "wrong_audience": token("ann", "hall", 600),
        });
        Self { desk, tokens, issuer }
    }

    async fn probe(&self, fault: Fault) -> Measured<Outputs> {
        let keys = KeySet::parse(&self.issuer.jwks().to_string()).unwrap();
        let url = served(Service { keys, fault }).await;
        self.at(&url, inputs()).await.unwrap()
    }

    async fn at(&self, url: &str, inputs: Value) -> Result<Measured<Outputs>, Failure> {
        let mut config = self.tokens.clone();
        config["base_url"] = json!(url);
        let probe = Probe(self.desk.targets_with(Some(config)));
        let inputs = serde_json::from_value(inputs).unwrap();
        probe.perform(&Context::detached("shop"), inputs).await
    }
}

fn inputs() -> Value {
    json!({"allowed": [{"role": "ann", "path": "/orders/ann"}],
        "denied": [{"role": "bob", "path": "/orders/ann"}, {"role": "ann", "path": "/staff"}]})
}

fn failed(measured: &Measured<Outputs>) -> Vec<&str> {
    measured.checks.iter().filter(|c| !c.pass).map(|c| &c.id[..]).collect()
}

#[tokio::test]
async fn each_fault_of_a_service_fails_its_own_check() {
    let lab = Lab::new();
    let cases: [(Fault, &[&str]); 10] = [
        (Fault::None, &[]),
        (Fault::Open, &["anonymous"]),
        (Fault::AlgNone, &["forged"]),
        (Fault::Confusion, &["forged"]),
        (Fault::Signature, &["forged"]),
        (Fault::Expiry, &["expired"]),
        (Fault::Audience, &["wrong_audience"]),
        (Fault::EverybodyReadsAll, &["denied"]),
        (Fault::FailsOnBadTokens, &["forged", "expired", "wrong_audience"]),
        (Fault::RefusesAll, &["allowed"]),
    ];
    for (fault, expected) in cases {
        let measured = lab.probe(fault).await;
        assert_eq!(failed(&measured), expected, "{fault:?}: {:?}", measured.checks);
        let open = expected.iter().any(|check| *check != "allowed");
        assert_eq!(!measured.outputs.open.is_empty(), open, "{fault:?}");
    }
}

#[tokio::test]
async fn no_token_is_told() {
    let lab = Lab::new();
    let measured = lab.probe(Fault::AlgNone).await;
    let told = format!("{measured:?}{}", json!(measured.outputs));
    let tokens = lab.tokens["tokens"]["ann"].as_str().unwrap().split('.');
    assert!(tokens.into_iter().all(|part| !told.contains(part)), "{told}");
}

#[tokio::test]
async fn what_has_no_token_is_not_measured_and_so_not_passed() {
    let mut lab = Lab::new();
    for setting in ["expired", "wrong_audience"] {
        lab.tokens.as_object_mut().unwrap().remove(setting);
    }
    let measured = lab.probe(Fault::None).await;
    assert_eq!(failed(&measured), ["expired", "wrong_audience"]);
    assert!(measured.checks[3].note.contains("probe.expired"), "{:?}", measured.checks[3]);
}

#[tokio::test]
async fn bad_input_is_refused_before_anything_is_asked() {
    let lab = Lab::new();
    type Spoil = fn(&mut Value);
    let spoils: [(Spoil, ErrorClass); 4] = [
        (|i| i["allowed"] = json!([]), ErrorClass::InvalidInput),
        (|i| i["denied"][0]["role"] = json!("eve"), ErrorClass::InvalidInput),
        (|i| i["denied"][0]["path"] = json!("//elsewhere.test/"), ErrorClass::Denied),
        (|i| i["allowed"][0]["path"] = json!("http://elsewhere.test/"), ErrorClass::Denied),
    ];
    for (spoil, class) in spoils {
        let mut inputs = inputs();
        spoil(&mut inputs);
        let failure = lab.at("http://127.0.0.1:1", inputs).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure:?}");
    }
    // Nobody listens there.
    let failure = lab.at("http://127.0.0.1:1", inputs()).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unavailable);
    let targets = lab.desk.targets();
    let inputs = serde_json::from_value(inputs()).unwrap();
    let failure = Probe(targets).perform(&Context::detached("shop"), inputs).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unsupported);
}
