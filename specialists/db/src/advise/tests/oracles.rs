//! Chinook has an index for every foreign key: drop one, and it must be named. Northwind has ten
//! foreign keys without.

use super::*;
use crate::schema::{Schema, Table};

fn oracle(name: &str) -> Option<String> {
    let path = deadelus_tests::oracles::oracle(&format!("schemas/{name}"))?;
    let text = std::fs::read_to_string(path).unwrap();
    // Written for psql: it makes its own database and changes to it.
    Some(text.split_once("\\c chinook;").map_or(text.clone(), |(_, rest)| rest.to_owned()))
}

async fn lab(file: &str) -> Option<Lab> {
    let script = oracle(file)?;
    let lab = if file.contains("sqlite") { Lab::sqlite() } else { Lab::postgres().await? };
    // In one transaction: a commit for each of fifteen thousand rows takes minutes.
    lab.run(&format!("BEGIN; {script}; COMMIT")).await;
    lab.run("ANALYZE").await;
    Some(lab)
}

/// Drops the index of each foreign key in turn; `db.advise` must name just that one, if no other
/// index begins with the same column.
async fn each_foreign_key_is_named(lab: &Lab) {
    let original = lab.see().await.schema;
    let keys: Vec<_> = original.tables.iter().flat_map(foreign_keys).collect();
    assert_eq!(keys.len(), 11);
    for (table, column) in keys {
        let index = table.indexes.iter().find(|i| i.columns == [column.clone()]).unwrap();
        lab.run(&format!("DROP INDEX {}", index.sql_name)).await;
        let statement =
            format!("SELECT * FROM {} WHERE {} = $1", table.sql_name, crate::sql::quote(&column));
        let (found, pass) = advise(lab, &[&statement], json!([])).await;
        let id = format!("{}({column})", table.name);
        // The primary key of this table begins with the column: no index is missing.
        let still_served = lab
            .see()
            .await
            .schema
            .table(&table.name)
            .unwrap()
            .serves(std::slice::from_ref(&column));
        let unindexed: Vec<_> = found.unindexed_foreign_keys.iter().map(|k| &k.table).collect();
        if still_served {
            assert!(unindexed.is_empty() && !pass, "{id}");
        } else {
            assert_eq!(unindexed, [&table.name], "{id}");
            expect_named(lab, &found, table, &column).await;
        }
        lab.run(&index.definition).await;
        assert_eq!(lab.fingerprint().await, original.fingerprint());
    }
}

/// From this many different values on, an index finds so few rows that it must pay.
const DISTINCT_MIN: i64 = 100;

/// Every key is named among those without an index. It is proposed as well where the table is large
/// and the key tells rows apart; where not, the reason is given.
async fn expect_named(lab: &Lab, found: &Outputs, table: &Table, column: &str) {
    let id = format!("{}({column})", table.name);
    let (name, column) = (&table.sql_name, crate::sql::quote(column));
    let rows = lab.count(&format!("SELECT count(*) FROM {name}")).await;
    let distinct = lab.count(&format!("SELECT count(DISTINCT {column}) FROM {name}")).await;
    if rows >= TABLE_ROWS_MIN && distinct >= DISTINCT_MIN {
        assert_eq!(ids(found), [id], "{found:?}");
    } else {
        let refused = found.rejected.iter().any(|rejected| rejected.id == id);
        assert!(refused || ids(found) == [id.as_str()], "{found:?}");
    }
}

fn foreign_keys(table: &Table) -> Vec<(&Table, String)> {
    let keys = table.constraints.iter().filter(|c| c.kind == crate::ConstraintKind::ForeignKey);
    keys.map(|key| (table, key.columns[0].clone())).collect()
}

#[tokio::test]
async fn chinook_on_sqlite() {
    if let Some(lab) = lab("chinook_sqlite.sql").await {
        each_foreign_key_is_named(&lab).await;
    }
}

#[tokio::test]
async fn chinook_on_postgresql() {
    if let Some(lab) = lab("chinook_postgresql.sql").await {
        each_foreign_key_is_named(&lab).await;
    }
}

#[tokio::test]
async fn northwind() {
    let Some(lab) = lab("northwind_postgresql.sql").await else { return };
    let schema: Schema = lab.see().await.schema;
    let mut keys: Vec<String> = unindexed_foreign_keys(&schema)
        .into_iter()
        .map(|key| format!("{}({})", key.table, key.columns.join(",")))
        .collect();
    keys.sort();
    let expected = [
        "customer_customer_demo(customer_type_id)",
        "employee_territories(territory_id)",
        "employees(reports_to)",
        "order_details(product_id)",
        "orders(customer_id)",
        "orders(employee_id)",
        "orders(ship_via)",
        "products(category_id)",
        "products(supplier_id)",
        "territories(region_id)",
    ];
    assert_eq!(keys, expected);
}
