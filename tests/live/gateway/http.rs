//! HTTP as a stranger's program speaks it, without a library's kindness.

use std::time::Duration;

use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Longer than anything takes that is awaited: an answer, the next event.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway, from outside.
#[derive(Debug, Clone)]
pub(super) struct Http {
    /// `127.0.0.1:1234`
    pub(super) address: String,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// An event stream that is open.
#[derive(Debug)]
pub(super) struct Events(BufReader<TcpStream>);

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) id: u64,
    pub(super) data: Value,
}

impl Http {
    /// The gateway of a fleet's orchestrator, as its log names it.
    pub(super) fn of(fleet: &mut Fleet) -> Self {
        let said = fleet.process(ORCHESTRATOR).said();
        let after = said.split("http://").nth(1).unwrap_or_else(|| panic!("no gateway:\n{said}"));
        let address = after.split('"').next().unwrap().to_owned();
        Self { address }
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, token, &[], "").await
    }

    pub(super) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.post_with(path, token, &[], body).await
    }

    pub(super) async fn post_with(
        &self,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send("POST", path, token, &headers, &body.to_string()).await
    }

    /// No token is sent where it is empty.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let head = head(method, path, token, headers);
        let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        self.raw(text.as_bytes()).await
    }

    /// These bytes, and what comes back until the other end closes.
    pub(super) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        // Whoever is refused half-way cannot write the rest.
        let _ = stream.write_all(bytes).await;
        let mut answer = vec![];
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "no answer to {}", String::from_utf8_lossy(bytes));
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// Opens an event stream and waits until it is open.
    pub(super) async fn watch(&self, path: &str, token: &str, after: Option<u64>) -> Events {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        self.watch_on(stream, path, token, after).await
    }

    /// The same on a connection that was made before.
    pub(super) async fn watch_on(
        &self,
        mut stream: TcpStream,
        path: &str,
        token: &str,
        after: Option<u64>,
    ) -> Events {
        let after = after.map(|after| after.to_string());
        let headers: Vec<_> = after.iter().map(|after| ("last-event-id", after.as_str())).collect();
        // To who speaks 1.0 the body comes as it is, without the sizes of its pieces.
        let head = head("GET", path, token, &headers).replace("HTTP/1.1", "HTTP/1.0");
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        let mut events = Events(BufReader::with_capacity(1_024, stream));
        let first = events.line().await;
        assert!(first.contains("200"), "{path}: {first}");
        while !events.line().await.starts_with("retry:") {}
        events
    }
}

fn head(method: &str, path: &str, token: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n");
    if !token.is_empty() {
        head.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    head
}

impl Answer {
    /// The body, which must be JSON, of an answer that must be this.
    pub(super) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The same of a problem, which says what to do next.
    pub(super) fn problem(&self, status: u16) -> Value {
        let problem = self.expect(status);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        assert_eq!(problem["status"], status, "{problem}");
        for told in ["type", "title", "detail", "next"] {
            assert!(problem[told].as_str().is_some_and(|t| !t.is_empty()), "{told}: {problem}");
        }
        problem
    }
}

impl Events {
    /// The next event; whatever else comes is passed over.
    pub(super) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.read()).await.unwrap_or_else(|_| panic!("nothing happens any more"))
    }

    async fn read(&mut self) -> Event {
        let mut id = None;
        loop {
            let line = self.line().await;
            if let Some(number) = line.strip_prefix("id: ") {
                id = number.parse().ok();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let id = id.unwrap_or_else(|| panic!("an event without id: {data}"));
                return Event { id, data: serde_json::from_str(data).unwrap() };
            }
        }
    }

    /// All up to the first after which the workflow stands so.
    pub(super) async fn until(&mut self, status: &str) -> Vec<Event> {
        let mut events = vec![];
        loop {
            let event = self.next().await;
            let is_so = event.data["status"] == status;
            events.push(event);
            if is_so {
                return events;
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await;
        let count = read.unwrap_or_else(|_| panic!("nothing comes any more")).unwrap();
        assert!(count > 0, "the stream has ended");
        line.trim_end().to_owned()
    }
}
