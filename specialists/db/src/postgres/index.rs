//! Building an index and removing it while everybody else goes on reading and writing.
//!
//! A concurrent build is not a transaction: when it fails it leaves an *invalid* index, that costs
//! every write and serves no read. Whatever happens here, such an index is removed, or found by the
//! next attempt and removed then.

use std::time::Duration;

use super::{Postgres, Session, catalogue, explain};
use crate::{
    database::{Build, Built},
    ddl::IndexName,
    fault::{Fault, Reason},
    schema::Schema,
};

/// How much longer than for a lock that others queue behind: a concurrent build stops nobody while
/// it waits.
const QUIET_PATIENCE: u32 = 10;

/// Between two looks at who is in the way.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Transactions older than $1 milliseconds that a concurrent build would have to wait for: it waits
/// for everybody who has written to the table, and for every snapshot.
const IN_THE_WAY: &str = "SELECT count(*) FROM pg_stat_activity a \
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() \
    AND a.backend_type = 'client backend' \
    AND a.xact_start < clock_timestamp() - $1 * interval '1 millisecond' \
    AND (a.backend_xmin IS NOT NULL OR EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid \
        AND l.granted AND l.locktype = 'relation' AND l.relation = to_regclass($2) \
        AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')))";

fn drop_statement(name: &IndexName) -> String {
    format!("DROP INDEX CONCURRENTLY IF EXISTS {}", name.sql)
}

impl Postgres {
    /// See [`crate::database::Database::build_index`].
    pub(crate) async fn build_index(
        &self,
        build: &Build,
        keep: impl Fn(&Built) -> bool + Send,
    ) -> Result<Built, Fault> {
        let session = self.change().await?;
        // Looked at again under the lock: an earlier worker may have done it, or half of it.
        let schema = catalogue::schema(&session).await?;
        let valid = schema.index(&build.name.full).map(|(_, index)| index.valid);
        self.be_quiet(&session).await?;
        if valid == Some(false) {
            self.stoppable(&session, "DROP INDEX", &drop_statement(&build.name)).await?;
        }
        if valid != Some(true) {
            self.until_nobody_is_in_the_way(&session, &build.table).await?;
            let create = concurrently(&build.ddl);
            if let Err(fault) = self.stoppable(&session, "CREATE INDEX", &create).await {
                return Err(clean_up(&session, build, fault).await);
            }
        }
        match measure(&session, build).await {
            Ok(built) if keep(&built) => Ok(built),
            Ok(built) => {
                remove(&session, build).await?;
                Ok(built)
            }
            // What was built and cannot be judged is not kept.
            Err(fault) => Err(clean_up(&session, build, fault).await),
        }
    }

    /// Waits longer for locks, because nobody waits behind us.
    async fn be_quiet(&self, session: &Session) -> Result<(), Fault> {
        let limit = (self.patience.lock * QUIET_PATIENCE).as_millis();
        session.run("SET", &format!("SET lock_timeout = {limit}")).await
    }

    /// A build that gives up leaves an invalid index, and while somebody's transaction is open not
    /// even that can be removed. So it does not begin before they are gone.
    async fn until_nobody_is_in_the_way(
        &self,
        session: &Session,
        table: &str,
    ) -> Result<(), Fault> {
        let patience = self.patience.lock * QUIET_PATIENCE;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a timeout")]
        let age_ms = self.patience.lock.as_millis() as f64;
        let waiting = async {
            while session.one::<i64>("SELECT", IN_THE_WAY, &[&age_ms, &table]).await? > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        tokio::time::timeout(patience, waiting).await.unwrap_or_else(|_| {
            Err(Fault::Refused {
                reason: Reason::Locked,
                code: "open transaction".to_owned(),
                message: format!("a transaction older than {age_ms} ms is in the way of {table}"),
            })
        })
    }

    /// See [`crate::database::Database::remove_index`].
    pub(crate) async fn remove_index(&self, name: &IndexName) -> Result<Schema, Fault> {
        let session = self.change().await?;
        let schema = catalogue::schema(&session).await?;
        if schema.index(&name.full).is_none() {
            return Ok(schema);
        }
        self.be_quiet(&session).await?;
        self.stoppable(&session, "DROP INDEX", &drop_statement(name)).await?;
        catalogue::schema(&session).await
    }

    /// See [`crate::database::Database::measure_index`].
    pub(crate) async fn measure_index(&self, build: &Build) -> Result<Built, Fault> {
        let session = self.connect().await?;
        measure(&session, build).await
    }
}

/// Takes away what a failed build left; says so when not even that is possible.
async fn clean_up(session: &Session, build: &Build, fault: Fault) -> Fault {
    if fault.reason().is_none() {
        // The session is gone: the next one finds what is left.
        return fault;
    }
    match remove(session, build).await {
        Ok(()) => fault,
        Err(Fault::Lost(lost)) => Fault::Lost(lost),
        Err(_) => Fault::Left {
            what: format!("index {}, invalid", build.name.full),
            cause: Box::new(fault),
        },
    }
}

async fn remove(session: &Session, build: &Build) -> Result<(), Fault> {
    session.run("ROLLBACK", "ROLLBACK").await?;
    session.run("DROP INDEX", &drop_statement(&build.name)).await
}

/// `CREATE INDEX CONCURRENTLY` of what the catalogue prints as `CREATE INDEX`.
fn concurrently(ddl: &str) -> String {
    match ddl.split_once(" INDEX ") {
        Some((create, rest)) if !rest.starts_with("CONCURRENTLY ") => {
            format!("{create} INDEX CONCURRENTLY {rest}")
        }
        Some(_) | None => ddl.to_owned(),
    }
}

async fn measure(session: &Session, build: &Build) -> Result<Built, Fault> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    session.run("BEGIN", begin).await?;
    let schema = catalogue::schema(session).await?;
    let index = schema.index(&build.name.full).map(|(_, index)| index.clone());
    let size_bytes = match &index {
        Some(index) => {
            let size = "SELECT pg_relation_size(to_regclass($1))";
            session.one("SELECT", size, &[&index.sql_name]).await?
        }
        None => 0,
    };
    let rows = std::collections::BTreeMap::new();
    let mut plans = vec![];
    for statement in &build.statements {
        plans.push(explain::plan(session, statement, &schema, &rows).await?);
    }
    session.run("ROLLBACK", "ROLLBACK").await?;
    Ok(Built { index, size_bytes, schema, plans })
}
