//! Payment intents and refunds. Which cards are good is documented: no money moves.

use serde_json::{Value, json};

use super::{Done, text_or_null};
use crate::{params::Params, refusal::Refusal, world::World};

/// As documented for most currencies: eight digits.
const AMOUNT_MAX: i64 = 99_999_999;

/// Cards whose bank says no, with the code, the bank's reason and the words. Every other is good.
const DECLINED: [(&str, &str, &str, &str); 5] = [
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline", "Your card was declined."),
    (
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "card_declined",
        "insufficient_funds",
        "Your card has insufficient funds.",
    ),
    (
        "pm_card_visa_chargeDeclinedLostCard",
        "card_declined",
        "lost_card",
        "Your card was declined.",
    ),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card", "Your card has expired."),
    (
        "pm_card_chargeDeclinedProcessingError",
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
];

pub(super) fn create_intent(world: &mut World, params: &Params) -> Done {
    params.only(&[
        "amount",
        "currency",
        "customer",
        "capture_method",
        "confirm",
        "description",
        "payment_method",
        "metadata",
    ])?;
    let amount = params.integer("amount")?.ok_or_else(|| Refusal::missing("amount"))?;
    if !(1..=AMOUNT_MAX).contains(&amount) {
        return Err(Refusal::invalid("amount", "Invalid positive integer, or too large."));
    }
    if let Some(customer) = params.text("customer")? {
        world.named("customer", customer, "customer")?;
    }
    let method = text_or_null(params, "payment_method")?;
    let missing = method.is_null();
    let status = if missing { "requires_payment_method" } else { "requires_confirmation" };
    let fields = json!({
        "amount": amount,
        "amount_received": 0,
        "currency": params.required("currency")?.to_lowercase(),
        "customer": text_or_null(params, "customer")?,
        "capture_method": params.text("capture_method")?.unwrap_or("automatic"),
        "description": text_or_null(params, "description")?,
        "status": status,
        "payment_method": method,
        "last_payment_error": null,
        "metadata": params.metadata(&Value::Null)?,
    });
    let made = world.create("payment_intent", "pi", fields);
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    match params.boolean("confirm")? {
        Some(true) => confirm(world, &id, &Params::default()),
        Some(false) | None => Ok(made),
    }
}

pub(super) fn confirm(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["payment_method"])?;
    let intent = in_state(world, id, &["requires_confirmation", "requires_payment_method"])?;
    let Some(method) = params.text("payment_method")?.or(intent["payment_method"].as_str()) else {
        let text = "You cannot confirm this PaymentIntent because it's missing a payment method.";
        return Err(Refusal::state("payment_intent_unexpected_state", text));
    };
    if let Some((_, code, reason, message)) = DECLINED.iter().find(|(card, ..)| *card == method) {
        let refusal = Refusal::declined(code, reason, message);
        let fields = json!({
            "status": "requires_payment_method",
            "payment_method": null,
            "last_payment_error": refusal.body()["error"],
        });
        let intent = world.change(id, fields, "payment_intent.payment_failed");
        return Err(refusal.with_intent(intent));
    }
    if intent["capture_method"] == "manual" {
        let fields = json!({"status": "requires_capture"});
        return Ok(world.change(id, fields, "payment_intent.amount_capturable_updated"));
    }
    Ok(succeed(world, id, &intent))
}

pub(super) fn capture(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&[])?;
    let intent = in_state(world, id, &["requires_capture"])?;
    Ok(succeed(world, id, &intent))
}

fn succeed(world: &mut World, id: &str, intent: &Value) -> Value {
    let fields = json!({
        "status": "succeeded",
        "amount_received": intent["amount"],
        "last_payment_error": null,
    });
    world.change(id, fields, "payment_intent.succeeded")
}

pub(super) fn cancel(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["cancellation_reason"])?;
    in_state(world, id, &["requires_confirmation", "requires_payment_method", "requires_capture"])?;
    let fields = json!({"status": "canceled", "canceled_at": world.now});
    Ok(world.change(id, fields, "payment_intent.canceled"))
}

pub(super) fn refund(world: &mut World, params: &Params) -> Done {
    params.only(&["payment_intent", "amount", "reason", "metadata"])?;
    let id = params.required("payment_intent")?;
    let intent = world.named("payment_intent", id, "payment_intent")?;
    let received = intent["amount_received"].as_i64().unwrap_or_default();
    let before: i64 = world
        .of("refund")
        .filter(|refund| refund["payment_intent"] == id)
        .filter_map(|refund| refund["amount"].as_i64())
        .sum();
    let amount = params.integer("amount")?.unwrap_or(received - before);
    if received == before {
        let text = format!("PaymentIntent {id} has nothing left to refund.");
        return Err(Refusal::state("charge_already_refunded", text));
    }
    if !(1..=received - before).contains(&amount) {
        let text = format!("Refund amount ({amount}) is greater than unrefunded amount.");
        return Err(Refusal::invalid("amount", text));
    }
    let fields = json!({
        "payment_intent": id,
        "amount": amount,
        "currency": intent["currency"],
        "reason": text_or_null(params, "reason")?,
        "status": "succeeded",
        "metadata": params.metadata(&Value::Null)?,
    });
    Ok(world.create("refund", "re", fields))
}

fn in_state(world: &World, id: &str, states: &[&str]) -> Done {
    let intent = world.get("payment_intent", id)?;
    let status = intent["status"].as_str().unwrap_or_default();
    if states.contains(&status) {
        return Ok(intent);
    }
    let text = format!("This PaymentIntent's status is {status}.");
    Err(Refusal::state("payment_intent_unexpected_state", text))
}
