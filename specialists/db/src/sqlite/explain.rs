//! What `EXPLAIN QUERY PLAN` says, in the words of [`Plan`].

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    fault::Fault,
    plan::{FullScan, Plan},
    query::{self, Query},
    schema::Schema,
};

/// One step of a plan that reads a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The name that the statement gives the table.
    pub(super) alias: String,
    pub(super) access: Access,
    /// The step it is nested in.
    pub(super) parent: i64,
}

/// How a step reads its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    /// From end to end, perhaps through an index in its order.
    Scan { index: Option<String> },
    /// By an index that is made for this one execution: the clearest sign of a missing one.
    Automatic,
    /// By the row's own key.
    RowId,
    /// By an index, with so many columns compared for equality, and perhaps one for order.
    Search { index: String, equal: usize, range: bool },
}

/// The plan of one statement against the schema of this connection.
pub(super) fn plan(
    connection: &Connection,
    statement: &str,
    schema: &Schema,
    rows: &BTreeMap<String, Option<i64>>,
) -> Result<Plan, Fault> {
    let steps = match steps(connection, statement)? {
        Ok(steps) => steps,
        Err(reason) => return Ok(Plan::impossible(statement, reason)),
    };
    let query = query::read(statement, schema);
    let scanned = steps.iter().filter(|step| match step.access {
        Access::Scan { .. } | Access::Automatic => true,
        Access::RowId | Access::Search { .. } => false,
    });
    let full_scans = scanned.filter_map(|step| full_scan(step, &query, rows)).collect();
    let mut indexes = vec![];
    for step in &steps {
        match &step.access {
            Access::Scan { index: Some(index) } | Access::Search { index, .. }
                if !indexes.contains(index) =>
            {
                indexes.push(index.clone());
            }
            Access::Scan { .. } | Access::Search { .. } | Access::Automatic | Access::RowId => {}
        }
    }
    Ok(Plan {
        statement: statement.to_owned(),
        explainable: true,
        reason: None,
        cost: None,
        full_scans,
        indexes,
    })
}

/// The steps of one statement; or why SQLite would not plan it.
pub(super) fn steps(
    connection: &Connection,
    statement: &str,
) -> Result<Result<Vec<Step>, String>, Fault> {
    if !is_plannable(statement) {
        return Ok(Err("only reading and writing of rows is planned".to_owned()));
    }
    let explain = format!("EXPLAIN QUERY PLAN {statement}");
    let mut prepared = match connection.prepare(&explain) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(error.to_string())),
    };
    // Parameters that are not bound are null: the plan is made without knowing their values.
    let mut rows = prepared.raw_query();
    let mut steps = vec![];
    while let Some(row) = rows.next()? {
        let (parent, detail): (i64, String) = (row.get(1)?, row.get(3)?);
        steps.extend(step(parent, &detail));
    }
    Ok(Ok(steps))
}

/// SQLite would explain a `DROP TABLE` as well: by the rows it reads of its own catalogue.
fn is_plannable(statement: &str) -> bool {
    let words = ["select", "with", "values", "insert", "replace", "update", "delete"];
    let first = crate::sql::tokens(statement).into_iter().next();
    first.is_some_and(|token| words.iter().any(|word| token.is(word)))
}

fn full_scan(step: &Step, query: &Query, rows: &BTreeMap<String, Option<i64>>) -> Option<FullScan> {
    // A subquery or a CTE has a name as well, but is no table.
    let table = query.table_of(&step.alias)?.to_owned();
    let columns = query.columns(&table);
    let rows_estimate = rows.get(&table).copied().flatten();
    Some(FullScan { table, columns, rows_estimate })
}

/// Reads `SCAN l`, `SEARCH l USING INDEX i (a=? AND b>?)` and their relatives.
fn step(parent: i64, detail: &str) -> Option<Step> {
    let (verb, rest) = detail.split_once(' ')?;
    let (alias, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let index = || {
        let (_, after) = rest.split_once("INDEX ")?;
        Some(after.split(' ').next()?.to_owned())
    };
    let access = match verb {
        "SCAN" => Access::Scan { index: index() },
        "SEARCH" if rest.contains("AUTOMATIC") => Access::Automatic,
        "SEARCH" if rest.contains("INTEGER PRIMARY KEY") => Access::RowId,
        "SEARCH" => Access::Search {
            index: index()?,
            equal: rest.matches("=?").count()
                - rest.matches(">=?").count()
                - rest.matches("<=?").count(),
            range: rest.contains(['<', '>']),
        },
        _ => return None,
    };
    Some(Step { alias: alias.to_owned(), access, parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_sqlite_writes() {
        let access = |detail: &str| step(0, detail).map(|step| (step.alias, step.access));
        let search =
            |index: &str, equal, range| Access::Search { index: index.into(), equal, range };
        assert_eq!(access("SCAN l"), Some(("l".into(), Access::Scan { index: None })));
        assert_eq!(
            access("SCAN l USING COVERING INDEX ix"),
            Some(("l".into(), Access::Scan { index: Some("ix".into()) }))
        );
        assert_eq!(
            access("SEARCH l USING INDEX ix (a=? AND b>?)"),
            Some(("l".into(), search("ix", 1, true)))
        );
        assert_eq!(
            access("SEARCH o USING INTEGER PRIMARY KEY (rowid=?)"),
            Some(("o".into(), Access::RowId))
        );
        assert_eq!(
            access("SEARCH l USING AUTOMATIC COVERING INDEX (order_id=?) LEFT-JOIN"),
            Some(("l".into(), Access::Automatic))
        );
        assert_eq!(access("USE TEMP B-TREE FOR ORDER BY"), None);
        assert_eq!(access("BLOOM FILTER ON l (order_id=?)"), None);
    }
}
