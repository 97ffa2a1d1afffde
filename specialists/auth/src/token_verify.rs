//! `auth.token_verify`: whether a token is to be believed, and if not, why.
//!
//! The token is a file of the target's folder, by its name: a token never crosses the mesh. Told is
//! which claims there are, never what they say.

use std::{path::PathBuf, time::Duration};

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, InFolder, Measured,
    ReadCapability, Source, Text, invalid,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::now_unix_s,
    target::Targets,
    token::{self, Algorithm, Claims, Expected, KeySet, Refusal, Signed},
};

/// Two small files and one signature.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(30);

/// Clocks that are further apart than five minutes are a defect of their own.
const LEEWAY_MAX_SECONDS: u32 = 300;

/// The capability.
pub(crate) struct TokenVerify(pub(crate) Targets);

/// What to believe, and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// A file of the target's folder that holds the token: `tokens/ann.jwt`.
    token: PathBuf,
    /// A JSON Web Key Set of the target's folder: `jwks.json`.
    keys: PathBuf,
    /// What may have signed it; all that are asymmetric when it is not given.
    #[serde(default = "default_algorithms")]
    algorithms: Vec<Algorithm>,
    /// Who has to have made it.
    #[serde(default)]
    issuer: Option<String>,
    /// Who it has to be for.
    #[serde(default)]
    audience: Option<String>,
    /// How far clocks may be apart, in seconds; at most 300.
    #[serde(default = "default_leeway")]
    leeway_s: u32,
    /// What should come of it.
    #[serde(default)]
    expect: Verdict,
}

/// Whoever verifies with them cannot sign with them.
fn default_algorithms() -> Vec<Algorithm> {
    Algorithm::ASYMMETRIC.to_vec()
}

/// Servers keep their clocks within a minute.
fn default_leeway() -> u32 {
    60
}

/// Whether a token is to be believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// It is.
    #[default]
    Accepted,
    /// It is not.
    Refused,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Whether it is to be believed.
    verdict: Verdict,
    /// Why it is not.
    refusal: Option<Refusal>,
    /// What it is signed with, when it is accepted.
    algorithm: Option<Algorithm>,
    /// The name of the key, when it is accepted and the key has one.
    kid: Option<String>,
    /// The names of its claims, when it is accepted.
    claims: Vec<String>,
}

impl ReadCapability for TokenVerify {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "token_verify",
            role: crate::ROLE,
            summary: "Verifies a signed token against a key set and what is expected of it.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("verdict", "the token is accepted, or refused, as expected")],
            undo: None,
            timeout: VERIFY_TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let folder = &self.0.of(cx)?.folder;
        let file = |file: &PathBuf| Source::File(InFolder { file: file.clone() });
        let text = file(&inputs.token).text(cx, folder).await?.text;
        let keys = public_keys(&file(&inputs.keys).text(cx, folder).await?)?;
        let expect = inputs.expect;
        let expected = inputs.expected()?;
        // Editors end a file with a new line; a token has none.
        let token = text.trim_end_matches(['\r', '\n']);
        Ok(measured(token::verify(token, &keys, &expected, now_unix_s()), expect))
    }
}

/// Whoever verifies needs no private key; one that lies about is a finding of its own.
fn public_keys(text: &Text) -> Result<KeySet, Failure> {
    let keys = KeySet::parse(&text.text).map_err(|e| invalid(format!("{}: {e}", text.name)))?;
    let Some(key) = keys.private() else { return Ok(keys) };
    let name = key.kid().unwrap_or("without a name");
    let text = format!("{}: it holds the private part of key {name}", text.name);
    Err(Failure::new(ErrorClass::Denied, text)
        .help("a key set for verifying holds public keys alone: change that key"))
}

impl Inputs {
    fn expected(self) -> Result<Expected, Failure> {
        if self.leeway_s > LEEWAY_MAX_SECONDS {
            let text = format!("leeway_s: {}, at most {LEEWAY_MAX_SECONDS}", self.leeway_s);
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        if self.algorithms.is_empty() {
            return Err(invalid("algorithms: allow at least one"));
        }
        Ok(Expected {
            algorithms: self.algorithms,
            issuer: self.issuer,
            audience: self.audience,
            leeway_s: self.leeway_s,
        })
    }
}

fn measured(result: Result<(Signed, Claims), Refusal>, expect: Verdict) -> Measured<Outputs> {
    let outputs = match result {
        Ok((signed, claims)) => Outputs {
            verdict: Verdict::Accepted,
            refusal: None,
            algorithm: Some(signed.algorithm),
            kid: signed.kid,
            claims: claims.names(),
        },
        Err(refusal) => Outputs {
            verdict: Verdict::Refused,
            refusal: Some(refusal),
            algorithm: None,
            kid: None,
            claims: vec![],
        },
    };
    let why = outputs.refusal.map(|refusal| refusal.to_string()).unwrap_or_default();
    let check = Check::equal("verdict", outputs.verdict.word(), expect.word()).note(why);
    Measured::new(outputs, vec![check])
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Desk, Issuer};

    async fn run(desk: &Desk, inputs: Value) -> Result<Measured<Outputs>, Failure> {
        let inputs = serde_json::from_value(inputs).unwrap();
        TokenVerify(desk.targets()).perform(&Context::detached("shop"), inputs).await
    }

    fn with_token(expires: i64) -> (Desk, String) {
        let (desk, issuer) = (Desk::new(), Issuer::new("k1"));
        let claims = json!({"aud": "shop", "sub": "ann-the-subject", "exp": expires});
        let token = issuer.sign(&json!({"alg": "EdDSA", "kid": "k1"}), &claims);
        desk.write("token.jwt", &format!("{token}\n"));
        desk.write("jwks.json", &issuer.jwks().to_string());
        (desk, token)
    }

    fn inputs() -> Value {
        json!({"token": "token.jwt", "keys": "jwks.json", "audience": "shop"})
    }

    #[tokio::test]
    async fn a_verdict_is_told_and_the_token_is_not() {
        let (desk, token) = with_token(now_unix_s() + 600);
        let measured = run(&desk, inputs()).await.unwrap();
        assert!(measured.checks[0].pass, "{measured:?}");
        assert_eq!(measured.outputs.claims, ["aud", "exp", "sub"]);
        assert_eq!(measured.outputs.kid.as_deref(), Some("k1"));
        let told = format!("{measured:?}{}", json!(measured.outputs));
        let secrets = token.split('.').chain(["ann-the-subject"]);
        assert!(secrets.into_iter().all(|secret| !told.contains(secret)), "{told}");
    }

    #[tokio::test]
    async fn a_refusal_is_a_failure_unless_it_is_expected() {
        let (desk, _) = with_token(now_unix_s() - 600);
        let measured = run(&desk, inputs()).await.unwrap();
        assert!(!measured.checks[0].pass);
        assert_eq!(measured.outputs.refusal, Some(Refusal::Expired));
        let mut expected = inputs();
        expected["expect"] = json!("refused");
        assert!(run(&desk, expected).await.unwrap().checks[0].pass);
    }

    #[tokio::test]
    async fn bad_input_is_refused_without_telling_a_key() {
        let (desk, _) = with_token(0);
        let mut private = Issuer::new("k1").jwk();
        private["d"] = json!("s-cret");
        desk.write("leaked.json", &json!({"keys": [private]}).to_string());
        desk.write("private.json", r#"{"keys": [{"kty": "oct", "k": "s=cret"}]}"#);
        for (key, value, class) in [
            ("leeway_s", json!(301), ErrorClass::InvalidInput),
            ("algorithms", json!([]), ErrorClass::InvalidInput),
            ("token", json!("../token.jwt"), ErrorClass::Denied),
            ("keys", json!("none.json"), ErrorClass::InvalidInput),
            ("keys", json!("private.json"), ErrorClass::InvalidInput),
            ("keys", json!("leaked.json"), ErrorClass::Denied),
        ] {
            let mut inputs = inputs();
            inputs[key] = value;
            let failure = run(&desk, inputs).await.unwrap_err();
            assert_eq!(failure.class, class, "{failure:?}");
            assert!(!format!("{failure:?}").contains("cret"), "{failure:?}");
        }
        let mut none = inputs();
        none["algorithms"] = json!(["none"]);
        assert!(serde_json::from_value::<Inputs>(none).is_err());
    }
}
