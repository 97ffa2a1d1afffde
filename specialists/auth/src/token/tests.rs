use std::collections::BTreeMap;

use ring::hmac;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Issuer, encode};

/// All of them: what a verifier that knows every key allows.
fn all() -> Vec<Algorithm> {
    use Algorithm as A;
    [&A::ASYMMETRIC[..], &[A::HS256, A::HS384, A::HS512]].concat()
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(&json!({ "keys": keys }).to_string()).unwrap()
}

fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "k1"})
}

fn claims() -> Value {
    json!({"iss": "https://id.test", "aud": ["shop", "hall"], "exp": 1_000, "sub": "ann"})
}

fn expected() -> Expected {
    Expected {
        algorithms: Algorithm::ASYMMETRIC.to_vec(),
        issuer: Some("https://id.test".to_owned()),
        audience: Some("shop".to_owned()),
        leeway_s: 60,
    }
}

#[test]
fn a_good_token_is_accepted_and_each_fault_is_named() {
    let issuer = Issuer::new("k1");
    let keys = set(&[issuer.jwk()]);
    type Spoil = fn(&mut Value, &mut Value);
    let cases: [(Spoil, i64, Option<Refusal>); 15] = [
        (|_, _| (), 0, None),
        (|_, _| (), 1_059, None),
        (|_, _| (), 1_060, Some(Refusal::Expired)),
        (|_, c| c["nbf"] = json!(500), 440, None),
        (|_, c| c["nbf"] = json!(500), 439, Some(Refusal::NotYet)),
        (|_, c| c["exp"] = json!("1000"), 0, Some(Refusal::Claims)),
        (|_, c| drop(c.as_object_mut().unwrap().remove("exp")), 0, Some(Refusal::NoExpiry)),
        (|_, c| c["iss"] = json!("https://id.test/"), 0, Some(Refusal::Issuer)),
        (|_, c| c["aud"] = json!("hall"), 0, Some(Refusal::Audience)),
        (|_, c| c["aud"] = json!("shop"), 0, None),
        (|_, c| *c = json!([]), 0, Some(Refusal::Claims)),
        (|h, _| h["alg"] = json!("none"), 0, Some(Refusal::Algorithm)),
        (|h, _| h["kid"] = json!("k2"), 0, Some(Refusal::Key)),
        (|h, _| h["crit"] = json!(["exp"]), 0, Some(Refusal::Critical)),
        (|h, _| h["alg"] = json!("ES256"), 0, Some(Refusal::KeyUse)),
    ];
    for (n, (spoil, now, refusal)) in cases.into_iter().enumerate() {
        let (mut header, mut claims) = (header(), claims());
        spoil(&mut header, &mut claims);
        let token = issuer.sign(&header, &claims);
        let verdict = verify(&token, &keys, &expected(), now).map(|_| ());
        assert_eq!(verdict.err(), refusal, "case {n}");
    }
}

#[test]
fn the_three_segments_are_decoded_strictly_before_anything_else() {
    let issuer = Issuer::new("k1");
    let keys = set(&[issuer.jwk()]);
    let token = issuer.sign(&header(), &claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, mac] = parts[..] else { panic!() };
    let twice = encode(r#"{"alg": "EdDSA", "alg": "none", "kid": "k1"}"#);
    for (token, refusal) in [
        (format!("{head}.{body}"), Refusal::Segments),
        (format!("{head}.{body}.{mac}."), Refusal::Segments),
        (format!("{head}.{body}=.{mac}"), Refusal::Encoding),
        (format!("{head}.{body}?.{mac}"), Refusal::Encoding),
        (format!("{head} .{body}.{mac}"), Refusal::Encoding),
        (format!("{head}.{body}.{mac}\n"), Refusal::Encoding),
        (format!("{}.{body}.{mac}", encode("no")), Refusal::Header),
        (format!("{twice}.{body}.{mac}"), Refusal::Header),
        (format!("{head}.{body}."), Refusal::Signature),
        (format!("{head}.{}.{mac}", encode("{}")), Refusal::Signature),
        ("a".repeat(1 << 20), Refusal::TooLong),
    ] {
        assert_eq!(verify(&token, &keys, &expected(), 0).err(), Some(refusal));
    }
}

#[test]
fn a_public_key_is_never_a_secret_of_hmac() {
    let issuer = Issuer::new("k1");
    let keys = set(&[issuer.jwk()]);
    let public = issuer.public();
    let header = encode(json!({"alg": "HS256", "kid": "k1"}).to_string());
    let text = format!("{header}.{}", encode(claims().to_string()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public), text.as_bytes());
    let token = format!("{text}.{}", encode(mac));
    let not_allowed = signed(&token, &keys, &Algorithm::ASYMMETRIC).err();
    assert_eq!(not_allowed, Some(Refusal::Algorithm));
    assert_eq!(signed(&token, &keys, &all()).err(), Some(Refusal::KeyUse));
}

#[test]
fn without_a_name_there_must_be_no_choice() {
    let (one, two) = (Issuer::new("a"), Issuer::new("b"));
    let token = one.sign(&json!({"alg": "EdDSA"}), &claims());
    assert!(signed(&token, &set(&[one.jwk()]), &all()).is_ok());
    let both = set(&[one.jwk(), two.jwk()]);
    assert_eq!(signed(&token, &both, &all()).err(), Some(Refusal::Key));
}

#[test]
fn what_is_wrong_with_a_set_is_told_without_the_key() {
    let secret = "c2VjcmV0";
    for (jwks, said) in [
        (json!({"keys": [{"kty": "oct", "k": "s=cret"}]}), "key 0: k"),
        (json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "a", "x": secret}]}), "key a: x"),
        (
            json!({"keys": [{"kty": "oct", "k": secret, "kid": "a"}, {"kty": "oct", "k": secret, "kid": "a"}]}),
            "called a",
        ),
        (json!({"keys": secret}), "no key set"),
    ] {
        let problem = KeySet::parse(&jwks.to_string()).unwrap_err();
        assert!(problem.contains(said) && !problem.contains("cret"), "{problem}");
    }
    let unknown = json!({"keys": [{"kty": "EC", "crv": "P-521"}, {"kty": "AKP"}]}).to_string();
    assert_eq!(
        KeySet::parse(&unknown).unwrap().key(None, Algorithm::ES256).err(),
        Some(Refusal::Key)
    );
    let mut issuer = Issuer::new("a").jwk();
    assert!(set(&[issuer.clone()]).private().is_none());
    issuer["d"] = json!(secret);
    let set = set(&[issuer]);
    assert_eq!(set.private().and_then(|key| key.kid()), Some("a"));
    // "c" of the secret as Debug would show bytes.
    assert!(!format!("{set:?}").contains("115"));
}

/// Valid to Wycheproof, and refused here: ES512 is not supported; a key that names one algorithm is
/// not used with another; the payload of the last has a character that is no base64url.
const STRICTER: [u64; 4] = [347, 351, 346, 373];

/// Invalid to Wycheproof because of its padding, but the file has lost that padding: as it stands
/// there, it is byte for byte what RFC 7515 makes of this key, this header and this payload.
const DAMAGED: [u64; 1] = [367];

#[test]
fn every_vector_of_wycheproof_gets_its_verdict() {
    let Some(path) = deadelus_tests::oracles::oracle("jws/json_web_signature_test.json") else {
        return;
    };
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut seen: BTreeMap<(&str, bool), Vec<u64>> = BTreeMap::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        let keys = set(std::slice::from_ref(key));
        for test in group["tests"].as_array().unwrap() {
            let token = test["jws"].as_str().map_or_else(|| test["jws"].to_string(), str::to_owned);
            let accepted = signed(&token, &keys, &all()).is_ok();
            let verdict = test["result"].as_str().unwrap();
            seen.entry((verdict, accepted)).or_default().push(test["tcId"].as_u64().unwrap());
        }
    }
    let count = |verdict, accepted| seen.get(&(verdict, accepted)).map_or(0, Vec::len);
    println!(
        "Wycheproof JWS: {} of {} valid accepted, {} of {} invalid accepted",
        count("valid", true),
        count("valid", true) + count("valid", false),
        count("invalid", true),
        count("invalid", true) + count("invalid", false),
    );
    let accepted = seen.get(&("invalid", true)).cloned().unwrap_or_default();
    assert!(accepted.iter().all(|id| DAMAGED.contains(id)), "false accepts: {accepted:?}");
    let refused = seen.get(&("valid", false)).cloned().unwrap_or_default();
    assert!(refused.iter().all(|id| STRICTER.contains(id)), "false refusals: {refused:?}");
    assert!(count("valid", true) > 0 && count("invalid", false) > 0);
}
