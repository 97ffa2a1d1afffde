//! A database of its own, with the schema of another and none of its rows, for as long as it is
//! needed.

use std::{
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::process::Command;
use tokio_postgres::config::Host;

use super::Postgres;
use crate::{
    fault::{Fault, Reason},
    transition::{Outcome, Transition},
};

/// What every shadow's name begins with; the second it was made in follows.
const PREFIX: &str = "deadelus_shadow_";

/// A shadow this old belongs to a process that died: no rehearsal takes so long.
const LEFTOVER_AGE: Duration = Duration::from_secs(3_600);

/// Reading a schema takes seconds; a `pg_dump` that waits longer waits for a lock.
const DUMP_TIMEOUT: Duration = Duration::from_secs(60);

impl Postgres {
    /// See [`crate::database::Database::rehearse`].
    pub(crate) async fn rehearse(
        &self,
        transitions: &[Transition],
    ) -> Result<Vec<Result<Outcome, Fault>>, Fault> {
        let schema = self.dump().await?;
        self.sweep().await?;
        let shadow = Shadow::make(self).await?;
        let outcomes = shadow.play(&schema, transitions).await;
        shadow.remove().await?;
        outcomes
    }

    /// The schema as SQL, in the words of the server's own tool.
    async fn dump(&self) -> Result<String, Fault> {
        let mut dump = Command::new("pg_dump");
        dump.args(["--schema-only", "--no-owner"]).stdin(Stdio::null()).kill_on_drop(true);
        for (name, value) in self.environment() {
            dump.env(name, value);
        }
        let missing = |error: std::io::Error| {
            Fault::Unreachable(format!("pg_dump: {error}; install postgresql-client"))
        };
        let slow = |_| Fault::Unreachable("pg_dump did not end in time".to_owned());
        let output = tokio::time::timeout(DUMP_TIMEOUT, dump.output())
            .await
            .map_err(slow)?
            .map_err(missing)?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let first = text.lines().next().unwrap_or_default();
            return Err(Fault::Unreachable(format!("pg_dump: {first}")));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        // Newer versions frame the dump with two commands for psql.
        let sql = text.lines().filter(|line| !line.starts_with('\\'));
        Ok(sql.collect::<Vec<_>>().join("\n"))
    }

    /// Credentials travel in the environment of the child: arguments are seen by everybody.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let config = &self.config;
        let mut variables = vec![("PGCONNECT_TIMEOUT", "5".to_owned())];
        match config.get_hosts().first() {
            Some(Host::Tcp(host)) => variables.push(("PGHOST", host.clone())),
            Some(Host::Unix(path)) => variables.push(("PGHOST", path.display().to_string())),
            None => {}
        }
        variables.extend(config.get_ports().first().map(|port| ("PGPORT", port.to_string())));
        variables.extend(config.get_user().map(|user| ("PGUSER", user.to_owned())));
        variables.extend(config.get_dbname().map(|name| ("PGDATABASE", name.to_owned())));
        let password = config.get_password().map(|p| String::from_utf8_lossy(p).into_owned());
        variables.extend(password.map(|password| ("PGPASSWORD", password)));
        variables
    }

    /// Drops what processes that died left behind.
    async fn sweep(&self) -> Result<(), Fault> {
        let session = self.connect().await?;
        let names = "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)";
        for row in session.rows("SELECT", names, &[&PREFIX]).await? {
            let name: String = row.get(0);
            let made = name[PREFIX.len()..].split('_').next().and_then(|s| s.parse::<u64>().ok());
            if made.is_some_and(|made| made + LEFTOVER_AGE.as_secs() < now_unix_s()) {
                let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                session.run("DROP DATABASE", &drop).await?;
            }
        }
        Ok(())
    }
}

/// A database that is dropped in the end, whatever happens.
struct Shadow {
    name: String,
    original: Postgres,
    here: Postgres,
    dropped: bool,
}

impl Shadow {
    async fn make(original: &Postgres) -> Result<Self, Fault> {
        let name = format!("{PREFIX}{}_{:08x}", now_unix_s(), fastrand::u32(..));
        let mut here = original.clone();
        here.config.dbname(&name);
        let shadow = Self { name, original: original.clone(), here, dropped: false };
        // From the empty template: whatever the administrator put into the other is not ours.
        let create = format!("CREATE DATABASE {} TEMPLATE template0", shadow.name);
        original.connect().await?.run("CREATE DATABASE", &create).await?;
        Ok(shadow)
    }

    /// Each transition after the other, until one fails.
    async fn play(
        &self,
        schema: &str,
        transitions: &[Transition],
    ) -> Result<Vec<Result<Outcome, Fault>>, Fault> {
        let session = self.here.connect().await?;
        session.run("CREATE TABLE", schema).await.map_err(|fault| match fault {
            Fault::Refused { code, message, .. } => Fault::Refused {
                reason: Reason::Forbidden,
                code,
                message: format!("the schema cannot be made again: {message}"),
            },
            Fault::Unreachable(_) | Fault::Lost(_) | Fault::Left { .. } => fault,
        })?;
        drop(session);
        let mut outcomes = vec![];
        for transition in transitions {
            let outcome = self.here.transit(transition, |_| true).await;
            let failed = outcome.is_err();
            outcomes.push(outcome);
            if failed {
                break;
            }
        }
        Ok(outcomes)
    }

    async fn remove(mut self) -> Result<(), Fault> {
        remove(&self.original, &self.name).await?;
        self.dropped = true;
        Ok(())
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        if self.dropped {
            return;
        }
        let (original, name) = (self.original.clone(), self.name.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(fault) = remove(&original, &name).await {
                    tracing::warn!(name, %fault, "a shadow database is left behind");
                }
            });
        }
    }
}

async fn remove(original: &Postgres, name: &str) -> Result<(), Fault> {
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    original.connect().await?.run("DROP DATABASE", &drop).await
}

fn now_unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
