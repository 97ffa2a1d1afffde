//! Test clocks and subscriptions. One invoice per period, paid at once; no proration, no dunning.

use serde_json::{Map, Value, json};

use super::{Done, catalogue};
use crate::{calendar, params::Params, refusal::Refusal, world::World};

const CLOCK: &str = "test_helpers.test_clock";

/// Periods that one advance of a clock may bill: a daily price over two years.
const ADVANCE_PERIODS_MAX: usize = 800;

pub(super) fn create_clock(world: &mut World, params: &Params) -> Done {
    params.only(&["frozen_time", "name"])?;
    let time = params.integer("frozen_time")?.ok_or_else(|| Refusal::missing("frozen_time"))?;
    let name = params.text("name")?;
    let fields = json!({"frozen_time": time, "name": name, "status": "ready"});
    Ok(world.create(CLOCK, "clock", fields))
}

pub(super) fn advance(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["frozen_time"])?;
    let clock = world.get(CLOCK, id)?;
    let time = params.integer("frozen_time")?.ok_or_else(|| Refusal::missing("frozen_time"))?;
    if clock["frozen_time"].as_i64().is_some_and(|now| time <= now) {
        return Err(Refusal::invalid("frozen_time", "Must be later than the clock's time."));
    }
    let on_clock = |subscription: &&Value| {
        subscription["test_clock"] == id && subscription["status"] == "active"
    };
    let due: Vec<String> = world
        .of("subscription")
        .filter(on_clock)
        .filter_map(|subscription| subscription["id"].as_str().map(str::to_owned))
        .collect();
    for subscription in due {
        bill_until(world, &subscription, time)?;
    }
    Ok(world.change(id, json!({"frozen_time": time}), "test_helpers.test_clock.ready"))
}

pub(super) fn subscribe(world: &mut World, params: &Params) -> Done {
    params.only(&["customer", "items", "metadata", "cancel_at_period_end"])?;
    let customer = world.named("customer", params.required("customer")?, "customer")?;
    let items = params.inner("items")?.unwrap_or_default();
    let item = items.inner("0")?.ok_or_else(|| Refusal::missing("items"))?;
    items.only(&["0"])?;
    item.only(&["price", "price_data", "quantity"])?;
    let price = price_of(world, &item)?;
    let start = now(world, &customer["test_clock"]);
    let fields = json!({
        "customer": customer["id"],
        "test_clock": customer["test_clock"],
        "status": "active",
        "currency": price["currency"],
        "billing_cycle_anchor": start,
        "start_date": start,
        "cancel_at_period_end": params.boolean("cancel_at_period_end")?.unwrap_or(false),
        "items": {"object": "list", "has_more": false, "data": [{
            "object": "subscription_item",
            "price": price,
            "quantity": item.integer("quantity")?.unwrap_or(1),
        }]},
        "metadata": params.metadata(&Value::Null)?,
    });
    let made = world.create("subscription", "sub", fields);
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    bill(world, &id, 0)
}

/// One that is sold, or one that is made for this subscription alone.
fn price_of(world: &mut World, item: &Params) -> Done {
    if let Some(data) = item.inner("price_data")? {
        return catalogue::create_inline_price(world, &data);
    }
    let price = world.named("price", item.required("price")?, "items[0][price]")?;
    if price["recurring"].is_null() || price["active"] != true {
        return Err(Refusal::invalid("items[0][price]", "The price must be active and recurring."));
    }
    Ok(price)
}

pub(super) fn update_subscription(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["cancel_at_period_end", "metadata"])?;
    let before = world.get("subscription", id)?;
    let mut fields = Map::new();
    if let Some(cancel) = params.boolean("cancel_at_period_end")? {
        fields.insert("cancel_at_period_end".to_owned(), cancel.into());
    }
    fields.insert("metadata".to_owned(), params.metadata(&before["metadata"])?);
    Ok(world.change(id, fields.into(), "customer.subscription.updated"))
}

/// Those that have ended are shown only to whoever asks for them, or for `all`.
pub(super) fn is_listed(subscription: &Value, params: &Params) -> Result<bool, Refusal> {
    Ok(match params.text("status")? {
        None => subscription["status"] != "canceled",
        Some("all") => true,
        Some(status) => subscription["status"] == status,
    })
}

/// What has ended already is not there to be ended.
pub(super) fn cancel(world: &mut World, id: &str) -> Done {
    let subscription = world.get("subscription", id)?;
    if subscription["status"] == "canceled" {
        return Err(Refusal::no_such(404, "subscription", id, "id"));
    }
    let at = now(world, &subscription["test_clock"]);
    let fields = json!({"status": "canceled", "canceled_at": at, "ended_at": at});
    Ok(world.change(id, fields, "customer.subscription.deleted"))
}

/// Every period that begins until then, or the end of the subscription.
fn bill_until(world: &mut World, id: &str, until: i64) -> Result<(), Refusal> {
    for _ in 0..ADVANCE_PERIODS_MAX {
        let subscription = world.get("subscription", id)?;
        let end = subscription["current_period_end"].as_i64().unwrap_or(i64::MAX);
        if end > until {
            return Ok(());
        }
        if subscription["cancel_at_period_end"] == true {
            let fields = json!({"status": "canceled", "ended_at": end});
            world.change(id, fields, "customer.subscription.deleted");
            return Ok(());
        }
        bill(world, id, subscription["period"].as_i64().unwrap_or_default() + 1)?;
    }
    Err(Refusal::invalid("frozen_time", "Too far: advance in smaller steps."))
}

/// Begins the `n`th period: one invoice, paid.
fn bill(world: &mut World, id: &str, n: i64) -> Done {
    let subscription = world.get("subscription", id)?;
    let item = &subscription["items"]["data"][0];
    let recurring = &item["price"]["recurring"];
    let start_of = |n: i64| {
        let anchor = subscription["billing_cycle_anchor"].as_i64()?;
        let count = recurring["interval_count"].as_i64()?;
        calendar::period_start(anchor, recurring["interval"].as_str()?, count, n)
    };
    let (Some(start), Some(end)) = (start_of(n), start_of(n + 1)) else {
        return Err(Refusal::invalid("frozen_time", "The calendar ends before that."));
    };
    let of = |value: &Value| value.as_i64().unwrap_or_default();
    let amount = of(&item["price"]["unit_amount"]).saturating_mul(of(&item["quantity"]));
    let payment = world.create(
        "payment_intent",
        "pi",
        json!({
            "amount": amount,
            "amount_received": amount,
            "currency": subscription["currency"],
            "customer": subscription["customer"],
            "status": "succeeded",
            "metadata": {},
            "created": start,
        }),
    );
    let invoice = json!({
        "customer": subscription["customer"],
        "payment_intent": payment["id"],
        "subscription": id,
        "parent": {
            "type": "subscription_details",
            "subscription_details": {"subscription": id},
        },
        "currency": subscription["currency"],
        "amount_due": amount,
        "amount_paid": amount,
        "amount_remaining": 0,
        "total": amount,
        "status": "paid",
        "billing_reason": if n == 0 { "subscription_create" } else { "subscription_cycle" },
        "period_start": start,
        "period_end": end,
        "lines": {"object": "list", "has_more": false, "data": [{
            "object": "line_item",
            "amount": amount,
            "currency": subscription["currency"],
            "period": {"start": start, "end": end},
        }]},
        "created": start,
    });
    let invoice = world.create("invoice", "in", invoice);
    world.change(invoice["id"].as_str().unwrap_or_default(), json!({}), "invoice.paid");
    let fields = json!({
        "period": n,
        "current_period_start": start,
        "current_period_end": end,
        "latest_invoice": invoice["id"],
    });
    Ok(world.change(id, fields, "customer.subscription.updated"))
}

/// A clock takes with it whoever lives by it, and all that was billed to them.
pub(super) fn delete_clock(world: &mut World, id: &str) {
    let customers: Vec<Value> = world
        .of("customer")
        .filter(|customer| customer["test_clock"] == id)
        .map(|customer| customer["id"].clone())
        .collect();
    world.objects.retain(|object| {
        let gone = customers.iter().any(|one| object["customer"] == *one || object["id"] == *one);
        object["id"] != id && !gone
    });
}

/// The time on a clock; the world's without one.
fn now(world: &World, clock: &Value) -> i64 {
    let id = clock.as_str().unwrap_or_default();
    let time = world.get(CLOCK, id).ok().and_then(|clock| clock["frozen_time"].as_i64());
    time.unwrap_or(world.now)
}
