//! What the shop does: list products, show an order, check out. The difference between v1 and v2
//! is here and nowhere else; both give the same answer.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::provider::{Provider, ProviderError};
use crate::revision::Revision;
use crate::store::{Lease, Pool, Row, Statement, StoreError, Value};
use crate::visit::Visit;

/// Products on the one page there is.
const PRODUCTS_LISTED_MAX: i64 = 100;
/// Lines in one order; a longer one is not a person shopping.
const ORDER_LINES_MAX: usize = 100;
/// Pieces of one product in one order, which keeps every sum far inside 64 bits.
const QUANTITY_MAX: i64 = 1_000;
/// Characters of a customer's name.
const CUSTOMER_MAX_CHARS: usize = 200;
/// What the tax service would say.
const TAX_PERCENT: i64 = 20;

/// A product as it is listed.
#[derive(Debug, Serialize)]
pub(crate) struct Product {
    id: i64,
    name: String,
    price_cents: i64,
}

/// The head of an order.
#[derive(Debug, Serialize)]
pub(crate) struct Order {
    id: i64,
    pub(crate) customer: String,
    /// Unix seconds.
    placed_at: i64,
}

/// An order with everything that the checkout page shows.
#[derive(Debug, Serialize)]
pub(crate) struct Checkout {
    #[serde(flatten)]
    order: Order,
    lines: Vec<Line>,
    total_cents: i64,
    tax_cents: i64,
}

#[derive(Debug, Serialize)]
struct Line {
    id: i64,
    product_id: i64,
    product: String,
    quantity: i64,
    unit_price_cents: i64,
}

/// The body of `POST /checkout`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Basket {
    customer: String,
    lines: Vec<BasketLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BasketLine {
    product_id: i64,
    quantity: i64,
}

/// What `POST /checkout` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Placed {
    pub(crate) id: i64,
    lines_written: u64,
}

/// Why a visit ends without what it came for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShopError {
    #[error("no order {0}")]
    NoOrder(i64),
    #[error("no product {0}")]
    NoProduct(i64),
    #[error("{0}")]
    Basket(&'static str),
    #[error("the key was used for another payment")]
    OtherPayment,
    #[error("the key was used for another subscription")]
    OtherSubscription,
    #[error("no price {0} is sold")]
    NoPrice(String),
    #[error("the provider knows nothing of it: {0}")]
    Missing(String),
    #[error("no subscription under the key {0}")]
    NoSubscription(String),
    #[error("the event is not believed: {0}")]
    Forged(&'static str),
    #[error("the provider refused: {0}")]
    Refused(String),
    #[error("the provider does not answer; ask again under the same key")]
    ProviderAway,
    #[error("this shop has no provider of payments")]
    NoProvider,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ProviderError> for ShopError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Lost | ProviderError::Busy | ProviderError::Broken => Self::ProviderAway,
            ProviderError::Missing(what) => Self::Missing(what),
            ProviderError::Refused(reason) => Self::Refused(reason),
        }
    }
}

/// The shop behind its counter.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) config: Config,
    pub(crate) pool: Arc<Pool>,
    pub(crate) provider: Option<Provider>,
}

impl Shop {
    pub(crate) async fn products(&self, visit: &Visit) -> Result<Vec<Product>, ShopError> {
        let mut lease = self.pool.lease(visit).await?;
        let answer = lease.run(Statement::Products, &[Value::Int(PRODUCTS_LISTED_MAX)]).await?;
        let product = |row: &Row| {
            Ok(Product { id: row.int(0)?, name: row.text(1)?, price_cents: row.int(2)? })
        };
        answer.rows.iter().map(product).collect()
    }

    pub(crate) async fn order(&self, visit: &Visit, id: i64) -> Result<Order, ShopError> {
        let mut lease = self.pool.lease(visit).await?;
        order(&mut lease, id).await
    }

    pub(crate) async fn checkout(&self, visit: &Visit, id: i64) -> Result<Checkout, ShopError> {
        let mut lease = self.pool.lease(visit).await?;
        let found = self.read(&mut lease, visit.revision, id).await;
        let (order, lines) = lease.end(found).await?;
        self.ask_tax_service(visit, lease).await;
        let total_cents = lines.iter().map(|line| line.quantity * line.unit_price_cents).sum();
        Ok(Checkout { order, lines, total_cents, tax_cents: total_cents * TAX_PERCENT / 100 })
    }

    pub(crate) async fn place(&self, visit: &Visit, basket: Basket) -> Result<Placed, ShopError> {
        basket.check()?;
        let mut lease = self.pool.lease(visit).await?;
        lease.begin().await?;
        let placed = write(&mut lease, &basket, self.config.order_lines_written_per_checkout).await;
        let placed = lease.end(placed).await?;
        self.ask_tax_service(visit, lease).await;
        Ok(placed)
    }

    async fn read(
        &self,
        lease: &mut Lease,
        revision: Revision,
        id: i64,
    ) -> Result<(Order, Vec<Line>), ShopError> {
        if self.config.lock_rows {
            lease.begin_with_order_locked(id).await?;
        }
        match revision {
            Revision::V1 => line_by_line(lease, id).await,
            Revision::V2 | Revision::V3 | Revision::V4 | Revision::Auth(_) => {
                joined(lease, id).await
            }
        }
    }

    /// Stands in for the call to another service: the time passes, nothing is asked.
    async fn ask_tax_service(&self, visit: &Visit, lease: Lease) {
        let lease = self.config.tax_service_holds_connection.then_some(lease);
        if !self.config.tax_service().is_zero() {
            let asked = Instant::now();
            tokio::time::sleep(self.config.tax_service()).await;
            visit.waited_for_tax_service(asked.elapsed());
        }
        drop(lease);
    }
}

impl Basket {
    fn check(&self) -> Result<(), ShopError> {
        if self.customer.is_empty() || self.customer.chars().count() > CUSTOMER_MAX_CHARS {
            return Err(ShopError::Basket("the customer's name has 1 to 200 characters"));
        }
        if self.lines.is_empty() || self.lines.len() > ORDER_LINES_MAX {
            return Err(ShopError::Basket("an order has 1 to 100 lines"));
        }
        if self.lines.iter().any(|line| !(1..=QUANTITY_MAX).contains(&line.quantity)) {
            return Err(ShopError::Basket("a quantity is 1 to 1000"));
        }
        Ok(())
    }
}

async fn order(lease: &mut Lease, id: i64) -> Result<Order, ShopError> {
    let answer = lease.run(Statement::Order, &[Value::Int(id)]).await?;
    let row = answer.rows.first().ok_or(ShopError::NoOrder(id))?;
    Ok(Order { id: row.int(0)?, customer: row.text(1)?, placed_at: row.int(2)? })
}

/// v1: the N+1.
async fn line_by_line(lease: &mut Lease, id: i64) -> Result<(Order, Vec<Line>), ShopError> {
    let order = order(lease, id).await?;
    let answer = lease.run(Statement::OrderLines, &[Value::Int(id)]).await?;
    let mut lines = Vec::with_capacity(answer.rows.len());
    for row in &answer.rows {
        let product_id = row.int(3)?;
        let product = lease.run(Statement::Product, &[Value::Int(product_id)]).await?;
        let product = product.rows.first().ok_or(ShopError::NoProduct(product_id))?;
        lines.push(Line {
            id: row.int(0)?,
            product_id: product.int(0)?,
            product: product.text(1)?,
            quantity: row.int(1)?,
            unit_price_cents: row.int(2)?,
        });
    }
    Ok((order, lines))
}

/// v2: one join.
async fn joined(lease: &mut Lease, id: i64) -> Result<(Order, Vec<Line>), ShopError> {
    let answer = lease.run(Statement::OrderJoined, &[Value::Int(id)]).await?;
    let first = answer.rows.first().ok_or(ShopError::NoOrder(id))?;
    let order = Order { id: first.int(0)?, customer: first.text(1)?, placed_at: first.int(2)? };
    let line = |row: &Row| {
        Ok(Line {
            id: row.int(3)?,
            product_id: row.int(6)?,
            product: row.text(7)?,
            quantity: row.int(4)?,
            unit_price_cents: row.int(5)?,
        })
    };
    let lines = answer.rows.iter().filter(|row| !row.is_null(3)).map(line);
    Ok((order, lines.collect::<Result<_, StoreError>>()?))
}

async fn write(lease: &mut Lease, basket: &Basket, at_least: usize) -> Result<Placed, ShopError> {
    let head = [Value::Text(basket.customer.clone()), Value::Int(now_unix_s())];
    let inserted = lease.run(Statement::InsertOrder, &head).await?;
    let id = inserted.rows.first().map_or_else(|| Err(no_id()), |row| row.int(0))?;
    let mut lines_written = 0;
    for (line, copies) in basket.lines.iter().zip(copies(basket.lines.len(), at_least)) {
        let with = [copies, id, line.quantity, line.product_id].map(Value::Int);
        let written = lease.run(Statement::InsertLines, &with).await?.count;
        if written == 0 {
            return Err(ShopError::NoProduct(line.product_id));
        }
        lines_written += written;
    }
    Ok(Placed { id, lines_written })
}

/// How often each of `lines` is written so that the rows are `at_least` so many; each once or more.
fn copies(lines: usize, at_least: usize) -> impl Iterator<Item = i64> {
    let rows = lines.max(at_least) as i64;
    let lines = lines as i64;
    (0..lines).map(move |place| rows / lines + i64::from(place < rows % lines))
}

fn no_id() -> StoreError {
    StoreError::Shape("an order was written and has no id".to_owned())
}

fn now_unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::copies;

    #[test]
    fn copies_add_up_to_what_was_asked_and_forget_no_line() {
        assert_eq!(copies(3, 0).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(copies(3, 10).collect::<Vec<_>>(), [4, 3, 3]);
        assert_eq!(copies(1, 200).sum::<i64>(), 200);
    }
}
