//! A shop in a PostgreSQL database.

use tokio_postgres::{Config, Transaction};

use super::{Line, Order, Rows, Seed, SeedError, TABLES};
use crate::store::connect;

/// Rows in one statement: few round trips, a few hundred kilobytes each.
const BATCH_ROWS: usize = 10_000;

/// The rows bring their ids; the next ones come after them.
const NEXT_IDS: &str = "
    SELECT setval(pg_get_serial_sequence('product', 'id'), coalesce(max(id), 0) + 1, false)
    FROM product;
    SELECT setval(pg_get_serial_sequence('orders', 'id'), coalesce(max(id), 0) + 1, false)
    FROM orders;
    SELECT setval(pg_get_serial_sequence('order_line', 'id'), coalesce(max(id), 0) + 1, false)
    FROM order_line;
";

pub(super) async fn seed(server: &Config, seed: Seed) -> Result<(), SeedError> {
    let mut client = connect(server).await?;
    let transaction = client.transaction().await?;
    make_room(&transaction, seed.replace).await?;
    transaction.batch_execute(include_str!("../../schema/postgres.sql")).await?;
    let rows = Rows::new(seed);
    products(&transaction, &rows).await?;
    orders(&transaction, rows.orders()).await?;
    lines(&transaction, rows.lines()).await?;
    transaction.batch_execute(NEXT_IDS).await?;
    transaction.commit().await?;
    // Outside the transaction, as VACUUM must be: the first readers do not have to tidy up.
    for table in TABLES {
        client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await?;
    }
    Ok(())
}

async fn make_room(transaction: &Transaction<'_>, replace: bool) -> Result<(), SeedError> {
    for table in TABLES {
        let exists: bool =
            transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await?.get(0);
        if exists {
            if !replace {
                return Err(SeedError::Exists);
            }
            transaction.batch_execute(&format!("DROP TABLE {table}")).await?;
        }
    }
    Ok(())
}

async fn products(transaction: &Transaction<'_>, rows: &Rows) -> Result<(), SeedError> {
    let insert = "INSERT INTO product SELECT * FROM \
                  unnest($1::bigint[], $2::text[], $3::bigint[])";
    let ids: Vec<i64> = rows.products.iter().map(|p| p.id).collect();
    let names: Vec<&str> = rows.products.iter().map(|p| p.name.as_str()).collect();
    let prices: Vec<i64> = rows.products.iter().map(|p| p.price_cents).collect();
    transaction.execute(insert, &[&ids, &names, &prices]).await?;
    Ok(())
}

async fn orders(
    transaction: &Transaction<'_>,
    mut orders: impl Iterator<Item = Order>,
) -> Result<(), SeedError> {
    let insert = "INSERT INTO orders SELECT * FROM \
                  unnest($1::bigint[], $2::text[], $3::bigint[])";
    let insert = transaction.prepare(insert).await?;
    loop {
        let batch: Vec<Order> = orders.by_ref().take(BATCH_ROWS).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = batch.iter().map(|o| o.id).collect();
        let customers: Vec<&str> = batch.iter().map(|o| o.customer.as_str()).collect();
        let times: Vec<i64> = batch.iter().map(|o| o.placed_at).collect();
        transaction.execute(&insert, &[&ids, &customers, &times]).await?;
    }
}

async fn lines(
    transaction: &Transaction<'_>,
    mut lines: impl Iterator<Item = Line>,
) -> Result<(), SeedError> {
    let insert = "INSERT INTO order_line SELECT * FROM unnest($1::bigint[], $2::bigint[], \
                  $3::bigint[], $4::bigint[], $5::bigint[])";
    let insert = transaction.prepare(insert).await?;
    loop {
        let batch: Vec<Line> = lines.by_ref().take(BATCH_ROWS).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let column = |of: fn(&Line) -> i64| batch.iter().map(of).collect::<Vec<i64>>();
        let (ids, orders) = (column(|l| l.id), column(|l| l.order_id));
        let (products, quantities) = (column(|l| l.product_id), column(|l| l.quantity));
        let prices = column(|l| l.unit_price_cents);
        transaction.execute(&insert, &[&ids, &orders, &products, &quantities, &prices]).await?;
    }
}
