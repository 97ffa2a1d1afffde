//! HAProxy 2.6 or newer, told over its runtime socket (`stats socket … level admin`).
//!
//! Its backend holds no servers of its own: all are added at run time, and the algorithm is a
//! dynamic one (`balance roundrobin`). A table is put in force by one line of commands, those who
//! gain before those who lose, so that somebody serves at every moment. Who leaves the table is in
//! maintenance until nothing is in their hands, and counts as gone.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use deadelus_proxy::{Routes, Server};
use deadelus_runtime::{ErrorClass, Failure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{Instant, timeout},
};

use super::{Answer, Proxy, Report, ServerReport, Spent};

/// Statistics of a proxy with every server it can have, several times over.
const ANSWER_MAX_BYTES: u64 = 1024 * 1024;

/// It answers from memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A server with an idle connection cannot be removed yet; after this it stays in maintenance.
const REMOVED_WITHIN: Duration = Duration::from_secs(2);

/// Between two tries to remove a server.
const TRY_EVERY: Duration = Duration::from_millis(50);

/// HAProxy at its runtime socket, with the backend that is ours.
#[derive(Debug)]
pub(crate) struct Haproxy {
    socket: PathBuf,
    backend: String,
}

/// A server as HAProxy knows it.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    report: ServerReport,
    /// On its way out, or on its way in.
    maintenance: bool,
}

impl Haproxy {
    pub(crate) fn new(socket: PathBuf, backend: String) -> Self {
        Self { socket, backend }
    }

    async fn known(&self) -> Result<Vec<Known>, Failure> {
        let found = self.ask(&format!("show servers state {}", self.backend)).await?;
        if !found.starts_with('1') {
            return Err(refused(&found).help("name a backend of haproxy.cfg"));
        }
        parse(&self.ask("show stat -1 4 -1").await?, &self.backend).map_err(|e| self.away(&e))
    }

    async fn put(&self, routes: &Routes) -> Result<(), Failure> {
        let known = self.known().await?;
        let commands = commands(&self.backend, &known, routes);
        if !commands.is_empty() {
            complaint(&self.ask(&commands.join("; ")).await?)
                .map_or(Ok(()), |e| Err(refused(e)))?;
        }
        let wanted = |name: &str| routes.servers.iter().any(|s| s.name == name);
        let gone = known.into_iter().filter(|k| !wanted(&k.report.name));
        self.remove(gone.map(|k| k.report.name).collect()).await
    }

    /// Best effort: who cannot be removed yet is out of the table all the same.
    async fn remove(&self, mut names: Vec<String>) -> Result<(), Failure> {
        let give_up = Instant::now() + REMOVED_WITHIN;
        while let Some(name) = names.last() {
            let said = self.ask(&format!("del server {}/{name}", self.backend)).await?;
            if complaint(&said).is_none() || Instant::now() >= give_up {
                names.pop();
            } else {
                tokio::time::sleep(TRY_EVERY).await;
            }
        }
        Ok(())
    }

    async fn ask(&self, line: &str) -> Result<String, Failure> {
        let asked = async {
            let mut stream = UnixStream::connect(&self.socket).await?;
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => Err(self.away(&e.to_string())),
            Err(late) => Err(self.away(&late.to_string())),
        }
    }

    fn away(&self, problem: &str) -> Failure {
        let text = format!("haproxy: {}: {problem}", self.socket.display());
        Failure::new(ErrorClass::Unavailable, text).help(
            "start haproxy (Debian: apt-get install haproxy) with `stats socket PATH level admin`",
        )
    }
}

impl Proxy for Haproxy {
    fn report(&self) -> Answer<'_, Report> {
        Box::pin(async {
            let known = self.known().await?.into_iter();
            Ok(Report { servers: known.filter(|k| !k.maintenance).map(|k| k.report).collect() })
        })
    }

    fn replace<'a>(&'a self, routes: &'a Routes) -> Answer<'a, ()> {
        Box::pin(self.put(routes))
    }
}

fn refused(said: &str) -> Failure {
    let text = format!("haproxy refused: {}", said.trim());
    Failure::new(ErrorClass::PreconditionFailed, text)
        .help("the backend needs a dynamic balance, roundrobin say, and no servers of its own")
}

/// What HAProxy has against a line of commands; none when all were done.
fn complaint(said: &str) -> Option<&str> {
    let done = |line: &&str| {
        ["New server registered.", "Server deleted."].contains(line)
            || line.starts_with("no need to change")
            || line.contains("changed from")
    };
    said.lines().map(str::trim).find(|line| !line.is_empty() && !done(line))
}

/// What to say so that a table comes into force: who gains first, then who loses, then who goes.
fn commands(backend: &str, known: &[Known], wanted: &Routes) -> Vec<String> {
    let at = |server: &Server| format!("{backend}/{}", server.name);
    let find = |name: &str| known.iter().find(|k| k.report.name == name);
    let (mut gain, mut lose) = (vec![], vec![]);
    for server in &wanted.servers {
        let (name, weight) = (at(server), server.weight);
        match find(&server.name) {
            None => {
                gain.push(format!("add server {name} {} weight {weight}", server.address));
                gain.push(format!("enable server {name}"));
            }
            Some(k) => {
                if k.report.address != server.address {
                    let (ip, port) = (server.address.ip(), server.address.port());
                    gain.push(format!("set server {name} addr {ip} port {port}"));
                }
                let list = if weight >= k.report.weight { &mut gain } else { &mut lose };
                if weight != k.report.weight {
                    list.push(format!("set server {name} weight {weight}"));
                }
                if k.maintenance {
                    list.push(format!("set server {name} state ready"));
                }
            }
        }
    }
    let stays = |k: &&Known| wanted.servers.iter().any(|s| s.name == k.report.name);
    let gone = known.iter().filter(|k| !stays(k) && !k.maintenance);
    let gone = gone.map(|k| format!("set server {backend}/{} state maint", k.report.name));
    gain.into_iter().chain(lose).chain(gone).collect()
}

/// Reads `show stat`: CSV whose first line names the columns.
fn parse(text: &str, backend: &str) -> Result<Vec<Known>, String> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let head = lines.next().and_then(|line| line.strip_prefix("# ")).ok_or("no statistics")?;
    let columns: Vec<&str> = head.split(',').collect();
    let row = |line: &str| -> Result<Option<Known>, String> {
        let row: BTreeMap<&str, &str> = columns.iter().copied().zip(line.split(',')).collect();
        let text = |column: &str| row.get(column).copied().ok_or(format!("no column {column}"));
        // A counter that does not apply is empty.
        let number = |column: &str| -> Result<u64, String> {
            let text = text(column)?;
            if text.is_empty() { Ok(0) } else { text.parse().map_err(|e| format!("{column}: {e}")) }
        };
        if text("pxname")? != backend {
            return Ok(None);
        }
        let requests = number("stot")?;
        let report = ServerReport {
            name: text("svname")?.to_owned(),
            address: text("addr")?.parse().map_err(|e| format!("addr: {e}"))?,
            weight: u16::try_from(number("uweight")?).map_err(|e| format!("uweight: {e}"))?,
            in_flight: number("scur")? + number("qcur")?,
            requests,
            errors: number("hrsp_5xx")? + number("econ")? + number("eresp")?,
            spent: Spent::RecentMs(if requests == 0 { None } else { text("rtime")?.parse().ok() }),
        };
        Ok(Some(Known { report, maintenance: text("status")?.starts_with("MAINT") }))
    };
    lines.filter_map(|line| row(line).transpose()).collect()
}

#[cfg(test)]
mod tests;
