//! What a person waits for at `deadelus list` when 100,000 workflows have ended, and what those cost.
//!
//! `cargo build --release -p deadelus-cli && cargo bench -p deadelus-bench --bench lists`. Everything
//! runs on this machine and shares its cores.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{fs, process::Command, time::Instant};

use anyhow::{Context as _, Result, ensure};
use deadelus_mesh::{
    Mesh,
    config::NatsConfig,
    connect,
    lists::{Lists, Shelf},
    pipeline::{Answer, Pipeline},
    streams,
};
use deadelus_proto::pb::WorkflowSummary;
use deadelus_tests::{nats::NatsServer, programs::program};

/// Workflows on each shelf.
const FILLED: [(Shelf, usize); 3] =
    [(Shelf::Archived, 90_000), (Shelf::Ended, 10_000), (Shelf::Open, 200)];

/// Lines on their way at once.
const IN_FLIGHT: usize = 1_000;

/// Runs of each command; the slowest is shown.
const RUNS: usize = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let server = NatsServer::start();
    let config = NatsConfig { url: server.url.clone(), ..NatsConfig::default() };
    let mesh = connect(&config, "bench").await?;
    streams::ensure(&mesh, 1).await?;
    let before = resident_mib(server.pid())?;
    let begun = Instant::now();
    for (shelf, count) in FILLED {
        fill(&mesh, shelf, count).await?;
    }
    let bucket = streams::resource(&mesh, streams::WORKFLOWS);
    let stream = mesh.jetstream.get_stream(&bucket).await.map_err(|e| anyhow::anyhow!("{e}"))?;
    let state = &stream.cached_info().state;
    let (lines, bytes) = (state.messages, state.bytes);
    println!(
        "{lines} lines in {:.1} s, {} bytes each",
        begun.elapsed().as_secs_f64(),
        bytes / lines
    );
    println!(
        "memory of nats-server {before} MiB before, {} MiB after",
        resident_mib(server.pid())?
    );
    take_over(&mesh).await?;
    for words in [
        &["list"][..],
        &["list", "--state", "paused", "-o", "ids"],
        &["list", "--state", "undone"],
        &["list", "-o", "ids"],
        &["list", "-o", "json"],
    ] {
        command(&server, words)?;
    }
    Ok(())
}

async fn fill(mesh: &Mesh, shelf: Shelf, count: usize) -> Result<()> {
    let lists = Lists::of(mesh);
    let mut pipeline = Pipeline::open(mesh.clone()).await?;
    for n in 0..count + IN_FLIGHT {
        if n >= IN_FLIGHT {
            let ((), answer) = pipeline.next().await;
            ensure!(matches!(answer, Answer::Stored(_)), "{answer:?}");
        }
        if n < count {
            let (subject, headers, bytes) = lists.message(shelf, &line(shelf, n));
            pipeline.publish(subject, headers, bytes, ()).await;
        }
    }
    Ok(())
}

/// As an orchestrator writes it of an ordinary request.
fn line(shelf: Shelf, n: usize) -> WorkflowSummary {
    let status = match (shelf, n % 10) {
        (Shelf::Open, 0) => "paused",
        (Shelf::Open, _) => "running",
        (Shelf::Ended | Shelf::Archived, 0) => "undone",
        (Shelf::Ended | Shelf::Archived, _) => "done",
    };
    let at = 1_763_735_202_000 + n as i64;
    WorkflowSummary {
        workflow_id: format!("wf-{shelf:?}-{n:09}").to_lowercase(),
        title: "Find what makes the endpoint slow, and keep what is proved to help".into(),
        request: "The checkout process is taking too long and timing out for some users".into(),
        target: "shop".into(),
        status: status.into(),
        reason: "8 tasks done, 15 skipped, 0 failed or taken back with their scope".into(),
        tasks_total: 23,
        tasks_settled: 23,
        started_unix_ms: at,
        updated_unix_ms: at + 60_000,
        log_sequence: n as u64,
        ended: shelf != Shelf::Open,
    }
}

/// What an orchestrator reads before it goes on with what another left.
async fn take_over(mesh: &Mesh) -> Result<()> {
    let begun = Instant::now();
    let mut walk = Lists::of(mesh).walk(Shelf::Open, 0).await?;
    let mut open = 0;
    while walk.next().await?.is_some() {
        open += 1;
    }
    println!("{:>8.1} ms  a take-over reads {open} open ones", ms(begun));
    Ok(())
}

/// The whole of a command, its process and its connection included.
fn command(server: &NatsServer, words: &[&str]) -> Result<()> {
    let mut slowest: f64 = 0.0;
    let mut lines = 0;
    for _ in 0..RUNS {
        let begun = Instant::now();
        let output = Command::new(program("deadelus"))
            .args(["--nats-url", &server.url])
            .args(words)
            .output()
            .context("run deadelus")?;
        slowest = slowest.max(ms(begun));
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lines = String::from_utf8_lossy(&output.stdout).lines().count();
    }
    println!("{slowest:>8.1} ms  deadelus {}: {lines} lines", words.join(" "));
    Ok(())
}

fn ms(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1_000.0
}

fn resident_mib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().next().context("no figure")?.parse()?;
    Ok(kib / 1024)
}
