//! A copy of a database's shape in memory, with the statistics of the original and none of its
//! rows: what is tried there touches nobody.

use rusqlite::Connection;

use crate::{HISTORY_TABLE, fault::Fault};

/// A database in memory that lives as long as this value.
#[derive(Debug)]
pub(crate) struct Shadow {
    pub(super) connection: Connection,
}

impl Shadow {
    /// The shape of another database.
    pub(super) fn of(original: &Connection) -> Result<Self, Fault> {
        let shadow = Self { connection: Connection::open_in_memory()? };
        shadow.connection.execute_batch("PRAGMA foreign_keys = OFF")?;
        shadow.replay(original)?;
        shadow.copy_statistics(original)?;
        Ok(shadow)
    }

    /// Makes the planner read `sqlite_stat1` again.
    pub(super) fn reload_statistics(&self) -> Result<(), Fault> {
        Ok(self.connection.execute_batch("ANALYZE sqlite_schema")?)
    }

    /// Says how many rows an index is believed to have, and how many share a key, column by column.
    pub(super) fn set_statistics(
        &self,
        table: &str,
        index: Option<&str>,
        stat: &str,
    ) -> Result<(), Fault> {
        self.connection.execute(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)",
            (table, index, stat),
        )?;
        Ok(())
    }

    /// How many rows share a key, column by column, as the statistics say; after the row count.
    pub(super) fn statistics(&self, index: &str) -> Result<Vec<i64>, Fault> {
        let mut statement =
            self.connection.prepare("SELECT stat FROM sqlite_stat1 WHERE idx = ?1")?;
        let mut stats = statement.query_map([index], |row| row.get::<_, String>(0))?;
        let stat = stats.next().transpose()?.unwrap_or_default();
        Ok(stat.split(' ').map_while(|number| number.parse().ok()).collect())
    }

    fn replay(&self, original: &Connection) -> Result<(), Fault> {
        // In the order in which they were made: a view or a trigger comes after its tables.
        let mut statement = original.prepare(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL \
             AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND tbl_name <> ?1 \
             ORDER BY type <> 'table', type <> 'index', type <> 'view', rowid",
        )?;
        let mut rows = statement.query([HISTORY_TABLE])?;
        while let Some(row) = rows.next()? {
            self.connection.execute_batch(&row.get::<_, String>(0)?)?;
        }
        Ok(())
    }

    fn copy_statistics(&self, original: &Connection) -> Result<(), Fault> {
        // Makes the table of statistics, which nobody may create by hand.
        self.connection.execute_batch("ANALYZE")?;
        let Ok(mut statement) = original.prepare("SELECT tbl, idx, stat FROM sqlite_stat1") else {
            return Ok(());
        };
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (table, index): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            let stat: Option<String> = row.get(2)?;
            self.set_statistics(&table, index.as_deref(), stat.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}
