//! What there is, and what can be done with it.

mod billing;
mod catalogue;
mod money;
mod people;

use serde_json::{Value, json};

use crate::{page, params::Params, refusal::Refusal, world::World};

type Done = Result<Value, Refusal>;

/// What every list takes.
const LIST: [&str; 4] = ["limit", "starting_after", "ending_before", "created"];

/// Does what the method and the path ask for; none when there is no such thing.
pub(crate) fn route(
    world: &mut World,
    method: &str,
    parts: &[&str],
    params: &Params,
) -> Option<Done> {
    Some(match (method, parts) {
        ("POST", ["v1", kind]) => create(world, kind, params)?,
        ("GET", ["v1", kind]) => list(world, kind, params)?,
        ("GET", ["v1", kind, id]) => world.get(kind_of(kind)?.object, id).map(without_secret),
        ("POST", ["v1", kind, id]) => update(world, kind, id, params)?.map(without_secret),
        ("DELETE", ["v1", kind, id]) => delete(world, kind, id)?,
        ("POST", ["v1", kind, id, verb]) => act(world, (kind, verb), id, params)?,
        _ => return None,
    })
}

struct Kind {
    object: &'static str,
    /// What a list of them can be narrowed by: fields that must be equal.
    filters: &'static [&'static str],
}

fn kind_of(path: &str) -> Option<Kind> {
    let (object, filters): (_, &[&str]) = match path {
        "products" => ("product", &["active"]),
        "prices" => ("price", &["active", "product", "currency", "type", "lookup_key"]),
        "customers" => ("customer", &["email", "test_clock"]),
        "subscriptions" => ("subscription", &["customer"]),
        "invoices" => ("invoice", &["customer", "subscription", "status"]),
        "payment_intents" => ("payment_intent", &["customer"]),
        "refunds" => ("refund", &["payment_intent"]),
        "test_clocks" => ("test_helpers.test_clock", &[]),
        "webhook_endpoints" => ("webhook_endpoint", &[]),
        "events" => ("event", &["type"]),
        _ => return None,
    };
    Some(Kind { object, filters })
}

fn create(world: &mut World, kind: &str, params: &Params) -> Option<Done> {
    Some(match kind {
        "products" => catalogue::create_product(world, params),
        "prices" => catalogue::create_price(world, params),
        "customers" => people::create_customer(world, params),
        "webhook_endpoints" => people::create_endpoint(world, params),
        "test_clocks" => billing::create_clock(world, params),
        "subscriptions" => billing::subscribe(world, params),
        "payment_intents" => money::create_intent(world, params),
        "refunds" => money::refund(world, params),
        _ => return None,
    })
}

fn update(world: &mut World, kind: &str, id: &str, params: &Params) -> Option<Done> {
    Some(match kind {
        "products" => catalogue::update_product(world, id, params),
        "prices" => catalogue::update_price(world, id, params),
        "customers" => people::update_customer(world, id, params),
        "webhook_endpoints" => people::update_endpoint(world, id, params),
        "subscriptions" => billing::update_subscription(world, id, params),
        _ => return None,
    })
}

fn act(world: &mut World, (kind, verb): (&str, &str), id: &str, params: &Params) -> Option<Done> {
    Some(match (kind, verb) {
        ("test_clocks", "advance") => billing::advance(world, id, params),
        ("payment_intents", "confirm") => money::confirm(world, id, params),
        ("payment_intents", "capture") => money::capture(world, id, params),
        ("payment_intents", "cancel") => money::cancel(world, id, params),
        _ => return None,
    })
}

/// Prices are not among what can be deleted.
fn delete(world: &mut World, kind: &str, id: &str) -> Option<Done> {
    let object = kind_of(kind)?.object;
    match kind {
        "products" | "customers" | "webhook_endpoints" | "test_clocks" => {}
        "subscriptions" => return Some(billing::cancel(world, id)),
        _ => return None,
    }
    Some(world.get(object, id).and_then(|_| {
        if kind == "products" {
            catalogue::deletable(world, id)?;
        }
        if kind == "test_clocks" {
            billing::delete_clock(world, id);
        }
        world.objects.retain(|candidate| candidate["id"] != id);
        Ok(json!({"id": id, "object": object, "deleted": true}))
    }))
}

fn list(world: &World, kind: &str, params: &Params) -> Option<Done> {
    let Kind { object, filters } = kind_of(kind)?;
    let narrowed = || -> Done {
        let known = [&LIST[..], filters, &["ids", "lookup_keys"]].concat();
        let known =
            if object == "subscription" { [&known[..], &["status"]].concat() } else { known };
        params.only(&known)?;
        let mut all = vec![];
        for candidate in world.of(object).rev() {
            let mut fits = page::created_within(candidate, params)?;
            fits &= object != "subscription" || billing::is_listed(candidate, params)?;
            for name in filters {
                fits &= params.text(name)?.is_none_or(|wanted| same(&candidate[*name], wanted));
            }
            for (name, field) in [("ids", "id"), ("lookup_keys", "lookup_key")] {
                let wanted = params.texts(name)?;
                fits &= wanted.is_none_or(|any| any.iter().any(|one| same(&candidate[field], one)));
            }
            if fits {
                all.push(candidate);
            }
        }
        let mut page = page::page(&format!("/v1/{kind}"), &all, params)?;
        for object in page["data"].as_array_mut().into_iter().flatten() {
            *object = without_secret(object.take());
        }
        Ok(page)
    };
    Some(narrowed())
}

/// Whether a field is what a query says: text as it is, `true` for a flag.
fn same(field: &Value, wanted: &str) -> bool {
    field.as_str().map_or_else(|| *field == (wanted == "true"), |text| text == wanted)
}

/// The secret of an endpoint is told once, to whoever makes it.
fn without_secret(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.remove("secret");
    }
    object
}

/// Text or nothing; empty text takes away.
fn text_or_null(params: &Params, name: &str) -> Done {
    Ok(params.text(name)?.filter(|text| !text.is_empty()).map_or(Value::Null, Into::into))
}
