//! The names and statements of indexes.

use serde::{Deserialize, Serialize};

use crate::{schema::Table, sql};

/// PostgreSQL cuts longer names, silently; SQLite does not mind.
const NAME_MAX_BYTES: usize = 63;
/// Of the hash in a name that is cut: two long names of one table hardly ever share eight.
const HASH_DIGITS: usize = 8;

/// An index's name, as it is needed in different places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexName {
    /// As plans show it: `order_line_order_id_idx`.
    pub(crate) bare: String,
    /// As the schema lists it: with its schema outside of `public`.
    pub(crate) full: String,
    /// As SQL takes it.
    pub(crate) sql: String,
}

impl IndexName {
    /// An index of a table; it lives in the table's schema.
    pub(crate) fn of(table: &Table, bare: &str) -> Self {
        let full = match table.schema.as_str() {
            "public" | "main" => bare.to_owned(),
            schema => format!("{schema}.{bare}"),
        };
        let sql = format!("{}.{}", sql::quote(&table.schema), sql::quote(bare));
        Self { bare: bare.to_owned(), full, sql }
    }

    /// One that is not there, by the name the schema would list it under.
    pub(crate) fn missing(full: &str) -> Self {
        let sql = full.split('.').map(sql::quote).collect::<Vec<_>>().join(".");
        Self { bare: full.to_owned(), full: full.to_owned(), sql }
    }
}

/// `order_line_order_id_idx`, as PostgreSQL itself would call it; cut with a hash when too long.
pub(crate) fn default_name(table: &Table, columns: &[String]) -> String {
    let bare = table.name.rsplit('.').next().unwrap_or(&table.name);
    let name = format!("{bare}_{}_idx", columns.join("_")).to_lowercase();
    if name.len() <= NAME_MAX_BYTES {
        return name;
    }
    let digest = deadelus_runtime::sha256(name.as_bytes());
    let hash = &digest.as_str()[..HASH_DIGITS];
    let cut = NAME_MAX_BYTES - hash.len() - "__idx".len();
    let kept: String = name
        .char_indices()
        .take_while(|(at, c)| at + c.len_utf8() <= cut)
        .map(|(_, c)| c)
        .collect();
    format!("{kept}_{hash}_idx")
}

/// The statement that makes an index in the way that disturbs the engine's other users least.
pub(crate) fn create_index(
    engine: &str,
    table: &Table,
    name: &str,
    columns: &[String],
    unique: bool,
) -> String {
    let unique = if unique { "UNIQUE " } else { "" };
    let concurrently = if engine == "postgresql" { "CONCURRENTLY " } else { "" };
    format!(
        "CREATE {unique}INDEX {concurrently}{} ON {} ({})",
        sql::quote(name),
        table.sql_name,
        sql::quote_all(columns)
    )
}
