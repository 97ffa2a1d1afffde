//! What a shop is told before it starts. Parsed once, here; inside, holding a [`Config`] is the
//! proof that it is sound.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::auth::AuthConfig;
use crate::provider::ProviderKey;
use crate::webhook::WebhookSecret;

/// More connections than this are a typing mistake: a small PostgreSQL allows 100 in all.
pub const POOL_SIZE_MAX: usize = 64;
/// A configured delay beyond a minute makes every client give up; it is a typing mistake.
pub const DELAY_MAX_MS: u64 = 60_000;
/// One checkout writing more rows than this would measure the disk and nothing else.
pub const WRITTEN_LINES_MAX: usize = 100_000;

/// The configuration file of `deadelus-shop serve`, TOML. Unknown keys are errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `sqlite:PATH` or `postgres://…`; the shop in it is made by `deadelus-shop seed`.
    pub database: Database,
    /// Database connections, 1 to [`POOL_SIZE_MAX`].
    #[serde(default = "default_pool_size")]
    pub pool_size: usize,
    /// A small JSON file, `{"revision":"v2"}`, that says which revision to serve. It is read
    /// again for each request. A relative path is relative to the configuration file. Without
    /// it the shop serves v1.
    #[serde(default)]
    pub revision_file: Option<PathBuf>,
    /// Whether `GET /checkout/{id}` locks the order it reads, as shops do that reserve stock.
    #[serde(default)]
    pub lock_rows: bool,
    /// How long a statement waits for a lock before the answer is 503.
    #[serde(default = "default_lock_timeout_ms")]
    pub lock_timeout_ms: u64,
    /// How long the tax service takes. The delay is real, the service is not: nothing is asked.
    #[serde(default)]
    pub tax_service_ms: u64,
    /// Whether the database connection is kept while the tax service is asked: how a small
    /// pool runs dry although no statement is slow.
    #[serde(default)]
    pub tax_service_holds_connection: bool,
    /// No answer leaves earlier than this after its request came, however little there was to
    /// do: what headers and body in two packets cost with delayed acknowledgements (44 ms).
    #[serde(default)]
    pub floor_ms: u64,
    /// Rows that `POST /checkout` writes to `order_line` at least, by repeating the lines of the
    /// order. A shop that writes much is one where an extra index is dear.
    #[serde(default)]
    pub order_lines_written_per_checkout: usize,
    /// The provider that v3 pays at, `http://host:port`. Without one `POST /payments` is 503.
    #[serde(default)]
    pub provider_url: Option<String>,
    /// The key to its account.
    #[serde(default)]
    pub provider_key: Option<ProviderKey>,
    /// What the provider signs its events with. Without one every event is 401.
    #[serde(default)]
    pub webhook_secret: Option<WebhookSecret>,
    /// Accounts, tokens and policies, for the revisions `auth-…`. Without it they are 503.
    #[serde(default)]
    pub auth: Option<AuthConfig>,
}

fn default_pool_size() -> usize {
    4
}

fn default_lock_timeout_ms() -> u64 {
    5_000
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, is not TOML, or has a key or value that is not known.
    #[error("the configuration cannot be used")]
    File(#[from] config::ConfigError),
    /// A value is outside its range.
    #[error("{key} = {value} is outside {min}..={max}")]
    Range {
        /// The key as written in the file.
        key: &'static str,
        /// What the file says.
        value: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
}

impl Config {
    /// The defaults, for this database: four connections, nothing slow, v1.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            pool_size: default_pool_size(),
            revision_file: None,
            lock_rows: false,
            lock_timeout_ms: default_lock_timeout_ms(),
            tax_service_ms: 0,
            tax_service_holds_connection: false,
            floor_ms: 0,
            order_lines_written_per_checkout: 0,
            provider_url: None,
            provider_key: None,
            webhook_secret: None,
            auth: None,
        }
    }

    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read, has unknown keys, or a value is out of its range.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = config::File::from(path).format(config::FileFormat::Toml);
        let mut config: Self =
            config::Config::builder().add_source(file).build()?.try_deserialize()?;
        if let (Some(revision), Some(folder)) = (&config.revision_file, path.parent()) {
            config.revision_file = Some(folder.join(revision));
        }
        if let (Some(auth), Some(folder)) = (&mut config.auth, path.parent()) {
            auth.are_relative_to(folder);
        }
        config.check()?;
        Ok(config)
    }

    /// Checks the ranges, for configurations that were not loaded from a file.
    ///
    /// # Errors
    /// Names the first key whose value is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        in_range("pool_size", self.pool_size as u64, 1, POOL_SIZE_MAX as u64)?;
        in_range("lock_timeout_ms", self.lock_timeout_ms, 1, DELAY_MAX_MS)?;
        in_range("tax_service_ms", self.tax_service_ms, 0, DELAY_MAX_MS)?;
        in_range("floor_ms", self.floor_ms, 0, DELAY_MAX_MS)?;
        let written = self.order_lines_written_per_checkout as u64;
        in_range("order_lines_written_per_checkout", written, 0, WRITTEN_LINES_MAX as u64)
    }

    pub(crate) fn lock_timeout(&self) -> Duration {
        Duration::from_millis(self.lock_timeout_ms)
    }

    pub(crate) fn tax_service(&self) -> Duration {
        Duration::from_millis(self.tax_service_ms)
    }

    pub(crate) fn floor(&self) -> Duration {
        Duration::from_millis(self.floor_ms)
    }
}

fn in_range(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::Range { key, value, min, max })
}

/// Where the shop keeps its data.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub enum Database {
    /// A file, from `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A server, from `postgres://…` or `postgresql://…`.
    Postgres(Box<tokio_postgres::Config>),
}

/// Why a database URL is refused.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseUrlError {
    /// Neither of the two kinds.
    #[error("a database is sqlite:PATH or postgres://…, and this is neither")]
    Kind,
    /// `sqlite:` with nothing behind it.
    #[error("sqlite: needs the path of a file behind it")]
    NoPath,
    /// PostgreSQL's driver cannot read the URL.
    #[error("not a PostgreSQL URL: {0}")]
    Postgres(tokio_postgres::Error),
}

impl FromStr for Database {
    type Err = DatabaseUrlError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            // `sqlite:///abs` is the same file as `sqlite:/abs`.
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(DatabaseUrlError::NoPath)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let server = url.parse().map_err(DatabaseUrlError::Postgres)?;
            return Ok(Self::Postgres(Box::new(server)));
        }
        Err(DatabaseUrlError::Kind)
    }
}

impl TryFrom<String> for Database {
    type Error = DatabaseUrlError;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        url.parse()
    }
}

/// Never shows a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(server) => write!(
                f,
                "postgres://{:?}/{}",
                server.get_hosts(),
                server.get_dbname().unwrap_or_default()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole chain of causes, as `main` shows it.
    fn refusal(toml: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.toml");
        std::fs::write(&path, toml).unwrap();
        format!("{:#}", anyhow::Error::from(Config::load(&path).unwrap_err()))
    }

    #[test]
    fn a_configuration_that_says_too_much_or_nonsense_is_refused_by_name() {
        let typo = refusal("database = 'sqlite:shop.db'\npool_sise = 1");
        assert!(typo.contains("pool_sise"), "{typo}");
        let zero = refusal("database = 'sqlite:shop.db'\npool_size = 0");
        assert!(zero.contains("pool_size = 0 is outside 1..=64"), "{zero}");
        let kind = refusal("database = 'mysql://localhost/shop'");
        assert!(kind.contains("sqlite:PATH or postgres://"), "{kind}");
    }

    #[test]
    fn the_revision_file_is_found_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.toml");
        std::fs::write(&path, "database = 'sqlite:/shop.db'\nrevision_file = 'release.json'")
            .unwrap();
        let config = Config::load(&path).unwrap();
        assert_eq!(config.revision_file, Some(folder.path().join("release.json")));
    }

    #[test]
    fn a_password_is_not_shown() {
        let database: Database = "postgres://me:hunter2@localhost/shop".parse().unwrap();
        assert!(!format!("{database:?}").contains("hunter2"));
    }
}
