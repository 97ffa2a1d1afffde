//! Books for tests, one of each kind that can be had here.

use std::time::Duration;

use deadelus_tests::postgres::Cluster;
use serde_json::json;
use tempfile::TempDir;

use crate::testing::Shop;

/// Books of a shop of their own.
pub(crate) struct Desk {
    pub(crate) shop: Shop,
    pub(crate) url: String,
    _cluster: Option<Cluster>,
    _folder: TempDir,
}

/// On SQLite, and, where it is installed, on PostgreSQL.
pub(crate) async fn desks(test: &str) -> Vec<Desk> {
    let folder = TempDir::new().unwrap();
    let file = format!("sqlite:{}", folder.path().join("books.db").display());
    let mut desks = vec![Desk::at(file, None, folder).await];
    if let Some(cluster) = Cluster::start(test) {
        desks.push(Desk::at(cluster.url.clone(), Some(cluster), TempDir::new().unwrap()).await);
    }
    desks
}

impl Desk {
    async fn at(url: String, cluster: Option<Cluster>, folder: TempDir) -> Self {
        let shop = Shop::with(json!({"ledger": url, "timeout_ms": 5_000})).await;
        Self { shop, url, _cluster: cluster, _folder: folder }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// As somebody else with the same rights; what the database has against it.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), String> {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let file = rusqlite::Connection::open(path).unwrap();
            return file.execute_batch(sql).map_err(|error| error.to_string());
        }
        self.session().await.batch_execute(sql).await.map_err(|error| error.to_string())
    }

    /// For a lock; whoever watches from within a transaction sees one moment for ever.
    pub(crate) async fn until_somebody_waits(&self) {
        let session = self.session().await;
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let seen = async {
            while session.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap();
    }

    pub(crate) async fn session(&self) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}
