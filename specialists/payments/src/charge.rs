//! `payments.charge`: one payment, once, whoever asks how often. Taken back by [`crate::Refund`]; the
//! payment and its refund stay in the provider's books.
//!
//! A declined card is a check that fails, with the bank's reason: the runtime takes the open payment
//! back at once, so that nobody can pay it later.

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Hazard,
    Idempotency, Measured, Prepared, Undo, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    catalogue::declared::is_currency,
    client::{Client, Fault, Form},
    made::{self, KEY, Made},
    refund,
    target::Targets,
};

/// A look, a payment, and a look; each at most as long as the target allows.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Of one payment, in the smallest unit: eight digits, as the provider documents it.
const AMOUNT_MAX: i64 = 99_999_999;
/// The provider's kind of error when a card's bank says no.
const CARD_ERROR: &str = "card_error";
/// How often it is asked for: an answer may be lost, and a failure is repeated under its key.
const TRIES_MAX: u32 = 4;
/// A provider that has too much to do is left alone for so long.
const PAUSE: Duration = Duration::from_millis(200);

/// What is paid.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// In the currency's smallest unit; 1 to 99,999,999.
    #[schemars(range(min = 1, max = 99_999_999))]
    pub amount: i64,
    /// ISO 4217, in small letters: `eur`.
    pub currency: String,
    /// The provider's payment method: `pm_card_visa` is its card for tests.
    pub payment_method: String,
    /// The provider's customer who has it.
    #[serde(default)]
    pub customer: Option<String>,
}

/// What was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outputs {
    /// The key that the payment remembers.
    pub key: String,
    /// The provider's id of it.
    pub payment: String,
    /// `succeeded`; `requires_action` when its owner must still agree, and nothing is paid yet.
    pub status: String,
    /// What was received, in the currency's smallest unit.
    pub received: i64,
}

/// What is known before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Before {
    /// The same in every attempt.
    key: String,
}

/// `payments.charge`
#[derive(Debug, Clone)]
pub struct Charge {
    targets: Targets,
}

impl Charge {
    /// For these providers.
    pub(crate) fn new(targets: Targets) -> Self {
        Self { targets }
    }
}

impl ChangeCapability for Charge {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "charge",
            role: crate::ROLE,
            summary: "Takes one payment, once, however often it is asked for.",
            effect: Effect::Compensatable,
            idempotency: Idempotency::Keyed,
            checks: &[
                ("payments_under_the_key", "the provider has exactly one"),
                ("amount", "it is of the amount and the currency that were asked for"),
                (
                    "status",
                    "it is paid, or its owner must still agree; a declined card tells the bank's reason",
                ),
            ],
            undo: Some(UndoPromise { verb: "refund", class: UndoClass::Semantic }),
            timeout: TIMEOUT,
            locks: &["payments:{target}"],
        }
    }

    fn hazards(&self) -> &'static [Hazard] {
        &[Hazard::Money]
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        inputs.check()?;
        let client = self.targets.open(cx)?;
        let key = format!("charge-{}", cx.key().effect_key());
        look(&client, &key).await.map_err(|fault| fault.untouched("reading the payments"))?;
        let back = refund::Inputs { keys_begin: key.clone() };
        let stays = "the payment stays in the books, refunded".to_owned();
        let undo = Undo::exact("payments.refund", &back).leaving(vec![stays]);
        Ok(Prepared { before: Before { key }, undo: Some(undo) })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let client = self.targets.open(cx)?;
        pay(&client, inputs, &before.key).await?;
        let made = look(&client, &before.key).await;
        measured(inputs, before, &made.map_err(|fault| fault.begun("reading the payment"))?)
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let made = look(&self.targets.open(cx)?, &before.key).await;
        let made = made.map_err(|fault| fault.untouched("reading the payments"))?;
        if made.is_empty() {
            return Ok(Found::NotBegun);
        }
        measured(inputs, before, &made).map(Found::Done)
    }
}

impl Inputs {
    fn check(&self) -> Result<(), Failure> {
        let invalid = |text: &str| Err(Failure::new(ErrorClass::InvalidInput, text));
        if !(1..=AMOUNT_MAX).contains(&self.amount) {
            return invalid("amount: 1 to 99,999,999 of the currency's smallest unit");
        }
        if !is_currency(&self.currency) {
            return invalid("currency: a code of ISO 4217, in small letters");
        }
        if self.payment_method.is_empty() {
            return invalid("payment_method: is empty");
        }
        Ok(())
    }

    fn form(&self, key: &str) -> Form {
        let mut form = vec![
            ("amount".to_owned(), self.amount.to_string()),
            ("currency".to_owned(), self.currency.clone()),
            ("payment_method".to_owned(), self.payment_method.clone()),
            ("confirm".to_owned(), "true".to_owned()),
            (format!("metadata[{KEY}]"), key.to_owned()),
        ];
        form.extend(self.customer.iter().map(|one| ("customer".to_owned(), one.clone())));
        form
    }
}

/// Exactly this key's, not those whose key begins so.
async fn look(client: &Client, key: &str) -> Result<Vec<Made>, Fault> {
    let mut made = made::under(client, key).await?;
    made.retain(|payment| payment.key == key);
    Ok(made)
}

/// The payment is there afterwards, paid or declined. Looks before it asks again: what was lost or failed may be done.
async fn pay(client: &Client, inputs: &Inputs, key: &str) -> Result<(), Failure> {
    let (mut begun, mut broken) = (false, 0);
    for _ in 0..TRIES_MAX {
        let made = look(client, key).await;
        let made =
            made.map_err(|f| if begun { f.begun("paying") } else { f.untouched("paying") })?;
        if !made.is_empty() {
            return Ok(());
        }
        match client
            .post("/v1/payment_intents", &inputs.form(key), Some(&format!("{key}.{broken}")))
            .await
        {
            Ok(_) => return Ok(()),
            // Its reason stands in the payment that was refused.
            Err(Fault::Refused { kind, .. }) if kind == CARD_ERROR => return Ok(()),
            Err(Fault::Broken { .. }) => (begun, broken) = (true, broken + 1),
            Err(Fault::Lost(_)) => begun = true,
            Err(Fault::Busy) => tokio::time::sleep(PAUSE).await,
            Err(fault @ (Fault::Unreachable | Fault::Refused { .. } | Fault::Truncated { .. })) => {
                return Err(if begun { fault.begun("paying") } else { fault.untouched("paying") });
            }
        }
    }
    let text = format!("paying: the provider failed {TRIES_MAX} times");
    let class = if begun { ErrorClass::UnknownOutcome } else { ErrorClass::Unavailable };
    Err(Failure::new(class, text).help("is it well? the payment is looked for before the next try"))
}

fn measured(inputs: &Inputs, before: &Before, made: &[Made]) -> Result<Measured<Outputs>, Failure> {
    let Some(paid) = made.first() else {
        let text = "the payment was made and is not there";
        return Err(Failure::new(ErrorClass::UnknownOutcome, text));
    };
    let status = match (paid.status.as_str(), &paid.declined) {
        ("succeeded" | "requires_action", _) => "well".to_owned(),
        (_, Some(reason)) => format!("declined: {reason}"),
        (other, None) => other.to_owned(),
    };
    let asked = format!("{} {}", inputs.amount, inputs.currency);
    let checks = vec![
        Check::equal("payments_under_the_key", made.len(), 1),
        Check::equal("amount", format!("{} {}", paid.amount, paid.currency), asked),
        Check::equal("status", status, "well".to_owned()),
    ];
    let outputs = Outputs {
        key: before.key.clone(),
        payment: paid.id.clone(),
        status: paid.status.clone(),
        received: paid.received,
    };
    Ok(Measured::new(outputs, checks))
}

#[cfg(test)]
mod tests;
