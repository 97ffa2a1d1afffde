//! Which databases this process is configured for, and how patient it is with them.
//!
//! The only place that holds credentials. They are never printed, logged or put on the bus.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use deadelus_runtime::{Context, Failure, TargetCard, TargetName};
use serde::{Deserialize, Serialize, Serializer};

use crate::{database::Database, postgres::Postgres, sqlite::Sqlite};

/// One database.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DbTarget {
    /// `sqlite:PATH`, or a PostgreSQL URL: `postgresql://user:password@host/shop`,
    /// `postgresql:///shop?host=/run/postgresql&user=shop`.
    pub database: Location,
    /// Tables whose rows no undo may take away: a revert keeps them and lists them.
    #[serde(default)]
    pub ledger_tables: Vec<String>,
    /// How long one attempt waits for a lock before it lets others pass, in milliseconds.
    #[serde(default = "default_lock_timeout_ms")]
    pub lock_timeout_ms: u64,
    /// How long a statement that only looks may run, in milliseconds.
    #[serde(default = "default_read_timeout_ms")]
    pub read_timeout_ms: u64,
}

/// Long enough for a short transaction to end, short enough that those who queue behind us for the
/// same lock are not felt by a client.
fn default_lock_timeout_ms() -> u64 {
    2_000
}

/// A catalogue is read in milliseconds; what takes longer than this is stuck behind something.
fn default_read_timeout_ms() -> u64 {
    30_000
}

/// Where a database is.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server, a database and a user.
    Postgres(Box<tokio_postgres::Config>),
}

/// Why a string is no [`Location`]. Never repeats the string: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLocation {
    /// Neither of the two schemes.
    #[error("database: use sqlite:PATH or postgresql://user@host/name")]
    Scheme,
    /// The scheme of PostgreSQL, but not a URL that its driver reads.
    #[error("database: not a PostgreSQL URL")]
    Url(#[source] tokio_postgres::Error),
    /// Something essential is not in it.
    #[error("database: the URL names no {0}")]
    Missing(&'static str),
    /// This build speaks to servers in the clear or over a socket.
    #[error("database: sslmode=require is not supported; use a local socket or a TLS tunnel")]
    Tls,
}

impl TryFrom<String> for Location {
    type Error = InvalidLocation;

    fn try_from(text: String) -> Result<Self, InvalidLocation> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err(InvalidLocation::Missing("path"));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(InvalidLocation::Scheme);
        }
        let config: tokio_postgres::Config = text.parse().map_err(InvalidLocation::Url)?;
        if config.get_dbname().is_none() {
            return Err(InvalidLocation::Missing("database"));
        }
        if config.get_user().is_none() {
            return Err(InvalidLocation::Missing("user"));
        }
        if config.get_hosts().is_empty() {
            return Err(InvalidLocation::Missing("host"));
        }
        if config.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
            return Err(InvalidLocation::Tls);
        }
        Ok(Self::Postgres(Box::new(config)))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(config) => {
                let user = config.get_user().unwrap_or_default();
                let name = config.get_dbname().unwrap_or_default();
                write!(f, "postgresql://{user}@{:?}/{name}", config.get_hosts())
            }
        }
    }
}

/// For a person to read; what it prints has no password and is not read back.
impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

/// All of them, by name.
#[derive(Debug, Clone, Default)]
pub struct Targets(deadelus_runtime::Targets<DbTarget>);

impl Targets {
    /// Those of a configuration.
    pub fn new(targets: BTreeMap<TargetName, DbTarget>) -> Self {
        Self(deadelus_runtime::Targets::new(targets))
    }

    /// The database that a task is about, with its configuration.
    pub(crate) fn open(&self, cx: &Context) -> Result<Database, Failure> {
        let target = self.0.of(cx)?;
        Ok(match &target.database {
            Location::Sqlite(path) => {
                Database::Sqlite(Sqlite::new(path.clone(), target.patience(), cx))
            }
            Location::Postgres(config) => {
                Database::Postgres(Postgres::new(config.clone(), target.patience(), cx))
            }
        })
    }

    /// Tables whose rows must survive every undo.
    pub(crate) fn ledger_tables(&self, cx: &Context) -> Result<Vec<String>, Failure> {
        Ok(self.0.of(cx)?.ledger_tables.clone())
    }

    /// What may be told of each.
    pub(crate) fn cards(&self) -> impl Iterator<Item = TargetCard> {
        self.0.cards(|target| {
            let engine = match target.database {
                Location::Sqlite(_) => "sqlite",
                Location::Postgres(_) => "postgresql",
            };
            [("engine".to_owned(), engine.to_owned())].into()
        })
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For a lock, per attempt.
    pub(crate) lock: Duration,
    /// For a statement that only looks.
    pub(crate) read: Duration,
}

impl DbTarget {
    fn patience(&self) -> Patience {
        Patience {
            lock: Duration::from_millis(self.lock_timeout_ms),
            read: Duration::from_millis(self.read_timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location, InvalidLocation> {
        Location::try_from(text.to_owned())
    }

    #[test]
    fn reads_files_servers_and_sockets() {
        assert_eq!(format!("{:?}", parse("sqlite:/tmp/a.db").unwrap()), "sqlite:/tmp/a.db");
        let socket = parse("postgresql:///shop?host=/run/pg&user=postgres").unwrap();
        let Location::Postgres(config) = socket else { panic!("a server") };
        assert_eq!(config.get_dbname(), Some("shop"));
        assert_eq!(
            config.get_hosts(),
            [tokio_postgres::config::Host::Unix("/run/pg".into())].as_slice()
        );
    }

    #[test]
    fn refuses_what_it_cannot_use_and_never_repeats_a_password() {
        for bad in
            ["mysql://root:hunter2@h/d", "postgresql://u:hunter2@h:xx/d", "sqlite:", "postgres://h"]
        {
            let error = parse(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let good = parse("postgresql://u:hunter2@h/d").unwrap();
        assert!(!format!("{good:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_keys_are_errors() {
        let text = r#"{"database": "sqlite:a.db", "lock_timeout": 3}"#;
        assert!(serde_json::from_str::<DbTarget>(text).is_err());
    }
}
