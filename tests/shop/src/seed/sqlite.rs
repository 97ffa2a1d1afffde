//! A shop in a file.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use super::{Rows, Seed, SeedError, TABLES};

pub(super) fn seed(path: &Path, seed: Seed) -> Result<(), SeedError> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let transaction = connection.transaction()?;
    make_room(&transaction, seed.replace)?;
    transaction.execute_batch(include_str!("../../schema/sqlite.sql"))?;
    fill(&transaction, &Rows::new(seed))?;
    transaction.execute_batch("ANALYZE")?;
    transaction.commit()?;
    Ok(())
}

fn make_room(transaction: &Transaction<'_>, replace: bool) -> Result<(), SeedError> {
    for table in TABLES {
        if transaction.table_exists(None, table)? {
            if !replace {
                return Err(SeedError::Exists);
            }
            transaction.execute_batch(&format!("DROP TABLE {table}"))?;
        }
    }
    Ok(())
}

fn fill(transaction: &Transaction<'_>, rows: &Rows) -> Result<(), SeedError> {
    let mut insert = transaction.prepare("INSERT INTO product VALUES (?, ?, ?)")?;
    for product in &rows.products {
        insert.execute(params![product.id, product.name, product.price_cents])?;
    }
    let mut insert = transaction.prepare("INSERT INTO orders VALUES (?, ?, ?)")?;
    for order in rows.orders() {
        insert.execute(params![order.id, order.customer, order.placed_at])?;
    }
    let mut insert = transaction.prepare("INSERT INTO order_line VALUES (?, ?, ?, ?, ?)")?;
    for line in rows.lines() {
        insert.execute(params![
            line.id,
            line.order_id,
            line.product_id,
            line.quantity,
            line.unit_price_cents
        ])?;
    }
    Ok(())
}
