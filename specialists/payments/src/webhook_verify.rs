//! `payments.webhook_verify`: whether a webhook comes from the provider, and is of now.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadelus_runtime::{
    About, Check, Context, Effect, ErrorClass, Failure, Idempotency, Measured, ReadCapability,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{signature, target::Targets};

/// Nobody is asked.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A day: whoever accepts older ones accepts repeated ones.
const TOLERANCE_MAX_SECONDS: u32 = 86_400;

/// A webhook as it arrived.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The bytes of the body, never parsed and written again.
    pub body: String,
    /// The header `Stripe-Signature`.
    pub signature: String,
    /// How far its time may be from `at_unix_s`, in seconds; at most a day.
    #[serde(default = "default_tolerance_seconds")]
    pub tolerance_seconds: u32,
    /// When it arrived; now, when it is not given.
    #[serde(default)]
    pub at_unix_s: Option<i64>,
}

/// As the official clients have it.
fn default_tolerance_seconds() -> u32 {
    300
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// The event's id: the same for each repetition of it.
    pub event: String,
    /// `invoice.paid`
    pub kind: String,
}

/// `payments.webhook_verify`
#[derive(Debug, Clone)]
pub struct WebhookVerify {
    targets: Targets,
}

impl WebhookVerify {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ReadCapability for WebhookVerify {
    type Inputs = Inputs;
    type Outputs = Outputs;

    fn about(&self) -> About {
        About {
            verb: "webhook_verify",
            role: crate::ROLE,
            summary: "Proves that a webhook comes from the provider, and is of now.",
            effect: Effect::Read,
            idempotency: Idempotency::Natural,
            checks: &[("signature", "believed, or why not")],
            undo: None,
            timeout: TIMEOUT,
            locks: &[],
        }
    }

    async fn perform(&self, cx: &Context, inputs: Inputs) -> Result<Measured<Outputs>, Failure> {
        let secrets = &self.targets.of(cx)?.webhook_secrets;
        if secrets.is_empty() {
            let text = "no secret of a webhook is configured for this target";
            return Err(Failure::new(ErrorClass::Unsupported, text)
                .help("name it in `webhook_secrets`, in the payments specialist's configuration"));
        }
        if inputs.tolerance_seconds > TOLERANCE_MAX_SECONDS {
            let text = format!("tolerance_seconds: at most {TOLERANCE_MAX_SECONDS}");
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        let now = inputs.at_unix_s.unwrap_or_else(now_unix_s);
        let tolerance = i64::from(inputs.tolerance_seconds);
        let verdict = signature::verify(&inputs.body, &inputs.signature, secrets, tolerance, now);
        let said = verdict.map_or_else(|reason| reason.to_string(), |()| "believed".to_owned());
        let checks = vec![Check::equal("signature", said, "believed".to_owned())];
        // What is not believed is not read.
        let event = if verdict.is_ok() { read(&inputs.body)? } else { Value::Null };
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        Ok(Measured::new(Outputs { event: text("id"), kind: text("type") }, checks))
    }
}

fn read(body: &str) -> Result<Value, Failure> {
    serde_json::from_str(body)
        .map_err(|e| Failure::new(ErrorClass::InvalidInput, format!("body: signed, but {e}")))
}

fn now_unix_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::Shop;

    #[tokio::test]
    async fn a_target_without_secrets_believes_nothing_and_one_with_them_only_what_is_signed() {
        let asked = |signature: &str| Inputs {
            body: "{}".to_owned(),
            signature: signature.to_owned(),
            tolerance_seconds: 300,
            at_unix_s: None,
        };
        let shop = Shop::open().await;
        let refused = WebhookVerify::new(shop.targets.clone()).perform(&shop.cx, asked("")).await;
        assert_eq!(refused.unwrap_err().class, ErrorClass::Unsupported);

        let shop = Shop::with(json!({"webhook_secrets": ["whsec_hunter2"]})).await;
        let verify = WebhookVerify::new(shop.targets.clone());
        let judged = verify.perform(&shop.cx, asked("t=1,v1=00")).await.unwrap();
        assert!(!judged.checks[0].pass, "{:?}", judged.checks);
        assert!(!format!("{judged:?}").contains("hunter2"));
        let too_much = Inputs { tolerance_seconds: u32::MAX, ..asked("t=1,v1=00") };
        let refused = verify.perform(&shop.cx, too_much).await.unwrap_err();
        assert_eq!(refused.class, ErrorClass::InvalidInput);
    }
}
