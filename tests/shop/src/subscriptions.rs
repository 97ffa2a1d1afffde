//! Subscribing: what v4 adds. One key is one subscription; what became of it is what the provider's
//! events tell, see [`crate::webhook`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Extension, Json, Router};
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::payments::Made;
use crate::provider::{self, Provider, ProviderError};
use crate::revision::Revision;
use crate::routes::{Here, Premises, no_such_page, refuse};
use crate::shop::{Shop, ShopError};
use crate::store::{Row, Statement, StoreError, Value};
use crate::visit::Visit;

/// Characters of a client's key, a customer's and a price's name.
const NAME_MAX_CHARS: usize = 200;
/// Subscriptions on the one page there is.
const SUBSCRIPTIONS_LISTED_MAX: i64 = 1_000;
/// Their invoices: some years of each.
const INVOICES_LISTED_MAX: i64 = 10_000;
/// What the provider is asked for one request of a customer.
const PROVIDER_TRIES_MAX: u32 = 5;
/// A provider that has too much to do is left alone for so long.
const PROVIDER_PAUSE: Duration = Duration::from_millis(50);

/// Everything about subscriptions; 404 in every other revision.
pub(crate) fn router() -> Router<Arc<Premises>> {
    Router::new()
        .route("/subscriptions", get(listed).post(subscribe))
        .route("/subscriptions/{key}", delete(end))
        .route("/webhooks/provider", post(hear))
}

/// The body of `POST /subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// The provider's name for the customer.
    customer: String,
    /// The lookup key of the price.
    price: String,
}

/// A subscription as it is told.
#[derive(Debug, Serialize)]
pub(crate) struct Subscription {
    key: String,
    customer: String,
    price: String,
    state: &'static str,
    reference: String,
    invoices: Vec<Invoice>,
}

#[derive(Debug, Serialize)]
struct Invoice {
    id: String,
    payment: String,
    currency: String,
    amount: i64,
    period_start: i64,
    period_end: i64,
}

impl Shop {
    /// Subscribes, or tells what was subscribed under the key.
    async fn subscribe(
        &self,
        visit: &Visit,
        key: &str,
        wish: Wish,
    ) -> Result<(Made, Subscription), ShopError> {
        wish.check(key)?;
        let provider = self.provider.as_ref().ok_or(ShopError::NoProvider)?;
        let (made, kept, settled) = self.note(visit, key, &wish).await?;
        if kept != wish {
            return Err(ShopError::OtherSubscription);
        }
        if settled.is_none() {
            // No connection is held while the provider is asked.
            let reference = begin(provider, key, &wish).await?;
            let with = [Value::Text(reference), Value::Text(key.to_owned())];
            self.pool.lease(visit).await?.run(Statement::SettleSubscription, &with).await?;
        }
        Ok((made, self.told(visit, key).await?))
    }

    /// Ends what was subscribed under the key; that it has ended is the provider's to tell.
    async fn end(&self, visit: &Visit, key: &str) -> Result<(), ShopError> {
        let provider = self.provider.as_ref().ok_or(ShopError::NoProvider)?;
        let reference = self.told(visit, key).await?.reference;
        let path = format!("/v1/subscriptions/{reference}");
        match provider.ask(Method::DELETE, &path, String::new(), None).await {
            // It has ended already: twice is once.
            Ok(_) | Err(ProviderError::Missing(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn told(&self, visit: &Visit, key: &str) -> Result<Subscription, ShopError> {
        let all = self.subscriptions(visit).await?;
        let mine = all.into_iter().find(|subscription| subscription.key == key);
        mine.ok_or_else(|| ShopError::NoSubscription(key.to_owned()))
    }

    /// Every subscription with what was paid for it.
    async fn subscriptions(&self, visit: &Visit) -> Result<Vec<Subscription>, ShopError> {
        let mut lease = self.pool.lease(visit).await?;
        let of = [Value::Int(INVOICES_LISTED_MAX)];
        let mut invoices = BTreeMap::<String, Vec<Invoice>>::new();
        for row in &lease.run(Statement::Invoices, &of).await?.rows {
            invoices.entry(row.text(0)?).or_default().push(Invoice::read(row)?);
        }
        let rows = lease.run(Statement::Subscriptions, &[Value::Int(SUBSCRIPTIONS_LISTED_MAX)]);
        let read = |row: &Row| {
            let reference = row.text(3)?;
            Ok(Subscription {
                key: row.text(0)?,
                customer: row.text(1)?,
                price: row.text(2)?,
                state: if row.int(4)? > 0 { "canceled" } else { "active" },
                invoices: invoices.remove(&reference).unwrap_or_default(),
                reference,
            })
        };
        rows.await?.rows.iter().map(read).collect()
    }

    /// Writes the key down, if nobody has. What stands under it, and the provider's id once it is
    /// known.
    async fn note(
        &self,
        visit: &Visit,
        key: &str,
        wish: &Wish,
    ) -> Result<(Made, Wish, Option<String>), ShopError> {
        let mut lease = self.pool.lease(visit).await?;
        let with = [key, &wish.customer, &wish.price].map(|text| Value::Text(text.to_owned()));
        let written = lease.run(Statement::InsertSubscription, &with).await?.count;
        let found = lease.run(Statement::Subscription, &with[..1]).await?;
        let lost = || StoreError::Shape("a subscription was written and is not there".to_owned());
        let row = found.rows.first().ok_or_else(lost)?;
        let kept = Wish { customer: row.text(0)?, price: row.text(1)? };
        let settled = if row.is_null(2) { None } else { Some(row.text(2)?) };
        Ok((if written == 1 { Made::Now } else { Made::Before }, kept, settled))
    }
}

/// The provider's id of the one subscription of this key.
async fn begin(provider: &Provider, key: &str, wish: &Wish) -> Result<String, ShopError> {
    let price = price(provider, &wish.price).await?;
    let mut broken = 0;
    for _ in 0..PROVIDER_TRIES_MAX {
        // As with payments: a failure is repeated under its key, a lost answer too.
        let under = format!("subscription-{key}-{broken}");
        let form = [
            ("customer", wish.customer.as_str()),
            ("items[0][price]", &price),
            ("metadata[subscription_key]", key),
        ];
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        match provider.ask(Method::POST, "/v1/subscriptions", form, Some(&under)).await {
            Ok(made) => return provider::id(&made).ok_or(ShopError::ProviderAway),
            Err(ProviderError::Broken) => {
                if let Some(made) = find(provider, key, &wish.customer).await? {
                    return Ok(made);
                }
                broken += 1;
            }
            Err(ProviderError::Lost | ProviderError::Busy) => {
                tokio::time::sleep(PROVIDER_PAUSE).await;
            }
            Err(no @ (ProviderError::Missing(_) | ProviderError::Refused(_))) => {
                return Err(no.into());
            }
        }
    }
    Err(ShopError::ProviderAway)
}

/// The provider's id of the price that is sold under this lookup key.
async fn price(provider: &Provider, lookup_key: &str) -> Result<String, ShopError> {
    let query = [("lookup_keys[]", lookup_key), ("active", "true")];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = format!("/v1/prices?{query}");
    let page = provider.ask(Method::GET, &path, String::new(), None).await?;
    let sold = page["data"].as_array().and_then(|prices| prices.first()).and_then(provider::id);
    sold.ok_or_else(|| ShopError::NoPrice(lookup_key.to_owned()))
}

/// The subscription of a key among the customer's last hundred, if it was made.
async fn find(provider: &Provider, key: &str, of: &str) -> Result<Option<String>, ShopError> {
    let query = [("customer", of), ("limit", "100")];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let path = format!("/v1/subscriptions?{query}");
    let page = provider.ask(Method::GET, &path, String::new(), None).await?;
    let mine = |one: &&serde_json::Value| one["metadata"]["subscription_key"] == key;
    Ok(page["data"].as_array().and_then(|all| all.iter().find(mine)).and_then(provider::id))
}

impl Wish {
    fn check(&self, key: &str) -> Result<(), ShopError> {
        for (name, text) in [
            ("the header idempotency-key has 1 to 200 characters", key),
            ("a customer's name has 1 to 200 characters", &self.customer),
            ("a price's lookup key has 1 to 200 characters", &self.price),
        ] {
            if text.is_empty() || text.chars().count() > NAME_MAX_CHARS {
                return Err(ShopError::Basket(name));
            }
        }
        Ok(())
    }
}

impl Invoice {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.text(1)?,
            payment: row.text(2)?,
            currency: row.text(3)?,
            amount: row.int(4)?,
            period_start: row.int(5)?,
            period_end: row.int(6)?,
        })
    }
}

async fn listed(
    State(here): Here,
    Extension(visit): Extension<Visit>,
) -> Result<Response, ShopError> {
    if visit.revision != Revision::V4 {
        return Ok(no_such_page());
    }
    Ok(Json(here.shop.subscriptions(&visit).await?).into_response())
}

async fn subscribe(
    State(here): Here,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    wish: Result<Json<Wish>, JsonRejection>,
) -> Result<Response, ShopError> {
    if visit.revision != Revision::V4 {
        return Ok(no_such_page());
    }
    match wish {
        Ok(Json(wish)) => {
            let key = header(&headers, "idempotency-key");
            let (made, subscription) = here.shop.subscribe(&visit, key, wish).await?;
            let status = match made {
                Made::Now => StatusCode::CREATED,
                Made::Before => StatusCode::OK,
            };
            Ok((status, Json(subscription)).into_response())
        }
        Err(rejection) => Ok(refuse(rejection.status(), &rejection.body_text())),
    }
}

async fn end(
    State(here): Here,
    Extension(visit): Extension<Visit>,
    Path(key): Path<String>,
) -> Result<Response, ShopError> {
    if visit.revision != Revision::V4 {
        return Ok(no_such_page());
    }
    here.shop.end(&visit, &key).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn hear(
    State(here): Here,
    Extension(visit): Extension<Visit>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ShopError> {
    if visit.revision != Revision::V4 {
        return Ok(no_such_page());
    }
    let body = str::from_utf8(&body).map_err(|_| ShopError::Forged("it is no text"))?;
    let signature = header(&headers, "stripe-signature");
    here.shop.hear(&visit, body, signature, now_unix_s()).await?;
    Ok(Json(serde_json::json!({ "received": true })).into_response())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn now_unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
