//! `payments.refund`: whoever paid under keys of one kind has the money back. The way back of
//! [`crate::Drill`]; a refund stays in the provider's books and is listed.

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Hazard,
    Idempotency, Measured, Prepared,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::{Client, Fault},
    made::{self, Made},
    target::Targets,
};

/// Some hundred requests, one after the other.
const TIMEOUT: Duration = Duration::from_secs(600);
/// A shorter beginning would be that of strangers' keys too.
const PREFIX_MIN_CHARS: usize = 8;

/// Whose money goes back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// How the keys of the payments begin; at least 8 characters.
    pub keys_begin: String,
}

/// What was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// Payments that were looked at.
    pub payments: usize,
    /// Those whose money went back, by the provider's id.
    pub refunded: Vec<String>,
    /// Those that were never paid and cannot be any more.
    pub canceled: Vec<String>,
}

/// Nothing more than the inputs say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {}

/// `payments.refund`
#[derive(Debug, Clone)]
pub struct Refund {
    targets: Targets,
}

impl Refund {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for Refund {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "refund",
            role: crate::ROLE,
            summary: "Gives the money back that was paid under keys of one kind.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Natural,
            checks: &[
                ("not_given_back", "what customers paid and have not got back, in cents"),
                ("still_open", "payments that could still be paid"),
            ],
            undo: None,
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    fn hazards(&self) -> &'static [Hazard] {
        &[Hazard::Money]
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        if inputs.keys_begin.chars().count() < PREFIX_MIN_CHARS {
            let text = format!("keys_begin: less than {PREFIX_MIN_CHARS} characters");
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        self.targets.open(cx)?;
        Ok(Prepared { before: Before {}, undo: None })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let client = self.targets.open(cx)?;
        let payments = made::under(&client, &inputs.keys_begin).await;
        let payments = payments.map_err(|fault| fault.untouched("reading the payments"))?;
        for payment in &payments {
            give_back(&client, payment).await.map_err(|fault| fault.begun("giving money back"))?;
        }
        let now = made::under(&client, &inputs.keys_begin).await;
        Ok(measured(&now.map_err(|fault| fault.begun("reading the payments"))?))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        _: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let client = self.targets.open(cx)?;
        let now = made::under(&client, &inputs.keys_begin).await;
        let now = now.map_err(|fault| fault.untouched("reading the payments"))?;
        Ok(if now.iter().all(|payment| payment.kept() == 0 && !payment.is_open()) {
            Found::Done(measured(&now))
        } else {
            Found::Partly
        })
    }
}

/// The look before says what is left, and the key is the payment's own: twice is once.
async fn give_back(client: &Client, payment: &Made) -> Result<(), Fault> {
    let id = &payment.id;
    if payment.is_open() {
        let key = format!("cancel-{id}");
        client.post(&format!("/v1/payment_intents/{id}/cancel"), &[], Some(&key)).await?;
    } else if payment.kept() > 0 {
        let form = [("payment_intent".to_owned(), id.clone())];
        let key = format!("refund-{id}-{}", payment.refunded);
        client.post("/v1/refunds", &form, Some(&key)).await?;
    }
    Ok(())
}

fn measured(payments: &[Made]) -> Measured<Outputs> {
    let ids = |which: fn(&&Made) -> bool| -> Vec<String> {
        payments.iter().filter(which).map(|payment| payment.id.clone()).collect()
    };
    let kept: i64 = payments.iter().map(Made::kept).sum();
    let open = payments.iter().filter(|payment| payment.is_open()).count();
    let checks = vec![Check::equal("not_given_back", kept, 0), Check::equal("still_open", open, 0)];
    let outputs = Outputs {
        payments: payments.len(),
        refunded: ids(|payment| payment.refunded > 0),
        canceled: ids(|payment| payment.status == "canceled"),
    };
    let stays = |p: &Made| format!("payment {} of {} {} is refunded", p.id, p.received, p.currency);
    let residue = payments.iter().filter(|payment| payment.refunded > 0).map(stays).collect();
    Measured::new(outputs, checks).residue(residue)
}

#[cfg(test)]
mod tests {
    use deadelus_provider::Fault as Trapped;

    use super::*;
    use crate::testing::Shop;

    async fn pay(shop: &Shop, key: &str, confirm: &str) -> String {
        let form = [
            ("amount", "1999"),
            ("currency", "eur"),
            ("payment_method", "pm_card_visa"),
            ("confirm", confirm),
            ("metadata[payment_key]", key),
        ];
        let paid = shop.post("/v1/payment_intents", &form).await;
        paid["id"].as_str().unwrap().to_owned()
    }

    async fn refund(shop: &Shop) -> Result<Measured<Outputs>, Failure> {
        let inputs = Inputs { keys_begin: "trial-07-".to_owned() };
        Refund::new(shop.targets.clone()).perform(&shop.cx, &inputs, &Before {}).await
    }

    #[tokio::test]
    async fn what_was_paid_goes_back_once_and_nobody_elses_money() {
        let shop = Shop::open().await;
        let paid = pay(&shop, "trial-07-a", "true").await;
        let open = pay(&shop, "trial-07-b", "false").await;
        let other = pay(&shop, "trial-08-a", "true").await;
        for _ in 0..2 {
            let done = refund(&shop).await.unwrap();
            assert!(done.checks.iter().all(|check| check.pass), "{:?}", done.checks);
            assert_eq!(done.outputs.refunded, [paid.as_str()]);
            assert_eq!(done.outputs.canceled, [open.as_str()]);
            assert_eq!(done.residue, [format!("payment {paid} of 1999 eur is refunded")]);
        }
        let client = shop.targets.open(&shop.cx).unwrap();
        let others = made::under(&client, "trial-08-").await.unwrap();
        assert_eq!((others[0].id.clone(), others[0].kept()), (other, 1999));
    }

    #[tokio::test]
    async fn whatever_goes_wrong_the_next_try_finishes() {
        for fault in [Trapped::LostAnswer, Trapped::ServerErrorAfter, Trapped::TooManyRequests] {
            let shop = Shop::open().await;
            pay(&shop, "trial-07-a", "true").await;
            pay(&shop, "trial-07-b", "true").await;
            shop.trap(fault, "/v1/refunds", 1);
            let failure = refund(&shop).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::UnknownOutcome, "{fault:?}");
            let done = refund(&shop).await.unwrap();
            assert!(done.checks.iter().all(|check| check.pass), "{fault:?} {:?}", done.checks);
        }
    }

    #[tokio::test]
    async fn a_beginning_that_says_nothing_is_refused() {
        let shop = Shop::open().await;
        let inputs = Inputs { keys_begin: "t".to_owned() };
        let refused = Refund::new(shop.targets.clone()).prepare(&shop.cx, &inputs).await;
        assert_eq!(refused.map(|_| ()).unwrap_err().class, ErrorClass::InvalidInput);
    }
}
