//! Paying: what v3 adds. One key is one payment, whoever asks how often, and whatever becomes of
//! the provider's answers.
//!
//! The key's row is written before the provider is asked, and the provider is asked under a key of
//! its own that follows from it. So whoever comes later, after a lost answer or a crash, finds
//! either the row or the provider's payment, and never makes a second one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::provider::{Provider, ProviderError};
use crate::shop::{Shop, ShopError};
use crate::store::{Lease, Row, Statement, StoreError, Value};
use crate::visit::Visit;

/// Characters of a client's key, as providers have it.
const KEY_MAX_CHARS: usize = 200;
/// Of one payment, in the smallest unit: eight digits, as providers have it.
const AMOUNT_MAX: i64 = 99_999_999;
/// Characters of a customer's name.
const CUSTOMER_MAX_CHARS: usize = 200;
/// Payments on the one page there is.
const PAYMENTS_LISTED_MAX: i64 = 1_000;
/// What the provider is asked for one request of a customer: each fault strikes once.
const PROVIDER_TRIES_MAX: u32 = 5;
/// A provider that has too much to do is left alone for so long.
const PROVIDER_PAUSE: Duration = Duration::from_millis(50);

/// The body of `POST /payments`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    amount: i64,
    currency: String,
    customer: String,
}

/// A payment as it is told.
#[derive(Debug, Serialize)]
pub(crate) struct Payment {
    key: String,
    amount: i64,
    currency: String,
    customer: String,
    state: &'static str,
    reference: String,
}

/// Whether this request made the payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Now,
    Before,
}

impl Shop {
    /// Pays, or tells what was paid under the key.
    pub(crate) async fn pay(
        &self,
        visit: &Visit,
        key: &str,
        order: Order,
    ) -> Result<(Made, Payment), ShopError> {
        order.check(key)?;
        let Some(provider) = &self.provider else { return Err(ShopError::NoProvider) };
        let (made, kept, settled) = self.begin(visit, key, &order).await?;
        if kept != order {
            return Err(ShopError::OtherPayment);
        }
        let reference = match settled {
            Some(reference) => reference,
            None => {
                // No connection is held while the provider is asked.
                let reference = charge(provider, key, &order).await?;
                let with = [Value::Text(reference.clone()), Value::Text(key.to_owned())];
                self.pool.lease(visit).await?.run(Statement::SettlePayment, &with).await?;
                reference
            }
        };
        Ok((made, Payment::of(key.to_owned(), kept, reference)))
    }

    /// The payments that were made, as a ledger has them.
    pub(crate) async fn payments(&self, visit: &Visit) -> Result<Vec<Payment>, ShopError> {
        let mut lease = self.pool.lease(visit).await?;
        let rows = lease.run(Statement::Payments, &[Value::Int(PAYMENTS_LISTED_MAX)]).await?.rows;
        let payment = |row: &Row| {
            let order =
                Order { amount: row.int(1)?, currency: row.text(2)?, customer: row.text(3)? };
            Ok(Payment::of(row.text(0)?, order, row.text(4)?))
        };
        rows.iter().map(payment).collect()
    }

    /// Writes the key down, if nobody has. What stands under it, and the provider's id once it is
    /// known.
    async fn begin(
        &self,
        visit: &Visit,
        key: &str,
        order: &Order,
    ) -> Result<(Made, Order, Option<String>), ShopError> {
        let mut lease: Lease = self.pool.lease(visit).await?;
        let with = [
            Value::Text(key.to_owned()),
            Value::Int(order.amount),
            Value::Text(order.currency.clone()),
            Value::Text(order.customer.clone()),
        ];
        let written = lease.run(Statement::InsertPayment, &with).await?.count;
        let found = lease.run(Statement::Payment, &[Value::Text(key.to_owned())]).await?;
        let lost = || StoreError::Shape("a payment was written and is not there".to_owned());
        let row = found.rows.first().ok_or_else(lost)?;
        let kept = Order { amount: row.int(0)?, currency: row.text(1)?, customer: row.text(2)? };
        let settled = if row.is_null(3) { None } else { Some(row.text(3)?) };
        Ok((if written == 1 { Made::Now } else { Made::Before }, kept, settled))
    }
}

/// The provider's id of the one payment of this key.
async fn charge(provider: &Provider, key: &str, order: &Order) -> Result<String, ShopError> {
    let mut broken = 0;
    for _ in 0..PROVIDER_TRIES_MAX {
        // An answer of 500 is repeated under its key for a day, so the next try has another; a lost
        // answer is repeated too, so the next try has the same.
        let under = format!("payment-{key}-{broken}");
        match provider.pay(&under, key, order.amount, &order.currency).await {
            Ok(reference) => return Ok(reference),
            Err(ProviderError::Broken) => {
                if let Some(reference) = provider.find(key).await? {
                    return Ok(reference);
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

impl Order {
    fn check(&self, key: &str) -> Result<(), ShopError> {
        if key.is_empty() || key.chars().count() > KEY_MAX_CHARS {
            return Err(ShopError::Basket("the header idempotency-key has 1 to 200 characters"));
        }
        if !(1..=AMOUNT_MAX).contains(&self.amount) {
            return Err(ShopError::Basket("an amount is 1 to 99999999"));
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_lowercase()) {
            return Err(ShopError::Basket("a currency is three small letters"));
        }
        if self.customer.is_empty() || self.customer.chars().count() > CUSTOMER_MAX_CHARS {
            return Err(ShopError::Basket("the customer's name has 1 to 200 characters"));
        }
        Ok(())
    }
}

impl Payment {
    fn of(key: String, order: Order, reference: String) -> Self {
        let Order { amount, currency, customer } = order;
        Self { key, amount, currency, customer, state: "succeeded", reference }
    }
}
