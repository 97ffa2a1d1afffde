use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::{
    restore::{self, Restore},
    testing::{Desk, Issuer},
    token::{Algorithm, signed},
};

const DAY: u32 = 24 * 3600;

struct Lab {
    desk: Desk,
    cx: Context,
}

impl Lab {
    fn new() -> Self {
        Self { desk: Desk::new(), cx: Context::detached("shop") }
    }

    fn served(&self) -> Option<String> {
        fs::read_to_string(self.desk.path("served.jwks")).ok()
    }

    async fn prepare(&self, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        KeysRotate(self.desk.targets()).prepare(&self.cx, inputs).await
    }

    async fn add(&self, issuer: &Issuer) -> Result<(Prepared<Before>, Outputs), Failure> {
        let inputs = inputs(&issuer.jwk());
        let prepared = self.prepare(&inputs).await?;
        let rotate = KeysRotate(self.desk.targets());
        let measured = rotate.perform(&self.cx, &inputs, &prepared.before).await?;
        assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
        Ok((prepared, measured.outputs))
    }

    async fn undo(&self, prepared: &Prepared<Before>) -> Result<(), Failure> {
        let undo = prepared.undo.clone().unwrap();
        assert_eq!(undo.capability.to_string(), "auth.keys_restore");
        let restore = Restore { targets: self.desk.targets(), kind: Kind::Keys };
        let inputs: restore::Inputs = serde_json::from_value(undo.inputs).unwrap();
        let prepared = restore.prepare(&self.cx, &inputs).await?;
        let measured = restore.perform(&self.cx, &inputs, &prepared.before).await?;
        assert!(measured.checks.iter().all(|check| check.pass), "{:?}", measured.checks);
        Ok(())
    }

    fn accepts(&self, issuer: &Issuer, kid: &str) -> bool {
        let keys = KeySet::parse(&self.served().unwrap()).unwrap();
        let token = issuer.sign(&json!({"alg": "EdDSA", "kid": kid}), &json!({}));
        signed(&token, &keys, &Algorithm::ASYMMETRIC).is_ok()
    }
}

fn inputs(key: &Value) -> Inputs {
    serde_json::from_value(json!({"key": {"inline": key}, "overlap_s": DAY})).unwrap()
}

#[tokio::test]
async fn tokens_of_the_old_key_and_of_the_new_one_are_both_good_while_they_overlap() {
    let lab = Lab::new();
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let (first, _) = lab.add(&old).await.unwrap();
    let one = lab.served();
    let (second, outputs) = lab.add(&new).await.unwrap();
    assert_eq!((&outputs.kid[..], &outputs.kept[..]), ("new", &["old".to_owned()][..]));
    assert!(lab.accepts(&old, "old") && lab.accepts(&new, "new") && !lab.accepts(&old, "new"));
    for _ in 0..2 {
        lab.undo(&second).await.unwrap();
        assert_eq!(lab.served(), one);
    }
    lab.undo(&first).await.unwrap();
    assert_eq!(lab.served(), None);
}

#[tokio::test]
async fn a_crash_before_or_after_the_effect_is_seen() {
    let lab = Lab::new();
    lab.add(&Issuer::new("old")).await.unwrap();
    let before = lab.served();
    let (rotate, inputs) = (KeysRotate(lab.desk.targets()), inputs(&Issuer::new("new").jwk()));
    let prepared = rotate.prepare(&lab.cx, &inputs).await.unwrap();
    let found = rotate.reconcile(&lab.cx, &inputs, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::NotBegun));
    lab.undo(&prepared).await.unwrap();
    assert_eq!(lab.served(), before);
    rotate.perform(&lab.cx, &inputs, &prepared.before).await.unwrap();
    let after = lab.served();
    let found = rotate.reconcile(&lab.cx, &inputs, &prepared.before).await.unwrap();
    assert!(matches!(found, Found::Done(_)));
    // Again, and later: what was recorded is what is written, not what would be recorded now.
    rotate.perform(&lab.cx, &inputs, &prepared.before).await.unwrap();
    assert_eq!(lab.served(), after);
    lab.desk.write("served.jwks", r#"{"keys": []}"#);
    let failure = rotate.perform(&lab.cx, &inputs, &prepared.before).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::PreconditionFailed);
    assert_eq!(lab.undo(&prepared).await.unwrap_err().class, ErrorClass::PreconditionFailed);
}

#[test]
fn a_key_goes_when_its_time_is_over_and_never_before() {
    let keys: Vec<String> = ["a", "b", "c"].map(|kid| Issuer::new(kid).jwk().to_string()).into();
    let first = rotation::rotated(None, &keys[0], DAY, 1_000).unwrap();
    let second = rotation::rotated(Some(&first.set), &keys[1], DAY, 2_000).unwrap();
    assert_eq!((second.kept, second.dropped), (vec!["a".to_owned()], vec![]));
    let over = 2_000 + i64::from(DAY);
    for (now, dropped) in [(over - 1, vec![]), (over, vec!["a".to_owned()])] {
        let third = rotation::rotated(Some(&second.set), &keys[2], DAY, now).unwrap();
        assert_eq!(third.dropped, dropped);
        assert!(third.kept.contains(&"b".to_owned()));
    }
}

#[tokio::test]
async fn what_could_sign_never_gets_into_the_set() {
    let lab = Lab::new();
    let mut private = Issuer::new("p").jwk();
    private["d"] = json!("s3cretpart");
    let symmetric = json!({"kty": "oct", "kid": "s", "alg": "HS256", "k": "s3cretpartAA"});
    let mut nameless = Issuer::new("n").jwk();
    nameless.as_object_mut().unwrap().remove("kid");
    let mut short = Issuer::new("x").jwk();
    short["x"] = json!("AAAA");
    for (key, class) in [
        (private.clone(), ErrorClass::Denied),
        (symmetric, ErrorClass::Denied),
        (nameless, ErrorClass::InvalidInput),
        (short, ErrorClass::InvalidInput),
        (json!("text"), ErrorClass::InvalidInput),
    ] {
        let failure = lab.prepare(&inputs(&key)).await.unwrap_err();
        assert_eq!(failure.class, class, "{failure:?}");
        assert!(!format!("{failure:?}").contains("s3cretpart"));
    }
    let known = Issuer::new("k");
    lab.add(&known).await.unwrap();
    assert_eq!(lab.add(&known).await.unwrap_err().class, ErrorClass::InvalidInput);
    let served = lab.served();
    lab.desk.write("served.jwks", &json!({"keys": [private]}).to_string());
    let failure = lab.prepare(&inputs(&known.jwk())).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Denied);
    assert!(served.is_some_and(|set| set.contains("\"kid\": \"k\"")));
    let short = Inputs { overlap_s: 59, ..inputs(&known.jwk()) };
    assert_eq!(lab.prepare(&short).await.unwrap_err().class, ErrorClass::InvalidInput);
}
