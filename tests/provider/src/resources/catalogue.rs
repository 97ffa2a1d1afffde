//! Products and prices. What a price says cannot be changed, and it cannot be deleted.

use serde_json::{Map, Value, json};

use super::{Done, text_or_null};
use crate::{calendar, params::Params, refusal::Refusal, world::World};

pub(super) fn create_product(world: &mut World, params: &Params) -> Done {
    params.only(&["id", "name", "description", "active", "metadata"])?;
    let mut fields = json!({
        "name": params.required("name")?,
        "description": text_or_null(params, "description")?,
        "active": params.boolean("active")?.unwrap_or(true),
        "metadata": params.metadata(&Value::Null)?,
        "updated": world.now,
    });
    if let Some(id) = params.text("id")? {
        if world.get("product", id).is_ok() {
            return Err(Refusal::exists("id", format!("Product already exists: {id}")));
        }
        fields["id"] = id.into();
    }
    Ok(world.create("product", "prod", fields))
}

pub(super) fn update_product(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["name", "description", "active", "metadata"])?;
    let before = world.get("product", id)?;
    let mut fields = Map::new();
    if params.text("name")?.is_some() {
        fields.insert("name".to_owned(), params.required("name")?.into());
    }
    if params.text("description")?.is_some() {
        fields.insert("description".to_owned(), text_or_null(params, "description")?);
    }
    if let Some(active) = params.boolean("active")? {
        fields.insert("active".to_owned(), active.into());
    }
    fields.insert("metadata".to_owned(), params.metadata(&before["metadata"])?);
    Ok(world.change(id, fields.into(), "product.updated"))
}

/// Whether nothing is sold under it.
pub(super) fn deletable(world: &World, id: &str) -> Result<(), Refusal> {
    let text = "This product cannot be deleted because it has one or more user-created prices.";
    let used = world.of("price").any(|price| price["product"] == id && price["inline"] != true);
    if used { Err(Refusal::state("resource_in_use", text)) } else { Ok(()) }
}

pub(super) fn create_price(world: &mut World, params: &Params) -> Done {
    params.only(&[
        "product",
        "currency",
        "unit_amount",
        "recurring",
        "active",
        "nickname",
        "lookup_key",
        "transfer_lookup_key",
        "metadata",
    ])?;
    let mut fields = terms(world, params)?;
    fields["active"] = params.boolean("active")?.unwrap_or(true).into();
    fields["nickname"] = text_or_null(params, "nickname")?;
    fields["lookup_key"] = text_or_null(params, "lookup_key")?;
    fields["metadata"] = params.metadata(&Value::Null)?;
    claim(world, params, "")?;
    Ok(world.create("price", "price", fields))
}

/// A price for one subscription: nobody else can buy it, and its product can be deleted.
pub(super) fn create_inline_price(world: &mut World, params: &Params) -> Done {
    params.only(&["product", "currency", "unit_amount", "recurring"])?;
    let mut fields = terms(world, params)?;
    if fields["recurring"].is_null() {
        return Err(Refusal::missing("items[0][price_data][recurring]"));
    }
    fields["active"] = false.into();
    fields["inline"] = true.into();
    Ok(world.create("price", "price", fields))
}

/// What a price says.
fn terms(world: &World, params: &Params) -> Done {
    let product = params.required("product")?;
    world.named("product", product, "product")?;
    let currency = params.required("currency")?.to_lowercase();
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(Refusal::invalid("currency", format!("Invalid currency: {currency}")));
    }
    let amount = params.integer("unit_amount")?.ok_or_else(|| Refusal::missing("unit_amount"))?;
    if amount < 0 {
        return Err(Refusal::invalid("unit_amount", "This value must be at least 0."));
    }
    let recurring = recurring(params)?;
    Ok(json!({
        "product": product,
        "currency": currency,
        "unit_amount": amount,
        "type": if recurring.is_null() { "one_time" } else { "recurring" },
        "recurring": recurring,
        "billing_scheme": "per_unit",
    }))
}

pub(super) fn update_price(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["active", "nickname", "lookup_key", "transfer_lookup_key", "metadata"])?;
    let before = world.get("price", id)?;
    let mut fields = Map::new();
    if let Some(active) = params.boolean("active")? {
        fields.insert("active".to_owned(), active.into());
    }
    for name in ["nickname", "lookup_key"] {
        if params.text(name)?.is_some() {
            fields.insert(name.to_owned(), text_or_null(params, name)?);
        }
    }
    fields.insert("metadata".to_owned(), params.metadata(&before["metadata"])?);
    claim(world, params, id)?;
    Ok(world.change(id, fields.into(), "price.updated"))
}

/// A lookup key has one holder; it is taken from another only when the request says so.
fn claim(world: &mut World, params: &Params, by: &str) -> Result<(), Refusal> {
    let Some(key) = params.text("lookup_key")?.filter(|key| !key.is_empty()) else {
        return Ok(());
    };
    let holder = world.of("price").find(|price| price["lookup_key"] == key && price["id"] != by);
    let Some(holder) = holder.and_then(|price| price["id"].as_str()).map(str::to_owned) else {
        return Ok(());
    };
    if params.boolean("transfer_lookup_key")? != Some(true) {
        let text = format!("A price ({holder}) already uses that lookup key.");
        return Err(Refusal::exists("lookup_key", text));
    }
    world.change(&holder, json!({"lookup_key": null}), "price.updated");
    Ok(())
}

fn recurring(params: &Params) -> Done {
    let Some(recurring) = params.inner("recurring")? else { return Ok(Value::Null) };
    recurring.only(&["interval", "interval_count"])?;
    let interval = recurring.required("interval")?;
    let count = recurring.integer("interval_count")?.unwrap_or(1);
    if count < 1 || calendar::period_start(0, interval, count, 1).is_none() {
        return Err(Refusal::invalid("recurring[interval]", "must be day, week, month or year"));
    }
    Ok(json!({"interval": interval, "interval_count": count, "usage_type": "licensed"}))
}
