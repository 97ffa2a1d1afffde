//! A change of a schema by statements, in one transaction: all of it or nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    migration::Applied,
    schema::{Schema, Table},
    sql::Statement,
};

/// What to do within one transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transition {
    pub(crate) statements: Vec<Statement>,
    /// Tables that must not lose rows: a statement that would drop one of them, or a column of it,
    /// is left out.
    pub(crate) protect: Vec<String>,
    /// What will be lost and is read out first.
    pub(crate) export: Vec<Lost>,
    /// Lines that the history gains.
    pub(crate) record: Vec<Line>,
    /// Versions that the history loses.
    pub(crate) forget: Vec<i64>,
    /// Whether to watch locks and rewrites.
    pub(crate) trace: bool,
}

/// A line for the history.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) version: i64,
    pub(crate) name: String,
    pub(crate) checksum: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) before: Schema,
    pub(crate) after: Schema,
    /// It had been done before, and nothing was run.
    pub(crate) done: bool,
    /// Statements that were left out, in their first words.
    pub(crate) left_out: Vec<String>,
    /// Lines of JSON for each table of `export`.
    pub(crate) exports: BTreeMap<String, Vec<u8>>,
    /// One for each statement, when asked for.
    pub(crate) trace: Vec<Trace>,
    /// As it is afterwards.
    pub(crate) history: Vec<Applied>,
}

/// What a statement did to those who work beside it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trace {
    /// The first words of it.
    pub statement: String,
    /// Locks that it took and keeps until the end.
    pub locks: Vec<Lock>,
    /// Tables whose rows were written anew.
    pub rewritten: Vec<String>,
    /// On a database without rows: what the statement itself costs.
    pub ms: f64,
}

/// A lock on a table that was there before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Lock {
    /// The table.
    pub table: String,
    /// `AccessExclusiveLock`
    pub mode: String,
}

/// Rows that a transition takes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) table: String,
    pub(crate) sql_name: String,
    /// The columns that tell which row it was and what it held; empty for the whole table.
    pub(crate) columns: Vec<String>,
}

impl Transition {
    /// Whether the history shows all that this would record or forget.
    pub(crate) fn is_done(&self, history: &[Applied]) -> bool {
        let known = |version: i64| history.iter().any(|line| line.version == version);
        let nothing_to_tell = self.record.is_empty() && self.forget.is_empty();
        !nothing_to_tell
            && self.record.iter().all(|line| known(line.version))
            && !self.forget.iter().any(|version| known(*version))
    }
}

/// What is in `before` and not in `after`: tables, and columns of tables that stay.
pub(crate) fn lost(before: &Schema, after: &Schema) -> Vec<Lost> {
    let mut lost = vec![];
    for table in &before.tables {
        let whole =
            |columns| Lost { table: table.name.clone(), sql_name: table.sql_name.clone(), columns };
        match after.tables.iter().find(|other| other.name == table.name) {
            None => lost.push(whole(vec![])),
            Some(other) => {
                let gone = missing_columns(table, other);
                if !gone.is_empty() {
                    lost.push(whole(with_key(table, gone)));
                }
            }
        }
    }
    lost
}

/// Whether a table that must not lose rows has lost some.
pub(crate) fn violates(protect: &[String], before: &Schema, after: &Schema) -> bool {
    lost(before, after).iter().any(|lost| protect.contains(&lost.table))
}

fn missing_columns(before: &Table, after: &Table) -> Vec<String> {
    let names = before.columns.iter().map(|column| &column.name);
    names.filter(|name| !after.columns.iter().any(|c| c.name == **name)).cloned().collect()
}

fn with_key(table: &Table, gone: Vec<String>) -> Vec<String> {
    let key = table.constraints.iter().find(|c| c.kind == crate::ConstraintKind::PrimaryKey);
    let mut columns = key.map_or_else(Vec::new, |key| key.columns.clone());
    columns.extend(gone.into_iter().filter(|name| key.is_none_or(|k| !k.columns.contains(name))));
    columns
}

/// The first words of a statement: enough to recognise it, without its values.
pub(crate) fn headline(statement: &Statement) -> String {
    /// `ALTER TABLE order_line ADD COLUMN gift BOOLEAN`
    const WORDS_MAX: usize = 8;
    let words = statement.tokens.iter().filter(|token| token.is_name()).take(WORDS_MAX);
    words.map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
}
