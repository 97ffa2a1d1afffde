//! Real databases for the tests of this crate: SQLite files, and one private PostgreSQL server that
//! lives exactly as long as the process of the tests.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use deadelus_runtime::{ChangeCapability, Context, Failure, Measured, Undo};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::{
    database::{Database, Seen},
    target::Targets,
};

/// A shop with what every test needs: a large table without an index on its foreign key, a column
/// that hardly tells rows apart, and a table too small to matter.
const SHOP: &str = "
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL);
    CREATE TABLE status (id INTEGER PRIMARY KEY, label TEXT NOT NULL);
    CREATE TABLE order_line (
        id INTEGER PRIMARY KEY,
        order_id INTEGER NOT NULL REFERENCES orders (id),
        flag INTEGER NOT NULL,
        quantity INTEGER NOT NULL
    );
    INSERT INTO orders WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        SELECT i, 'customer ' || i FROM n;
    INSERT INTO status WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
        SELECT i, 'status ' || i FROM n;
    INSERT INTO order_line
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        SELECT i, i % 5000 + 1, i % 2, i % 7 FROM n;
";

/// The statement that needs the index.
pub(crate) const LINES_OF_ORDER: &str = "SELECT id, quantity FROM order_line WHERE order_id = $1";

/// One database, made for one test.
pub(crate) struct Lab {
    pub(crate) url: String,
    pub(crate) cx: Context,
    pub(crate) targets: Targets,
    _files: tempfile::TempDir,
}

/// A database of each engine with the shop in it.
pub(crate) async fn shops() -> Vec<Lab> {
    let mut labs = vec![];
    for lab in [Some(Lab::sqlite()), Lab::postgres().await].into_iter().flatten() {
        lab.run(SHOP).await;
        lab.run("ANALYZE").await;
        labs.push(lab);
    }
    labs
}

impl Lab {
    /// An empty SQLite file.
    pub(crate) fn sqlite() -> Self {
        let files = tempfile::tempdir().unwrap();
        let path = files.path().join("shop.db");
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch("PRAGMA journal_mode = WAL; VACUUM")
            .unwrap();
        Self::at(format!("sqlite:{}", path.display()), files)
    }

    /// An empty database on the private server; none, loudly, where there is no PostgreSQL.
    pub(crate) async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = SERVER.get_or_init(Server::start).as_ref()?;
        let name = format!("lab{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = server.url("postgres");
        execute(&admin, &format!("CREATE DATABASE {name}")).await;
        Some(Self::at(server.url(&name), tempfile::tempdir().unwrap()))
    }

    fn at(url: String, files: tempfile::TempDir) -> Self {
        let target =
            json!({ "database": url, "lock_timeout_ms": 200, "ledger_tables": ["ledger"] });
        let targets = json!({ "shop": target });
        let targets = Targets::new(serde_json::from_value(targets).unwrap());
        Self { url, cx: Context::detached("shop"), targets, _files: files }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    pub(crate) fn open(&self) -> Database {
        self.targets.open(&self.cx).unwrap()
    }

    pub(crate) async fn see(&self) -> Seen {
        self.open().see().await.unwrap()
    }

    pub(crate) async fn fingerprint(&self) -> String {
        self.see().await.schema.fingerprint()
    }

    /// As somebody else who uses the database.
    pub(crate) async fn run(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// One number.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => {
                let connection = rusqlite::Connection::open(path).unwrap();
                connection.query_row(sql, [], |row| row.get(0)).unwrap()
            }
            None => self.client().await.query_one(sql, &[]).await.unwrap().get(0),
        }
    }

    /// Returns once the server says so: `sql` counts something, and that is no longer 0.
    pub(crate) async fn until(&self, sql: &str) {
        /// Ten seconds at the least, two milliseconds apart: whatever is waited for has happened.
        const LOOKS_MAX: usize = 5_000;
        let client = self.client().await;
        for _ in 0..LOOKS_MAX {
            if client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        panic!("it never came to be: {sql}");
    }

    /// Another session of the server.
    pub(crate) async fn client(&self) -> tokio_postgres::Client {
        client(&self.url).await
    }

    /// What `pg_dump` says of the schema: the opinion of somebody else. None on SQLite.
    pub(crate) fn dump(&self) -> Option<String> {
        if !self.is_postgres() {
            return None;
        }
        let arguments = ["-s", "--no-owner", "--restrict-key=x", "-d", &self.url];
        let dump = Command::new("pg_dump").args(arguments).output().ok()?;
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        Some(String::from_utf8(dump.stdout).unwrap())
    }
}

/// Does what the runtime does: looks, remembers as JSON, acts.
pub(crate) async fn change<C: ChangeCapability>(
    capability: &C,
    cx: &Context,
    inputs: Value,
) -> Result<(Measured<C::Outputs>, Option<Undo>), Failure> {
    let inputs: C::Inputs = serde_json::from_value(inputs).unwrap();
    let prepared = capability.prepare(cx, &inputs).await?;
    let before = serde_json::to_value(&prepared.before).unwrap();
    let before: C::Before = serde_json::from_value(before).unwrap();
    Ok((capability.perform(cx, &inputs, &before).await?, prepared.undo))
}

async fn execute(url: &str, sql: &str) {
    match url.strip_prefix("sqlite:") {
        Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
        None => client(url).await.batch_execute(sql).await.unwrap(),
    }
}

async fn client(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

static SERVER: OnceLock<Option<Server>> = OnceLock::new();

/// A PostgreSQL server of our own, behind a socket in a folder of its own.
struct Server {
    folder: PathBuf,
    /// Ends the server when its standard input is closed: by us, or by our death.
    _guard: Child,
}

impl Server {
    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("SKIPPED: no initdb and pg_ctl here; install postgresql");
            return None;
        };
        let folder = std::env::temp_dir().join(format!("deadelus-pg-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let folder_text = folder.to_str().unwrap();
        let as_root = std::fs::metadata("/proc/self").is_ok_and(|m| owner(&m) == 0);
        let user = if as_root { "runuser -u postgres -- " } else { "" };
        let own = if as_root { format!("chown postgres {folder_text} && ") } else { String::new() };
        let options =
            format!("-c listen_addresses='' -c unix_socket_directories={folder_text} -c fsync=off");
        let start = format!(
            "{own}cd {folder_text} && {user}{programs}initdb -D {folder_text}/data -A trust -N \
             -U postgres >/dev/null && {user}{programs}pg_ctl -w -s -D {folder_text}/data \
             -l {folder_text}/log -o \"{options}\" start"
        );
        let status = Command::new("sh").args(["-c", &start]).status().unwrap();
        assert!(status.success(), "PostgreSQL does not start: {start}");
        let stop = format!(
            "cat; cd {folder_text} && {user}{programs}pg_ctl -s -m immediate -D {folder_text}/data \
             stop; rm -rf {folder_text}"
        );
        let guard = Command::new("sh").args(["-c", &stop]).stdin(Stdio::piped()).spawn().unwrap();
        Some(Self { folder, _guard: guard })
    }

    fn url(&self, database: &str) -> String {
        format!("postgresql:///{database}?host={}&user=postgres", self.folder.display())
    }
}

fn owner(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.uid()
}

/// The folder of `initdb`, with a slash; the newest that Debian installs, or the path.
fn programs() -> Option<String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.splice(0..0, std::env::split_paths(&path));
    let has_both = |folder: &&PathBuf| {
        ["initdb", "pg_ctl"].iter().all(|program| Path::new(folder).join(program).is_file())
    };
    folders.iter().rev().find(has_both).map(|folder| format!("{}/", folder.display()))
}
