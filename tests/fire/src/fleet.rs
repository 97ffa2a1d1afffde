//! The processes: three servers, two orchestrators, two sinks; one of each behind wires.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use deadelus_mesh::{Mesh, config::NatsConfig, connect, streams};
use deadelus_tests::{
    nats::{NatsServer, cluster},
    process::Process,
    wire::{Quality, Wire},
};
use tempfile::TempDir;

use crate::accidents::{Accident, Victim};

/// The name under which the program is a sink.
pub const SINK: &str = "sink";
/// The name under which it is an orchestrator.
pub const ORCHESTRATOR: &str = "orchestrator";

/// Of the cluster, and copies of everything.
const SERVERS: usize = 3;
/// Of each process; the last one is behind the wires.
const REPLICAS: usize = 2;
/// Tasks that a sink has in hand at once.
const CONCURRENCY: usize = 32;
/// What every process logs once it takes work.
const READY: &str = "\"ready\"";
/// A cluster that has just lost a leader answers after an election.
const LEADER_TRIES_MAX: usize = 40;
/// Between two looks for one.
const LEADER_PAUSE: Duration = Duration::from_millis(250);

/// All of it. What runs ends with it.
#[derive(Debug)]
pub struct Fleet {
    // In this order they are dropped: nobody has to find out that the servers are gone.
    orchestrators: Vec<Process>,
    sinks: Vec<Process>,
    wires: Vec<Wire>,
    servers: Vec<NatsServer>,
    /// A connection that no accident is meant for.
    pub mesh: Mesh,
    home: TempDir,
}

impl Fleet {
    /// Starts everything and waits until it takes work. `program` is this crate's.
    ///
    /// # Errors
    /// When a process does not come up.
    pub async fn start(program: &Path) -> Result<Self> {
        let home = TempDir::with_prefix("fire-")?;
        let servers = cluster(SERVERS);
        let mut wires = vec![];
        for server in &servers {
            wires.push(Wire::to(&server.url).await);
        }
        let direct = urls(servers.iter().map(|server| &server.url));
        let wired = urls(wires.iter().map(|wire| &wire.url));
        let config = NatsConfig { url: direct.clone(), replicas: SERVERS, ..NatsConfig::default() };
        let mesh = connect(&config, "fire").await?;
        streams::ensure(&mesh, SERVERS).await?;
        for name in [SINK, ORCHESTRATOR] {
            symlink(program, home.path().join(name))?;
        }
        let (orchestrators, sinks) = (vec![], vec![]);
        let mut fleet = Self { orchestrators, sinks, wires, servers, mesh, home };
        let target = format!(
            "[worker]\nconcurrency = {CONCURRENCY}\n[targets.{}]\npath = {:?}\n",
            crate::sink::TARGET,
            fleet.book()
        );
        for n in 0..REPLICAS {
            let url = if n + 1 == REPLICAS { &wired } else { &direct };
            let sink = fleet.spawn(SINK, n, url, &target)?;
            fleet.sinks.push(sink);
            let orchestrator = fleet.spawn(ORCHESTRATOR, n, url, "")?;
            fleet.orchestrators.push(orchestrator);
        }
        Ok(fleet)
    }

    /// Where the book is.
    pub fn book(&self) -> PathBuf {
        self.home.path().join("book.db")
    }

    /// How many orchestrators and sinks there are.
    pub fn sizes(&self) -> (usize, usize) {
        (self.orchestrators.len(), self.sinks.len())
    }

    fn spawn(&self, name: &str, n: usize, url: &str, rest: &str) -> Result<Process> {
        let file = self.home.path().join(format!("{name}-{n}.toml"));
        fs::write(&file, format!("[nats]\nurl = {url:?}\nreplicas = {SERVERS}\n{rest}"))?;
        let arguments = [OsStr::new("--config"), file.as_os_str()];
        let log = self.home.path().join(format!("{name}-{n}.log"));
        let mut process = Process::start(&self.home.path().join(name), &arguments, &log);
        process.until_it_says(READY);
        Ok(process)
    }

    /// Lets an accident happen, waits, and lets it be over.
    ///
    /// # Errors
    /// When nobody leads the log for long.
    pub async fn suffer(&mut self, accident: Accident, lasts: Duration) -> Result<()> {
        match accident {
            Accident::Kill(victim) => match self.victim(victim).await? {
                Hit::Process(process) => {
                    process.kill();
                    tokio::time::sleep(lasts).await;
                    process.restart();
                }
                Hit::Server(server) => {
                    server.kill();
                    tokio::time::sleep(lasts).await;
                    server.restart();
                }
            },
            Accident::Freeze(victim) => match self.victim(victim).await? {
                Hit::Process(process) => {
                    process.freeze();
                    tokio::time::sleep(lasts).await;
                    process.thaw();
                }
                Hit::Server(server) => {
                    server.freeze();
                    tokio::time::sleep(lasts).await;
                    server.thaw();
                }
            },
            Accident::Slow(quality) => {
                self.wires.iter().for_each(|wire| wire.set(quality));
                tokio::time::sleep(lasts).await;
                self.wires.iter().for_each(|wire| wire.set(Quality::GOOD));
            }
            Accident::Cut => self.wires.iter().for_each(Wire::cut),
        }
        Ok(())
    }

    async fn victim(&mut self, victim: Victim) -> Result<Hit<'_>> {
        Ok(match victim {
            Victim::Orchestrator(n) => Hit::Process(&mut self.orchestrators[n]),
            Victim::Sink(n) => Hit::Process(&mut self.sinks[n]),
            Victim::Leader => {
                let leader = self.leader().await?;
                Hit::Server(&mut self.servers[leader])
            }
        })
    }

    /// Who leads the log.
    async fn leader(&self) -> Result<usize> {
        let name = self.mesh.subjects.resource(streams::LOG);
        for _ in 0..LEADER_TRIES_MAX {
            if let Ok(stream) = self.mesh.jetstream.get_stream(&name).await
                && let Some(leader) =
                    stream.cached_info().cluster.as_ref().and_then(|c| c.leader.as_ref())
                && let Ok(leader) = leader.trim_start_matches('n').parse()
            {
                return Ok(leader);
            }
            tokio::time::sleep(LEADER_PAUSE).await;
        }
        anyhow::bail!("nobody leads the log")
    }

    /// Starts who gave up, as whoever supervises processes would; how many did. A process that finds
    /// no server when it starts ends with the reason.
    pub fn revive(&mut self) -> usize {
        let all = self.orchestrators.iter_mut().chain(&mut self.sinks);
        let gone = all.filter_map(|process| (!process.runs()).then(|| process.restart()));
        gone.count()
    }

    /// The end of every log, for who looks for the reason.
    pub fn told(&self) -> String {
        let processes = self.orchestrators.iter().chain(&self.sinks);
        processes.map(|process| format!("----\n{}\n", process.last_lines())).collect()
    }
}

/// Whom an accident meets.
enum Hit<'a> {
    Process(&'a mut Process),
    Server(&'a mut NatsServer),
}

fn urls<'a>(all: impl Iterator<Item = &'a String>) -> String {
    all.map(String::as_str).collect::<Vec<_>>().join(",")
}
