//! The book of effects: what is there, under the key of whoever made it. It is the world of these
//! tests, outside the mesh, and the only thing that no accident touches.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, params};

/// A frozen process may hold the book for as long as it is frozen.
const BUSY_MAX: Duration = Duration::from_secs(30);

const TABLE: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS effect (
        key     TEXT PRIMARY KEY,
        made    INTEGER NOT NULL DEFAULT 0,
        removed INTEGER NOT NULL DEFAULT 0,
        again   INTEGER NOT NULL DEFAULT 0
    )";

/// One process's hand on the book.
#[derive(Debug)]
pub struct Book {
    connection: Connection,
}

/// What the book says of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who made it: a workflow and its task.
    pub key: String,
    /// How often the effect came to be.
    pub made: u32,
    /// How often it was removed.
    pub removed: u32,
    /// How often it was asked for while it was there.
    pub again: u32,
}

impl Line {
    /// Whether it is there.
    pub fn there(&self) -> bool {
        self.made > self.removed
    }
}

impl Book {
    /// Opens it, and makes it where there is none.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_MAX)?;
        connection.execute_batch(TABLE)?;
        Ok(Self { connection })
    }

    /// Makes the effect, unless it is there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn make(&self, key: &str) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO effect (key, made) VALUES (?1, 1)
             ON CONFLICT (key) DO UPDATE SET
                 again = again + (made > removed), made = made + (made = removed)",
            params![key],
        )?;
        Ok(())
    }

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn remove(&self, key: &str) -> rusqlite::Result<()> {
        let text = "UPDATE effect SET removed = removed + 1 WHERE key = ?1 AND made > removed";
        self.connection.execute(text, params![key])?;
        Ok(())
    }

    /// Whether it is there.
    ///
    /// # Errors
    /// SQLite's.
    pub fn has(&self, key: &str) -> rusqlite::Result<bool> {
        let text = "SELECT made > removed FROM effect WHERE key = ?1";
        let there = self.connection.query_row(text, params![key], |row| row.get(0)).optional()?;
        Ok(there.unwrap_or(false))
    }

    /// All of it.
    ///
    /// # Errors
    /// SQLite's.
    pub fn lines(&self) -> rusqlite::Result<Vec<Line>> {
        let text = "SELECT key, made, removed, again FROM effect ORDER BY key";
        let mut lines = self.connection.prepare(text)?;
        let line = |row: &rusqlite::Row<'_>| {
            let (made, removed, again) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Line { key: row.get(0)?, made, removed, again })
        };
        lines.query_map([], line)?.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_is_there_once_however_often_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book.db");
        let (one, other) = (Book::open(&path).unwrap(), Book::open(&path).unwrap());
        one.remove("k").unwrap();
        one.make("k").unwrap();
        other.make("k").unwrap();
        assert!(one.has("k").unwrap() && !one.has("other").unwrap());
        other.remove("k").unwrap();
        one.remove("k").unwrap();
        one.make("k").unwrap();
        let line = Line { key: "k".into(), made: 2, removed: 1, again: 1 };
        assert_eq!(one.lines().unwrap(), [line]);
    }
}
