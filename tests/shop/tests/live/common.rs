//! A shop that is open for the length of a test, and a customer who looks closely.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use deadelus_shop::{Config, Database, Seed};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A fact that has not come true by then never will.
const FACT_WAIT_MAX_S: u64 = 20;
const FACT_POLL_MS: u64 = 5;

/// An open shop. Dropping it without [`Open::close`] leaves requests in flight behind.
pub(crate) struct Open {
    pub(crate) address: SocketAddr,
    closing: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

pub(crate) async fn open(config: Config) -> Open {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (closing, closed) = oneshot::channel();
    let shutdown = async { closed.await.unwrap_or_default() };
    let served = tokio::spawn(async move {
        deadelus_shop::serve(config, listener, shutdown).await.unwrap();
    });
    Open { address, closing, served }
}

impl Open {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        get(self.address, path).await
    }

    /// A request that is under way while the test goes on.
    pub(crate) fn getting(&self, path: &'static str) -> JoinHandle<Reply> {
        let address = self.address;
        tokio::spawn(async move { get(address, path).await })
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, body, "").await
    }

    /// With more headers, each with the end of its line.
    pub(crate) async fn post_with(&self, path: &str, body: &Value, headers: &str) -> Reply {
        let body = body.to_string();
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json\r\n{headers}");
        ask(self.address, &format!("{head}content-length: {}\r\n", body.len()), &body).await
    }

    /// As somebody with a token.
    pub(crate) async fn get_as(&self, path: &str, token: &str) -> Reply {
        let head = format!("GET {path} HTTP/1.1\r\nauthorization: Bearer {token}\r\n");
        ask(self.address, &head, "").await
    }

    /// The same, changing something.
    pub(crate) async fn put_as(&self, path: &str, token: &str, body: &Value) -> Reply {
        let body = body.to_string();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nauthorization: Token {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        ask(self.address, &head, &body).await
    }

    pub(crate) async fn counters(&self) -> Value {
        self.get("/internal/counters").await.body
    }

    /// Waits until the pool is like this.
    pub(crate) async fn until_pool(&self, busy: u64, waiting: u64) {
        let what = format!("{busy} busy and {waiting} waiting");
        until(&what, async || {
            let pool = &self.counters().await["pool"];
            pool["busy"] == busy && pool["waiting"] == waiting
        })
        .await;
    }

    pub(crate) async fn close(self) {
        self.closing.send(()).unwrap();
        self.served.await.unwrap();
    }
}

/// Waits for a fact, not for a time.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(FACT_WAIT_MAX_S), "never so: {what}");
        tokio::time::sleep(Duration::from_millis(FACT_POLL_MS)).await;
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn revision(&self) -> &str {
        &self.headers["x-revision"]
    }

    /// Milliseconds of one part of `Server-Timing`.
    pub(crate) fn spent(&self, part: &str) -> f64 {
        let timing = &self.headers["server-timing"];
        let found = timing.split(", ").find_map(|p| p.strip_prefix(part)?.strip_prefix(";dur="));
        found.unwrap_or_else(|| panic!("no {part} in {timing}")).parse().unwrap()
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Reply {
    ask(address, &format!("GET {path} HTTP/1.1\r\n"), "").await
}

async fn ask(address: SocketAddr, head: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}host: shop\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut head = head.lines();
    let status = head.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned()));
    let headers = head.filter_map(header).collect();
    Reply { status, headers, body: serde_json::from_str(body).unwrap_or_default() }
}

pub(crate) async fn seed(database: &Database, order_lines: u64) {
    let seed = Seed { order_lines, seed: 1, replace: true };
    deadelus_shop::seed(database, seed).await.unwrap();
}

/// What one statement text has cost so far; `Null` when it never ran.
pub(crate) fn statement<'a>(counters: &'a Value, part: &str) -> &'a Value {
    let statements = counters["statements"].as_array().unwrap();
    let mut found = statements.iter().filter(|s| s["text"].as_str().unwrap().contains(part));
    let one = found.next().unwrap_or(&Value::Null);
    assert!(found.next().is_none(), "{part} is in more than one text");
    one
}

/// A session of somebody else that holds the lock on order 1 until it is dropped.
pub(crate) enum Somebody {
    Sqlite { _connection: rusqlite::Connection },
    Postgres { _client: tokio_postgres::Client },
}

pub(crate) async fn lock_order_1(database: &Database) -> Somebody {
    match database {
        Database::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            Somebody::Sqlite { _connection: connection }
        }
        Database::Postgres(server) => {
            let client = connect(server).await;
            client
                .batch_execute("BEGIN; SELECT 1 FROM orders WHERE id = 1 FOR UPDATE")
                .await
                .unwrap();
            Somebody::Postgres { _client: client }
        }
    }
}

pub(crate) async fn connect(server: &tokio_postgres::Config) -> tokio_postgres::Client {
    let (client, connection) = server.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
