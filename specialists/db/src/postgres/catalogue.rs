//! The catalogue of PostgreSQL, read with one query of our own.

use std::collections::BTreeMap;

use super::Session;
use crate::{
    HISTORY_TABLE,
    fault::{Fault, Reason},
    schema::Schema,
};

const CATALOGUE: &str = include_str!("catalogue.sql");

/// Rows as the planner believes: as dense as when they were last counted, on the pages there are
/// now. -1 stands for a table that nobody has analysed, or that was empty then.
const ROWS: &str = "SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname, \
    CASE WHEN c.reltuples <= 0 THEN -1 WHEN c.relpages <= 0 THEN c.reltuples::bigint \
    ELSE round(c.reltuples::float8 / c.relpages * pg_relation_size(c.oid) \
        / current_setting('block_size')::float8)::bigint END \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'p', 'f', 'm')";

/// A table that nobody has analysed is counted up to here: beyond it, how many more does not matter.
const ROWS_COUNTED_MAX: i64 = 1_000_000;

/// The whole schema. The session's search path is empty afterwards, if it is in a transaction
/// until that ends.
pub(super) async fn schema(session: &Session) -> Result<Schema, Fault> {
    let path: String = session.one("SHOW", "SELECT current_setting('search_path')", &[]).await?;
    let set = "SELECT set_config('search_path', $1, false)";
    session.rows("SET", set, &[&"pg_catalog"]).await?;
    let text: Result<String, Fault> = session.one("SELECT", CATALOGUE, &[&HISTORY_TABLE]).await;
    // Also after a refusal, unless the transaction is lost with it.
    let reset = session.rows("SET", set, &[&path]).await;
    let text = text?;
    reset?;
    serde_json::from_str(&text).map_err(|e| Fault::Refused {
        reason: Reason::Statement,
        code: "catalogue".to_owned(),
        message: e.to_string(),
    })
}

/// Rows of each table.
pub(super) async fn rows(
    session: &Session,
    schema: &Schema,
) -> Result<BTreeMap<String, Option<i64>>, Fault> {
    let mut rows = BTreeMap::new();
    for row in session.rows("SELECT", ROWS, &[]).await? {
        let (name, count): (String, i64) = (row.get(0), row.get(1));
        let Some(table) = schema.tables.iter().find(|t| t.name == name) else { continue };
        // A foreign table is somebody else's, and counting there may cost anything.
        let countable = !table.definition.starts_with("foreign");
        let count = match (count, countable) {
            (0.., _) => Some(count),
            (_, true) => Some(counted(session, &table.sql_name).await?),
            (_, false) => None,
        };
        rows.insert(name, count);
    }
    Ok(rows)
}

/// The last migration applied through Deadelus.
pub(super) async fn version(session: &Session) -> Result<Option<i64>, Fault> {
    let known = "SELECT to_regclass($1) IS NOT NULL";
    // The table is made by the first migration.
    if !session.one::<bool>("SELECT", known, &[&HISTORY_TABLE]).await? {
        return Ok(None);
    }
    session.one("SELECT", &format!("SELECT max(version) FROM {HISTORY_TABLE}"), &[]).await
}

async fn counted(session: &Session, table: &str) -> Result<i64, Fault> {
    let count =
        format!("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {ROWS_COUNTED_MAX}) few");
    session.one("SELECT", &count, &[]).await
}
