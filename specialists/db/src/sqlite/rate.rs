//! What an index would do for a statement, tried out on a shadow.
//!
//! SQLite's planner does not tell what it expects a plan to cost, so the cost is counted here: in
//! rows that are read, from the steps of the plan and the statistics the planner had.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{
    Shadow, Sqlite, catalogue,
    explain::{self, Access, Step},
};
use crate::{
    candidates::{Candidate, Method, Rated},
    database::Seen,
    fault::Fault,
    plan::Plan,
    query,
    schema::{ConstraintKind, Schema},
    sql,
};

/// Rows that tell how selective a column is.
const SAMPLE_ROWS_MAX: i64 = 100_000;

/// What the planner believes of an index that nobody analysed: so many rows share a key.
const ROWS_PER_KEY_UNKNOWN: f64 = 10.0;

/// What the planner believes a comparison for order leaves: one row in so many.
const RANGE_LEAVES_ONE_IN: f64 = 4.0;

/// A row that is found through an index is read twice: its entry there, and itself.
const READS_PER_ENTRY: f64 = 2.0;

type Rows = BTreeMap<String, Option<i64>>;

impl Sqlite {
    /// See [`crate::database::Database::see`].
    pub(crate) async fn see(&self) -> Result<Seen, Fault> {
        self.read("SELECT", |connection| {
            let schema = catalogue::schema(connection)?;
            let rows = catalogue::rows(connection, &schema)?;
            Ok(Seen { rows, version: catalogue::version(connection)?, schema })
        })
        .await
    }

    /// See [`crate::database::Database::explain`].
    pub(crate) async fn explain(&self, statements: Vec<String>) -> Result<Vec<Plan>, Fault> {
        self.read("EXPLAIN", move |connection| {
            let schema = catalogue::schema(connection)?;
            let rows = catalogue::rows(connection, &schema)?;
            statements.iter().map(|s| explain::plan(connection, s, &schema, &rows)).collect()
        })
        .await
    }

    /// See [`crate::database::Database::rate`].
    pub(crate) async fn rate(
        &self,
        seen: Seen,
        statements: Vec<String>,
        candidates: Vec<Candidate>,
    ) -> Result<Rated, Fault> {
        self.read("SELECT", move |original| {
            let trial = Trial::new(original, &seen)?;
            let cost = |statement: &String| Ok(trial.cost(statement)?.map(|(cost, _)| cost));
            let before = statements.iter().map(cost).collect::<Result<_, Fault>>()?;
            let after = candidates
                .iter()
                .map(|candidate| trial.with(candidate, &statements))
                .collect::<Result<_, Fault>>()?;
            Ok(Rated { method: Method::Shadow, before, after })
        })
        .await
    }
}

/// A shadow that indexes are tried on.
struct Trial<'a> {
    original: &'a Connection,
    shadow: Shadow,
    schema: &'a Schema,
    rows: &'a Rows,
}

impl<'a> Trial<'a> {
    fn new(original: &'a Connection, seen: &'a Seen) -> Result<Self, Fault> {
        let shadow = Shadow::of(original)?;
        // Without statistics the planner takes every table for a large one.
        for (table, count) in &seen.rows {
            let known = shadow.connection.query_row(
                "SELECT count(*) FROM sqlite_stat1 WHERE tbl = ?1",
                [table],
                |row| row.get::<_, i64>(0),
            )?;
            if let (0, Some(count)) = (known, count) {
                shadow.set_statistics(table, None, &count.to_string())?;
            }
        }
        shadow.reload_statistics()?;
        Ok(Self { original, shadow, schema: &seen.schema, rows: &seen.rows })
    }

    /// The costs of the statements that use a candidate, with the candidate there.
    fn with(
        &self,
        candidate: &Candidate,
        statements: &[String],
    ) -> Result<Vec<Option<f64>>, Fault> {
        let connection = &self.shadow.connection;
        connection.execute(&candidate.ddl, [])?;
        let stat = self.selectivity(candidate)?;
        self.shadow.set_statistics(&candidate.table, Some(&candidate.name), &stat)?;
        self.shadow.reload_statistics()?;
        let mut costs = vec![];
        for statement in statements {
            let used = |(cost, indexes): (f64, Vec<String>)| {
                indexes.contains(&candidate.name).then_some(cost)
            };
            costs.push(self.cost(statement)?.and_then(used));
        }
        connection.execute_batch(&format!("DROP INDEX {}", sql::quote(&candidate.name)))?;
        connection.execute("DELETE FROM sqlite_stat1 WHERE idx = ?1", [&candidate.name])?;
        self.shadow.reload_statistics()?;
        Ok(costs)
    }

    /// `rows per_key_of_1 per_key_of_2 …`, as `ANALYZE` would write it, from a sample.
    fn selectivity(&self, candidate: &Candidate) -> Result<String, Fault> {
        let rows = self.rows.get(&candidate.table).copied().flatten().unwrap_or(SAMPLE_ROWS_MAX);
        let mut stat = vec![rows.to_string()];
        for columns in (1..=candidate.columns.len()).map(|n| &candidate.columns[..n]) {
            let (columns, table) = (sql::quote_all(columns), sql::quote(&candidate.table));
            let sample = format!("SELECT {columns} FROM {table} LIMIT {SAMPLE_ROWS_MAX}");
            let (seen, distinct): (i64, i64) = self.original.query_row(
                &format!(
                    "SELECT (SELECT count(*) FROM ({sample})), \
                     (SELECT count(*) FROM (SELECT DISTINCT {columns} FROM ({sample})))"
                ),
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            stat.push(rows_per_key(rows, seen, distinct).to_string());
        }
        Ok(stat.join(" "))
    }

    /// Rows a statement would read, and the indexes it would use; none if it cannot be planned.
    fn cost(&self, statement: &str) -> Result<Option<(f64, Vec<String>)>, Fault> {
        let Ok(steps) = explain::steps(&self.shadow.connection, statement)? else {
            return Ok(None);
        };
        let query = query::read(statement, self.schema);
        let mut reads = vec![];
        let mut indexes = vec![];
        for step in &steps {
            let rows = query
                .table_of(&step.alias)
                .and_then(|table| self.rows.get(table).copied().flatten());
            reads.push(self.rows_read(step, rows)?);
            if let Access::Search { index, .. } | Access::Scan { index: Some(index) } = &step.access
            {
                indexes.push(index.clone());
            }
        }
        Ok(Some((total(&steps, &reads), indexes)))
    }

    /// Rows that one execution of a step reads.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn rows_read(&self, step: &Step, table_rows: Option<i64>) -> Result<f64, Fault> {
        let all = table_rows.map_or(ROWS_PER_KEY_UNKNOWN, |rows| rows as f64);
        Ok(match &step.access {
            Access::Scan { .. } | Access::Automatic => all,
            Access::RowId => 1.0,
            Access::Search { index, equal, range } => {
                let per_key = self.rows_per_key(index, *equal, all)?;
                let narrowed = if *range { per_key / RANGE_LEAVES_ONE_IN } else { per_key };
                READS_PER_ENTRY * narrowed.max(1.0)
            }
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn rows_per_key(&self, index: &str, equal: usize, all: f64) -> Result<f64, Fault> {
        if equal == 0 {
            return Ok(all);
        }
        if self.is_unique(index, equal) {
            return Ok(1.0);
        }
        let stat = self.shadow.statistics(index)?;
        Ok(stat.get(equal).map_or(ROWS_PER_KEY_UNKNOWN, |rows| *rows as f64))
    }

    fn is_unique(&self, index: &str, equal: usize) -> bool {
        self.schema.tables.iter().any(|table| {
            let by_index = table
                .indexes
                .iter()
                .any(|i| i.name == index && i.unique && equal >= i.columns.len());
            // A table without rowid is read by its primary key.
            let by_key = index == "PRIMARY"
                && table
                    .constraints
                    .iter()
                    .any(|c| c.kind == ConstraintKind::PrimaryKey && equal >= c.columns.len());
            by_index || by_key
        })
    }
}

/// From a sample: as many as in the sample if keys go on being new, else as many as the known keys
/// leave for each.
fn rows_per_key(rows: i64, sampled: i64, distinct: i64) -> i64 {
    let distinct = distinct.max(1);
    let still_new = distinct * 10 > sampled;
    let per_key = if still_new { sampled / distinct } else { rows / distinct };
    per_key.max(1)
}

/// Steps of one parent are loops within loops; an index made for one execution is made once.
fn total(steps: &[Step], reads: &[f64]) -> f64 {
    let mut loops: BTreeMap<i64, f64> = BTreeMap::new();
    let mut total = 0.0;
    for (step, read) in steps.iter().zip(reads) {
        let times = loops.entry(step.parent).or_insert(1.0);
        if step.access == Access::Automatic {
            total += read + *times * ROWS_PER_KEY_UNKNOWN;
            *times *= ROWS_PER_KEY_UNKNOWN;
        } else {
            total += read * *times;
            *times *= read.max(1.0);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_how_many_rows_share_a_key() {
        assert_eq!(rows_per_key(1_000, 1_000, 250), 4);
        assert_eq!(rows_per_key(1_000_000, 100_000, 25_000), 4);
        assert_eq!(rows_per_key(1_000_000, 100_000, 3), 333_333);
        assert_eq!(rows_per_key(0, 0, 0), 1);
    }

    #[test]
    fn loops_multiply_and_a_temporary_index_is_made_once() {
        let step = |access| Step { alias: "t".to_owned(), access, parent: 0 };
        let nested = [step(Access::RowId), step(Access::Scan { index: None })];
        assert!((total(&nested, &[1.0, 80_000.0]) - 80_001.0).abs() < 0.1);
        let temporary = [step(Access::Scan { index: None }), step(Access::Automatic)];
        assert!((total(&temporary, &[100.0, 1_000.0]) - 2_100.0).abs() < 0.1);
    }
}
