//! The test bed: a private server, an orchestrator and a specialist as processes of their own.

use std::{
    collections::BTreeSet,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use deadelus_mesh::{Mesh, config::NatsConfig, leases};
use deadelus_orchestrator::cards;
use deadelus_proto::{SpecialistCard, limits::PARTITIONS};
use deadelus_tests::nats::NatsServer;
use tempfile::TempDir;

/// Processes that take longer have failed.
const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Tasks that the specialist has in hand at once.
const CONCURRENCY: usize = 256;

/// What runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix {
    pub(crate) orchestrators: usize,
    pub(crate) specialists: usize,
    /// Whether the server waits for the disk at every write.
    pub(crate) fsync_always: bool,
}

/// One of each, and the server's default.
pub(crate) const PLAIN: Mix = Mix { orchestrators: 1, specialists: 1, fsync_always: false };

/// Everything that is running.
pub(crate) struct Bed {
    pub(crate) mesh: Mesh,
    pub(crate) cards: Vec<SpecialistCard>,
    url: String,
    processes: Vec<(&'static str, Child)>,
    server: NatsServer,
    _directory: TempDir,
}

/// Resident memory of a process.
pub(crate) struct Memory {
    pub(crate) name: &'static str,
    pub(crate) resident_kib: u64,
}

/// Processor time of a process, its own and the kernel's for it, over all cores.
pub(crate) struct Used {
    pub(crate) name: &'static str,
    pub(crate) processor: Duration,
}

impl Bed {
    /// Starts everything and waits until the specialists have announced themselves and every
    /// orchestrator has its share.
    pub(crate) async fn make(mix: Mix) -> Result<Self> {
        let directory = TempDir::with_prefix("deadelus-bench-")?;
        let always = directory.path().join("always.conf");
        fs::write(&always, "jetstream { sync_interval: always }\n")?;
        let always = always.to_string_lossy().into_owned();
        let server = match mix.fsync_always {
            true => NatsServer::start_with(&["--config", &always]),
            false => NatsServer::start(),
        };
        let file = directory.path().join("bench.toml");
        fs::write(&file, format!("[worker]\nconcurrency = {CONCURRENCY}\n[targets.nowhere]\n"))?;
        let file = file.to_string_lossy().into_owned();
        let url = server.url.clone();
        let config = NatsConfig { url: url.clone(), ..NatsConfig::default() };
        let mesh = deadelus_mesh::connect(&config, "bench").await?;
        let (cards, processes) = (vec![], vec![]);
        let mut bed = Self { mesh, cards, url, processes, server, _directory: directory };
        for _ in 0..mix.orchestrators {
            bed.start_orchestrator()?;
        }
        for _ in 0..mix.specialists {
            bed.start("specialist", env!("CARGO_BIN_EXE_bench-specialist"), &["--config", &file])?;
        }
        bed.cards = tokio::time::timeout(READY_WITHIN, bed.announced()).await.context("ready?")?;
        let nobody = BTreeSet::new();
        let shared = bed.until_driven(mix.orchestrators, &nobody);
        tokio::time::timeout(READY_WITHIN, shared).await.context("partitions shared?")?;
        Ok(bed)
    }

    /// One more orchestrator.
    pub(crate) fn start_orchestrator(&mut self) -> Result<()> {
        self.start("orchestrator", env!("CARGO_BIN_EXE_bench-orchestrator"), &[])
    }

    /// Kills all orchestrators as a crash would.
    pub(crate) fn kill_orchestrators(&mut self) {
        self.processes.retain_mut(|(name, child)| {
            if *name == "orchestrator" {
                // One that has died already was noticed by its silence.
                let _ = child.kill();
                let _ = child.wait();
            }
            *name != "orchestrator"
        });
    }

    /// Waits until so many orchestrators share all partitions, none of them one of `gone`. Who does.
    pub(crate) async fn until_driven(
        &self,
        orchestrators: usize,
        gone: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        loop {
            let owners = leases::owners(&self.mesh).await.unwrap_or_default();
            let all = owners.len() == usize::from(PARTITIONS);
            let owners: BTreeSet<String> = owners.into_values().collect();
            if all && owners.len() == orchestrators && owners.is_disjoint(gone) {
                return owners;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn start(&mut self, name: &'static str, program: &str, more: &[&str]) -> Result<()> {
        let url = format!("nats.url={}", self.url);
        let common = ["--set", "telemetry.log=warn", "--set", &url];
        self.processes.push((name, start(program, &[common.as_slice(), more].concat())?));
        Ok(())
    }

    /// What each process holds now.
    pub(crate) fn memory(&self) -> Result<Vec<Memory>> {
        let ours = self.processes.iter().map(|(name, child)| (*name, child.id()));
        let all = ours.chain([("nats-server", self.server.pid())]);
        all.map(|(name, pid)| Ok(Memory { name, resident_kib: resident_kib(pid)? })).collect()
    }

    /// What each process has used of the processors so far, this program's own last.
    pub(crate) fn used(&self) -> Result<Vec<Used>> {
        let ours = self.processes.iter().map(|(name, child)| (*name, child.id()));
        let server = ("nats-server", self.server.pid());
        let all = ours.chain([server, ("this program", std::process::id())]);
        all.map(|(name, pid)| Ok(Used { name, processor: processor_time(pid)? })).collect()
    }

    /// Ends the processes; the server goes with the bed.
    pub(crate) fn stop(&mut self) {
        for (_, child) in &mut self.processes {
            // One that has died already was noticed by its silence.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    async fn announced(&self) -> Vec<SpecialistCard> {
        loop {
            if let Ok(cards) = cards::read_all(&self.mesh).await
                && !cards.is_empty()
            {
                return cards;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.stop();
    }
}

fn start(program: &str, arguments: &[&str]) -> Result<Child> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("start {program}"))
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let mut words = line.split_whitespace();
    let figure = words.next().context("no figure")?.parse()?;
    ensure!(words.next() == Some("kB"), "another unit");
    Ok(figure)
}

/// From `/proc/<pid>/stat`, in ticks of 10 ms: the kernel's `USER_HZ` is 100 everywhere.
fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program stands in brackets and may hold spaces: fields are counted after it.
    let (_, fields) = stat.rsplit_once(')').context("no program")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || anyhow::Ok(fields.next().context("no ticks")?.parse::<u64>()?);
    Ok(Duration::from_millis((next()? + next()?) * 10))
}
