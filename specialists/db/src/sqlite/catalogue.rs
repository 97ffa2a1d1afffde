//! The catalogue of SQLite, read through its own pragmas.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    HISTORY_TABLE,
    fault::Fault,
    schema::{Column, Constraint, ConstraintKind, Index, Object, Schema, Table},
    sql,
};

/// A table without statistics is counted up to here: beyond it, how many more does not matter.
const ROWS_COUNTED_MAX: i64 = 1_000_000;

/// The whole schema.
pub(super) fn schema(connection: &Connection) -> Result<Schema, Fault> {
    let mut schema = Schema::default();
    let mut statement = connection.prepare(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema \
         WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name <> ?1 ORDER BY name",
    )?;
    let rows = statement.query_map([HISTORY_TABLE], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    for row in rows {
        let (kind, name, on, sql): (String, String, String, String) = row?;
        match kind.as_str() {
            "table" => schema.tables.push(table(connection, name, &sql)?),
            "index" => {}
            _ => {
                let table = (kind == "trigger").then_some(on);
                schema.objects.push(Object { kind, name, table, definition: sql::canonical(&sql) });
            }
        }
    }
    Ok(schema)
}

/// Rows of each table: what `ANALYZE` saw, or a count that stops at a million.
pub(super) fn rows(
    connection: &Connection,
    schema: &Schema,
) -> Result<BTreeMap<String, Option<i64>>, Fault> {
    let analysed = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'", [], |_| Ok(()))
        .is_ok();
    let mut rows = BTreeMap::new();
    for table in &schema.tables {
        let known = if analysed { analysed_rows(connection, &table.name)? } else { None };
        let count = match known {
            Some(count) => count,
            None => connection.query_row(
                &format!(
                    "SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {ROWS_COUNTED_MAX})",
                    table.sql_name
                ),
                [],
                |row| row.get(0),
            )?,
        };
        rows.insert(table.name.clone(), Some(count));
    }
    Ok(rows)
}

/// The last migration applied through Deadelus.
pub(super) fn version(connection: &Connection) -> Result<Option<i64>, Fault> {
    let version = format!("SELECT max(version) FROM {HISTORY_TABLE}");
    match connection.prepare(&version) {
        Ok(mut statement) => Ok(statement.query_row([], |row| row.get(0))?),
        // The table is made by the first migration.
        Err(_) => Ok(None),
    }
}

/// The first number of a table's statistics is its rows.
fn analysed_rows(connection: &Connection, table: &str) -> Result<Option<i64>, Fault> {
    let mut statement =
        connection.prepare("SELECT stat FROM sqlite_stat1 WHERE tbl = ?1 AND stat IS NOT NULL")?;
    let mut stats = statement.query_map([table], |row| row.get::<_, String>(0))?;
    let Some(stat) = stats.next().transpose()? else { return Ok(None) };
    Ok(stat.split(' ').next().and_then(|count| count.parse().ok()))
}

fn table(connection: &Connection, name: String, definition: &str) -> Result<Table, Fault> {
    let columns = columns(connection, &name)?;
    let mut constraints = primary_key(connection, &name)?;
    constraints.extend(foreign_keys(connection, &name)?);
    constraints.extend(checks(definition));
    let indexes = indexes(connection, &name)?;
    constraints.extend(indexes.iter().filter(|i| i.constraint.is_some() && i.unique).map(|i| {
        Constraint {
            name: i.name.clone(),
            kind: ConstraintKind::Unique,
            columns: i.columns.clone(),
            references: None,
            definition: format!("UNIQUE ({})", i.columns.join(", ")),
        }
    }));
    Ok(Table {
        schema: "main".to_owned(),
        sql_name: sql::quote(&name),
        definition: sql::canonical(definition),
        name,
        columns,
        constraints,
        indexes,
    })
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<Column>, Fault> {
    let mut statement = connection.prepare(
        "SELECT name, type, \"notnull\", dflt_value, hidden FROM pragma_table_xinfo(?1)",
    )?;
    let columns = statement.query_map([table], |row| {
        let details = match row.get::<_, i64>(4)? {
            2 => "generated, virtual",
            3 => "generated, stored",
            _ => "",
        };
        Ok(Column {
            name: row.get(0)?,
            kind: row.get::<_, String>(1)?.to_ascii_lowercase(),
            nullable: row.get::<_, i64>(2)? == 0,
            default: row.get(3)?,
            details: details.to_owned(),
        })
    })?;
    Ok(columns.collect::<Result<_, _>>()?)
}

fn primary_key(connection: &Connection, table: &str) -> Result<Vec<Constraint>, Fault> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE pk > 0 ORDER BY pk")?;
    let columns: Vec<String> =
        statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if columns.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![Constraint {
        name: String::new(),
        kind: ConstraintKind::PrimaryKey,
        definition: format!("PRIMARY KEY ({})", columns.join(", ")),
        columns,
        references: None,
    }])
}

fn foreign_keys(connection: &Connection, table: &str) -> Result<Vec<Constraint>, Fault> {
    let mut statement = connection.prepare(
        "SELECT id, \"table\", \"from\", coalesce(\"to\", ''), on_update, on_delete \
         FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let rows = statement.query_map([table], |row| {
        let columns = (row.get(2)?, row.get(3)?);
        Ok((row.get(0)?, row.get(1)?, columns, row.get(4)?, row.get(5)?))
    })?;
    let mut keys: BTreeMap<i64, (Constraint, Vec<String>, String)> = BTreeMap::new();
    for row in rows {
        let (id, to, (from, column), update, delete): (
            i64,
            String,
            (String, String),
            String,
            String,
        ) = row?;
        let (key, columns, _) = keys.entry(id).or_insert_with(|| {
            let key = Constraint {
                name: String::new(),
                kind: ConstraintKind::ForeignKey,
                columns: vec![],
                references: Some(to),
                definition: String::new(),
            };
            (key, vec![], format!("ON UPDATE {update} ON DELETE {delete}"))
        });
        key.columns.push(from);
        columns.push(column);
    }
    let mut keys: Vec<Constraint> = keys
        .into_values()
        .map(|(key, columns, rules)| {
            let definition = format!(
                "FOREIGN KEY ({}) REFERENCES {} ({}) {rules}",
                key.columns.join(", "),
                key.references.as_deref().unwrap_or_default(),
                columns.join(", ")
            );
            Constraint { definition, ..key }
        })
        .collect();
    // The ids of the pragma depend on how the table came about.
    keys.sort_by(|a, b| a.definition.cmp(&b.definition));
    Ok(keys)
}

/// `CHECK ( … )`, which no pragma tells.
fn checks(definition: &str) -> Vec<Constraint> {
    let tokens = sql::tokens(definition);
    let mut checks = vec![];
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.is("check")) {
        let mut depth = 0_usize;
        let mut expression = vec![];
        for token in &tokens[at + 1..] {
            depth += usize::from(token.is_symbol("("));
            expression.push(token.text.as_str());
            if token.is_symbol(")") {
                depth = depth.saturating_sub(1);
            }
            if depth == 0 {
                break;
            }
        }
        checks.push(Constraint {
            name: String::new(),
            kind: ConstraintKind::Check,
            columns: vec![],
            references: None,
            definition: format!("CHECK {}", expression.join(" ")),
        });
    }
    checks
}

fn indexes(connection: &Connection, table: &str) -> Result<Vec<Index>, Fault> {
    let mut statement = connection.prepare(
        "SELECT l.name, l.\"unique\", l.origin, l.partial, coalesce(s.sql, '') \
         FROM pragma_index_list(?1) l JOIN sqlite_schema s ON s.name = l.name AND s.type = 'index' \
         ORDER BY l.name",
    )?;
    let rows = statement.query_map([table], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    })?;
    let mut indexes = vec![];
    for row in rows {
        let (name, unique, origin, partial, sql): (String, bool, String, bool, String) = row?;
        indexes.push(Index {
            columns: index_columns(connection, &name)?,
            sql_name: sql::quote(&name),
            unique,
            partial,
            valid: true,
            method: "btree".to_owned(),
            constraint: (origin != "c").then(|| name.clone()),
            definition: sql,
            name,
        });
    }
    Ok(indexes)
}

fn index_columns(connection: &Connection, index: &str) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare(
        "SELECT coalesce(name, '(expression)') FROM pragma_index_xinfo(?1) WHERE key ORDER BY seqno",
    )?;
    Ok(statement.query_map([index], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
