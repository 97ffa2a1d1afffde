//! The provider of payments as a process, seen by somebody who has a key of their own.

use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use deadelus_tests::{process::Process, programs::program};
use serde_json::Value;

/// A provider. It forgets everything when this is dropped.
#[derive(Debug)]
pub(crate) struct Provider {
    process: Process,
    port: u16,
}

impl Provider {
    pub(crate) fn start(folder: &Path) -> Self {
        let arguments = ["--listen", "127.0.0.1:0"].map(OsStr::new);
        let log = folder.join("provider.log");
        let mut process = Process::start(&program("deadelus-provider"), &arguments, &log);
        process.until_it_says("listening on http://127.0.0.1:");
        let port = process.said().rsplit(':').next().unwrap().trim().parse().unwrap();
        Self { process, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes an object of a kind, from a form.
    pub(crate) fn post(&self, kind: &str, form: &str) {
        let head = format!(
            "POST /v1/{kind} HTTP/1.1\r\nhost: provider\r\nauthorization: Bearer sk_test_witness\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{form}",
            form.len()
        );
        let made = ask(self.port, &head);
        assert!(matches!(made, Some((200, _))), "{made:?}");
    }

    /// Nobody can reach it any more.
    pub(crate) fn ends(&mut self) {
        self.process.kill();
    }

    /// All objects of a kind, `payment_intents`; none when nobody answers.
    pub(crate) fn lists(&self, kind: &str) -> Vec<Value> {
        let mut all: Vec<Value> = vec![];
        loop {
            let last = all.last().and_then(|object| object["id"].as_str());
            let after = last.map(|id| format!("&starting_after={id}")).unwrap_or_default();
            let asked = get(self.port, &format!("/v1/{kind}?limit=100{after}"));
            let Some((200, body)) = asked else { return vec![] };
            let page: Value = serde_json::from_str(&body).unwrap();
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return all;
            }
        }
    }
}

/// The status and the body; none when nobody answers.
pub(crate) fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer sk_test_witness\r\n\
         connection: close\r\n\r\n"
    );
    ask(port, &head)
}

fn ask(port: u16, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
