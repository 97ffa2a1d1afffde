//! Where the books are: `sqlite:PATH`, or the URL of a PostgreSQL.

use std::path::PathBuf;

/// A place that was understood.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A file; the first posting makes it.
    Sqlite(PathBuf),
    /// A server, a database and a user.
    Postgres(Box<tokio_postgres::Config>),
}

impl Location {
    /// None for anything else. The text may hold a password, and is shown nowhere.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return (!path.is_empty()).then(|| Self::Sqlite(PathBuf::from(path)));
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return None;
        }
        let config: tokio_postgres::Config = text.parse().ok()?;
        let named = config.get_dbname().is_some() && config.get_user().is_some();
        let plain = config.get_ssl_mode() != tokio_postgres::config::SslMode::Require;
        (named && plain && !config.get_hosts().is_empty()).then(|| Self::Postgres(Box::new(config)))
    }
}
