//! The life of a specialist's process, top to bottom: configuration, telemetry, the mesh, the card,
//! work, the signal, the drain, the flush.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use deadelus_mesh::{
    config::{self, Layers},
    life::{self, Shutdown},
    pull::Pull,
    streams, telemetry,
};
use deadelus_proto::{TargetName, limits::TASK_ACK_PENDING_MAX};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Specialist, announce, config::Config, hand, hand::Hand, ledger::Ledger, report::Reporter,
    worker::Worker,
};

/// Spans that are not delivered by then are lost; the process goes.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// A specialist of the Deadelus mesh.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting over all others: nats.url=nats://127.0.0.1:4222
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = config::key_value)]
    set: Vec<(String, String)>,
    /// Print the configuration in force, without secrets, and exit.
    #[arg(long)]
    print_config: bool,
    /// Print what this specialist offers, as JSON, and exit.
    #[arg(long)]
    print_card: bool,
}

/// Runs a specialist: `build` makes it from the configured targets.
pub fn main<T>(
    name: &'static str,
    build: fn(BTreeMap<TargetName, T>) -> anyhow::Result<Specialist>,
) -> ExitCode
where
    T: DeserializeOwned + Serialize + Clone + Send + Sync + 'static,
{
    match start(name, build, &Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(name, &error);
            ExitCode::FAILURE
        }
    }
}

fn start<T>(
    name: &'static str,
    build: fn(BTreeMap<TargetName, T>) -> anyhow::Result<Specialist>,
    arguments: &Arguments,
) -> anyhow::Result<()>
where
    T: DeserializeOwned + Serialize + Clone,
{
    let layers =
        Layers { process: name, file: arguments.config.clone(), overrides: arguments.set.clone() };
    let config: Config<T> = config::load(&layers)?;
    if arguments.print_config {
        return show(&config::print(&config));
    }
    let specialist =
        build(config.targets.clone())?.production(&config.production.targets).map_err(|name| {
            anyhow::anyhow!("production.targets names {name}, but there is no [targets.{name}]")
        })?;
    if arguments.print_card {
        return show(&serde_json::to_string_pretty(&specialist.card())?);
    }
    let instance = format!("{name}-{:06x}", fastrand::u32(..0x100_0000));
    life::runtime()?.block_on(async {
        let service = format!("deadelus-{name}");
        let telemetry = telemetry::init(&config.telemetry, &service, &instance)?;
        let lived = live(specialist, &config, &instance).await;
        telemetry.shutdown(FLUSH_WITHIN).await;
        lived
    })
}

async fn live<T>(specialist: Specialist, config: &Config<T>, instance: &str) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let mesh = deadelus_mesh::connect(&config.nats, instance).await?;
    streams::ensure(&mesh, config.nats.replicas).await?;
    let consumer = streams::task_consumer(&mesh, specialist.name(), TASK_ACK_PENDING_MAX).await?;
    let pull = Pull::open(mesh.clone(), &consumer).await?;
    let card = specialist.card();
    let service = announce::announce(&mesh, &card, instance).await?;
    let hand = Hand::default();
    let name = specialist.name().clone();
    let beat =
        tokio::spawn(hand::beat(mesh.clone(), name.clone(), instance.to_owned(), hand.clone()));
    let worker = Arc::new(Worker {
        specialist: Arc::new(specialist),
        ledger: Ledger::open(&mesh).await.map_err(|failure| anyhow::anyhow!("{failure}"))?,
        reporter: Arc::new(Reporter {
            mesh: mesh.clone(),
            specialist: name,
            instance: instance.to_owned(),
        }),
        hand,
    });
    tracing::info!(instance, capabilities = card.capabilities.len(), "ready");
    worker.run(pull, &config.worker, shutdown).await;
    beat.abort();
    if let Err(error) = service.stop().await {
        tracing::debug!(%error, "the service was not deregistered");
    }
    mesh.drain(LEAVE_WITHIN).await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the person asked to see")]
fn show(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}

#[expect(clippy::print_stderr, reason = "there may be no log yet to say it in")]
fn complain(name: &str, error: &anyhow::Error) {
    eprintln!("deadelus-{name}: {error:#}");
}
