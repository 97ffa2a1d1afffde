//! Customers, and endpoints that events are sent to.

use serde_json::{Map, Value, json};

use super::{Done, text_or_null};
use crate::{params::Params, refusal::Refusal, world::World};

pub(super) fn create_customer(world: &mut World, params: &Params) -> Done {
    params.only(&[
        "email",
        "name",
        "description",
        "metadata",
        "test_clock",
        "payment_method",
        "invoice_settings",
    ])?;
    let settings = params.inner("invoice_settings")?.unwrap_or_default();
    settings.only(&["default_payment_method"])?;
    if let Some(clock) = params.text("test_clock")? {
        world.named("test_helpers.test_clock", clock, "test_clock")?;
    }
    let fields = json!({
        "email": text_or_null(params, "email")?,
        "name": text_or_null(params, "name")?,
        "description": text_or_null(params, "description")?,
        "test_clock": text_or_null(params, "test_clock")?,
        "invoice_settings": {
            "default_payment_method": text_or_null(&settings, "default_payment_method")?,
        },
        "metadata": params.metadata(&Value::Null)?,
    });
    Ok(world.create("customer", "cus", fields))
}

pub(super) fn update_customer(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["email", "name", "description", "metadata"])?;
    let before = world.get("customer", id)?;
    let mut fields = Map::new();
    for name in ["email", "name", "description"] {
        if params.text(name)?.is_some() {
            fields.insert(name.to_owned(), text_or_null(params, name)?);
        }
    }
    fields.insert("metadata".to_owned(), params.metadata(&before["metadata"])?);
    Ok(world.change(id, fields.into(), "customer.updated"))
}

pub(super) fn create_endpoint(world: &mut World, params: &Params) -> Done {
    params.only(&["url", "enabled_events", "description", "metadata"])?;
    let events = params.texts("enabled_events")?;
    let number = world.objects.len();
    let fields = json!({
        "url": params.required("url")?,
        "enabled_events": events.ok_or_else(|| Refusal::missing("enabled_events"))?,
        "description": text_or_null(params, "description")?,
        "status": "enabled",
        "secret": format!("whsec_provider{number:08}"),
        "metadata": params.metadata(&Value::Null)?,
    });
    Ok(world.create("webhook_endpoint", "we", fields))
}

pub(super) fn update_endpoint(world: &mut World, id: &str, params: &Params) -> Done {
    params.only(&["url", "enabled_events", "metadata"])?;
    let before = world.get("webhook_endpoint", id)?;
    let mut fields = Map::new();
    if params.text("url")?.is_some() {
        fields.insert("url".to_owned(), params.required("url")?.into());
    }
    if let Some(events) = params.texts("enabled_events")? {
        fields.insert("enabled_events".to_owned(), events.into());
    }
    fields.insert("metadata".to_owned(), params.metadata(&before["metadata"])?);
    Ok(world.change(id, fields.into(), ""))
}
