//! The reference shop as a process, on a database of its own, seen from outside.

mod processes;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    time::Instant,
};

use deadelus_tests::{
    postgres::Cluster,
    process::{Process, command},
    programs::program,
};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// What is released when a shop is: its own sources.
pub(crate) const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/shop/src");

/// Where a shop keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// An open shop. It is closed, and its data removed, when this is dropped.
#[derive(Debug)]
pub(crate) struct Shop {
    port: u16,
    pub(crate) database: Database,
    orders: u64,
    /// What the deployment specialist is told of it.
    deployment: String,
    /// Before the folder that they work in.
    _held: Option<processes::Held>,
    home: TempDir,
    _process: Process,
}

/// The configuration of the three specialists that a shop's speed takes.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) db: String,
    pub(crate) performance: String,
    pub(crate) deployment: String,
}

impl Targets {
    pub(crate) fn specialists(&self) -> [(&str, &str); 3] {
        [("db", &self.db), ("performance", &self.performance), ("deployment", &self.deployment)]
    }
}

impl Shop {
    /// A shop with this many order lines and these lines in its configuration; `None`, loudly,
    /// where its database cannot be had.
    pub(crate) fn open(test: &str, engine: Engine, lines: u64, settings: &str) -> Option<Self> {
        let home = TempDir::with_prefix("shop-").unwrap();
        let database = Database::make(test, engine, &home)?;
        database.seed(lines);
        fs::write(home.path().join("revision.json"), r#"{"revision":"v1"}"#).unwrap();
        let config = home.path().join("shop.toml");
        let text = format!(
            "database = {:?}\nrevision_file = \"revision.json\"\n{settings}",
            database.url()
        );
        fs::write(&config, text).unwrap();
        let words = ["serve", "--config"].map(OsStr::new);
        let arguments = [&words[..], &[config.as_os_str()]].concat();
        let log = home.path().join("shop.log");
        let mut process = Process::start(&program("deadelus-shop"), &arguments, &log);
        process.until_it_says("listening on http://127.0.0.1:");
        let port = process.said().rsplit(':').next().unwrap().trim().parse().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let deployment = format!(
            r#"
[targets.shop]
revision_file = "{}"
health_url = "{base}/healthz"
probe_interval_ms = 20

[targets.shop.revisions.v1]
summary = "as it was"

[targets.shop.revisions.v2]
summary = "one join instead of a query per line"
fixes = ["n_plus_one"]

[targets.shop.revisions.v3]
summary = "takes payments"
schema_range = [20261121, 20261121]

[targets.shop.revisions.v4]
summary = "has subscriptions"
schema_range = [20261122, 20261122]

[targets.shop.revisions.auth-report]
summary = "has accounts, and tells whom its policies would refuse"
schema_range = [20261123, 20261123]

[targets.shop.revisions.auth-enforce]
summary = "has accounts, and its policies decide"
schema_range = [20261123, 20261123]
"#,
            home.path().join("revision.json").display()
        );
        let orders = lines / 5;
        Some(Self { port, database, orders, deployment, _held: None, home, _process: process })
    }

    /// The first orders become large, and they are the ones that customers look at: what a
    /// statement per line costs is then more than what the machine does besides.
    pub(crate) async fn with_large_orders(mut self) -> Self {
        /// A statement each takes longer than everything else that a checkout does.
        const ADDED_LINES: u32 = 150;
        self.orders = 50;
        let more = format!(
            "INSERT INTO order_line (order_id, product_id, quantity, unit_price_cents) \
             SELECT o.id, p.id, 1, p.price_cents FROM orders o JOIN product p \
             ON p.id <= {ADDED_LINES} WHERE o.id <= {}; ANALYZE",
            self.orders
        );
        self.database.execute(&more).await;
        self
    }

    /// What a customer waits for a checkout page, in milliseconds; the median of some.
    pub(crate) fn checkout_ms(&self) -> f64 {
        const VISITS: u64 = 21;
        let visit = |n: u64| {
            let came = Instant::now();
            self.get(&format!("/checkout/{}", n % self.orders + 1));
            came.elapsed()
        };
        let mut waited: Vec<_> = (0..VISITS).map(visit).collect();
        waited.sort_unstable();
        waited[waited.len() / 2].as_secs_f64() * 1_000.0
    }

    /// Where it answers.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The same as a URL.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What the specialists are told of this shop. `rate` is requests per second; `extra` goes to
    /// the performance specialist's table.
    pub(crate) fn targets(&self, extra: &str) -> Targets {
        let base = self.base();
        let database = self.database.url();
        let statistics = match &self.database {
            Database::Sqlite(_) => String::new(),
            Database::Postgres(_) => format!("database = {database:?}"),
        };
        let performance = format!(
            r#"
[targets.shop]
base_url = "{base}"
counters_url = "{base}/internal/counters"
{statistics}
{extra}

[[targets.shop.scenario]]
name = "checkout"
method = "GET"
path = "/checkout/{{1..{orders}}}"
weight = 4
role = "read"

[[targets.shop.scenario]]
name = "place"
method = "POST"
path = "/checkout"
body = {{ customer = "Ada", lines = [{{ product_id = 7, quantity = 1 }}] }}
role = "write"
"#,
            orders = self.orders
        );
        let deployment = self.deployment.clone();
        Targets { db: self.database.target("shop"), performance, deployment }
    }

    /// Lets another revision be served, without anybody's help.
    pub(crate) fn release(&self, revision: &str) {
        let file = self.home.path().join("revision.json");
        fs::write(file, format!(r#"{{"revision":"{revision}"}}"#)).unwrap();
        assert_eq!(self.revision(), revision);
    }

    /// The revision that is served, by the shop's own word.
    pub(crate) fn revision(&self) -> String {
        let health = self.get("/healthz");
        health["revision"].as_str().unwrap_or_else(|| panic!("{health}")).to_owned()
    }

    /// What a customer gets.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.get_with(path, "")
    }

    /// With more headers, each with the end of its line.
    pub(crate) fn get_with(&self, path: &str, headers: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: shop\r\n{headers}connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_default()
    }
}

/// A database with a shop in it, whether or not the shop is open.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(PathBuf),
    Postgres(Cluster),
}

impl Database {
    pub(crate) fn make(test: &str, engine: Engine, home: &TempDir) -> Option<Self> {
        match engine {
            Engine::Sqlite => Some(Self::Sqlite(home.path().join("shop.db"))),
            Engine::Postgres => Cluster::start(test).map(Self::Postgres),
        }
    }

    pub(crate) fn seed(&self, lines: u64) {
        let seeded = command(&program("deadelus-shop"))
            .args(["seed", "--database", &self.url(), "--order-lines", &lines.to_string()])
            .output()
            .unwrap();
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(cluster) => cluster.url.clone(),
        }
    }

    /// What the db specialist is told of it.
    pub(crate) fn target(&self, name: &str) -> String {
        format!("[targets.{name}]\ndatabase = {:?}\n", self.url())
    }

    /// Every table, column and index as the database itself tells of them: what must be the same
    /// again after an undo. Read here and not with the code under test.
    pub(crate) async fn schema(&self) -> BTreeSet<String> {
        match self {
            Self::Sqlite(path) => {
                let file = Connection::open(path).unwrap();
                let text = "SELECT type || ' ' || name || ': ' || coalesce(sql, '') \
                            FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'";
                let mut statement = file.prepare(text).unwrap();
                let rows = statement.query_map([], |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            }
            Self::Postgres(cluster) => {
                let text = "SELECT 'index ' || indexdef FROM pg_indexes \
                            WHERE schemaname = 'public' UNION ALL \
                            SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type \
                            || ' ' || is_nullable || ' ' || coalesce(column_default, '') \
                            FROM information_schema.columns WHERE table_schema = 'public' UNION ALL \
                            SELECT 'invalid ' || indexrelid::regclass FROM pg_index \
                            WHERE NOT indisvalid";
                let client = session(cluster).await;
                let rows = client.query(text, &[]).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// All of it but the table in which migrations are remembered, as `pg_dump` writes it down: the
    /// word of a stranger. None on SQLite, and, loudly, where there is no `pg_dump`.
    pub(crate) fn dump(&self) -> Option<String> {
        let Self::Postgres(cluster) = self else { return None };
        let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let dumps = installed.map(|version| version.path().join("bin/pg_dump"));
        let Some(pg_dump) = dumps.filter(|path| path.exists()).max() else {
            eprintln!("SKIPPED: there is no pg_dump here, its word is not asked");
            return None;
        };
        let arguments = ["--exclude-table", "deadelus_*", "--dbname", &cluster.url];
        let dumped = command(&pg_dump).args(arguments).output().unwrap();
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        let text = String::from_utf8(dumped.stdout).unwrap();
        // Newer ones write a word of chance around everything.
        let lines = text.lines().filter(|line| !line.starts_with("\\restrict"));
        let lines = lines.filter(|line| !line.starts_with("\\unrestrict"));
        Some(lines.collect::<Vec<_>>().join("\n"))
    }

    /// Keeps everybody else from writing until the session is dropped. SQLite only.
    pub(crate) fn lock(&self) -> Connection {
        let Self::Sqlite(path) = self else { panic!("only SQLite is locked whole") };
        let session = Connection::open(path).unwrap();
        session.execute_batch("BEGIN IMMEDIATE").unwrap();
        session
    }

    /// Does something to it behind everybody's back.
    pub(crate) async fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(path) => Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            Self::Postgres(cluster) => session(cluster).await.batch_execute(sql).await.unwrap(),
        }
    }
}

/// A session of somebody else; it ends when this is dropped.
pub(crate) async fn session(cluster: &Cluster) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(&cluster.url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
