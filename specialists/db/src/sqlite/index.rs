//! Building an index and removing it, each in one transaction: nobody ever sees half of it.

use rusqlite::Connection;

use super::{Sqlite, catalogue, explain};
use crate::{
    database::{Build, Built},
    ddl::IndexName,
    fault::Fault,
    schema::Schema,
};

impl Sqlite {
    /// See [`crate::database::Database::build_index`].
    pub(crate) async fn build_index(
        &self,
        build: Build,
        keep: impl Fn(&Built) -> bool + Send + 'static,
    ) -> Result<Built, Fault> {
        self.write("CREATE INDEX", move |connection| {
            connection.execute_batch("SAVEPOINT build")?;
            // Another worker may have been faster; its work is measured like our own.
            if catalogue::schema(connection)?.index(&build.name.full).is_none() {
                connection.execute(&build.ddl, [])?;
            }
            let built = measure(connection, &build)?;
            if !keep(&built) {
                connection.execute_batch("ROLLBACK TO build")?;
            }
            connection.execute_batch("RELEASE build")?;
            Ok(built)
        })
        .await
    }

    /// See [`crate::database::Database::remove_index`].
    pub(crate) async fn remove_index(&self, name: IndexName) -> Result<Schema, Fault> {
        self.write("DROP INDEX", move |connection| {
            connection.execute_batch(&format!("DROP INDEX IF EXISTS {}", name.sql))?;
            catalogue::schema(connection)
        })
        .await
    }

    /// See [`crate::database::Database::measure_index`].
    pub(crate) async fn measure_index(&self, build: Build) -> Result<Built, Fault> {
        self.read("SELECT", move |connection| measure(connection, &build)).await
    }
}

fn measure(connection: &Connection, build: &Build) -> Result<Built, Fault> {
    let schema = catalogue::schema(connection)?;
    let rows = std::collections::BTreeMap::new();
    let plans = build
        .statements
        .iter()
        .map(|statement| explain::plan(connection, statement, &schema, &rows))
        .collect::<Result<_, _>>()?;
    let size_bytes = connection.query_row(
        "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE name = ?1",
        [&build.name.full],
        |row| row.get(0),
    )?;
    let index = schema.index(&build.name.full).map(|(_, index)| index.clone());
    Ok(Built { index, size_bytes, schema, plans })
}
