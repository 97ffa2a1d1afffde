//! The life of an orchestrator, top to bottom: configuration, telemetry, the mesh, what is open,
//! the inbox, the signal, the drain, the flush.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use deadelus_gateway::Gateway;
use deadelus_mesh::{
    Mesh,
    config::{self, Layers},
    life::{self, Shutdown},
    streams,
    telemetry::{self, Page},
};
use deadelus_view::Client;

use crate::{
    api,
    archive::{self, House},
    beats,
    cards::Cards,
    config::Config,
    drafts::Drafts,
    hub::Hub,
    inbox::Inbox,
    journal::Journal,
    lending,
    partitions::Partitions,
    planner::shelf,
    plans::Plans,
    slots::{Keeper, Slots, Wishes},
};

/// Spans that are not delivered by then are lost; the process goes.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// Decisions under way when the signal comes are finished; a server that is away is not awaited.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The orchestrator of the Deadelus mesh.
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
}

/// Runs the orchestrator until it is told to stop.
pub fn main() -> ExitCode {
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> anyhow::Result<()> {
    let layers = Layers {
        process: "orchestrator",
        file: arguments.config.clone(),
        overrides: arguments.set.clone(),
    };
    let config: Config = config::load(&layers)?;
    if arguments.print_config {
        show(&config::print(&config));
        return Ok(());
    }
    if let Some(gateway) = &config.gateway {
        gateway.check()?;
    }
    let owner = format!("orchestrator-{:06x}", fastrand::u32(..0x100_0000));
    life::runtime()?.block_on(async {
        let page = config.gateway.as_ref().map(|_| Page::default());
        let (telemetry, name) = (&config.telemetry, "deadelus-orchestrator");
        let telemetry = telemetry::init_with(telemetry, name, &owner, page.as_ref())?;
        let lived = Box::pin(live(&config, &owner, page.unwrap_or_default())).await;
        telemetry.shutdown(FLUSH_WITHIN).await;
        lived
    })
}

async fn live(config: &Config, owner: &str, page: Page) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let blueprints = shelf::open(config.orchestrator.blueprints.as_deref())?;
    let mesh = deadelus_mesh::connect(&config.nats, owner).await?;
    streams::ensure(&mesh, config.nats.replicas).await?;
    let cards = Cards::follow(&mesh).await?;
    let drafts = Drafts::open(&mesh).await?;
    let desk = api::Desk { cards: cards.clone(), shelf: Arc::new(blueprints), drafts };
    let service = api::serve(&mesh, owner, desk).await?;
    let journal = Journal::new(mesh.clone(), owner.to_owned());
    let (hub, parcels) = Hub::new(config.orchestrator.open_workflows_max);
    let start_max_age_ms = archive::start_max_age_ms(&config.retention);
    let wishes = Wishes::default();
    let inbox = Inbox {
        mesh: mesh.clone(),
        hub: hub.clone(),
        plans: Plans::new(cards),
        start_max_age_ms,
        shared: config.limits.shared(),
        wishes: wishes.clone(),
    };
    hub.begin(parcels, &journal, &inbox, &shutdown).await?;
    let beats = mesh.client.subscribe(mesh.subjects.below("worker.*.*")).await?;
    let slots = Slots::open(&mesh, journal.owner(), config.limits.clone()).await?;
    let keeper = Keeper::new(mesh.clone(), slots, hub.clone(), wishes);
    let keeping = tokio::spawn(keeper.keep());
    let lending = tokio::spawn(lending::lend_all(mesh.clone(), lending::listen(&mesh).await?));
    let answering = tokio::spawn(beats::answer_all(mesh.clone(), hub.clone(), beats));
    let mut partitions = Partitions::open(mesh.clone(), owner, inbox, hub.clone()).await?;
    let house = House::new(journal, config.retention.clone(), partitions.held());
    let housekeeping = tokio::spawn(house.keep());
    if config.orchestrator.take_over {
        partitions.look().await;
    } else {
        tracing::warn!("orchestrator.take_over is off: this replica drives nothing");
    }
    let gateway = gateway(config, &mesh, page, &shutdown).await?;
    tracing::info!(owner, "ready");
    tokio::select! {
        () = partitions.keep(), if config.orchestrator.take_over => {}
        () = shutdown.requested() => {}
    }
    if let Some(gateway) = gateway {
        gateway.closed().await;
    }
    partitions.close();
    answering.abort();
    lending.abort();
    housekeeping.abort();
    keeping.abort();
    if tokio::time::timeout(STOP_WITHIN, hub.stopped()).await.is_err() {
        tracing::warn!("decisions under way were left; what is not acknowledged comes again");
    }
    partitions.hand_over().await;
    if let Err(error) = service.stop().await {
        tracing::debug!(%error, "the service was not deregistered");
    }
    mesh.drain(LEAVE_WITHIN).await;
    Ok(())
}

/// The gateway, where one is configured. It says on the bus what any client says.
async fn gateway(
    config: &Config,
    mesh: &Mesh,
    page: Page,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Gateway>> {
    let Some(gateway) = &config.gateway else { return Ok(None) };
    // Who asks is known request by request.
    let (mesh, url, by) = (mesh.clone(), config.nats.url.clone(), String::new());
    let client = Client { mesh, url, by };
    Ok(Some(Gateway::open(gateway, client, page, shutdown).await?))
}

#[expect(clippy::print_stdout, reason = "what the person asked to see")]
fn show(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "there may be no log yet to say it in")]
fn complain(error: &anyhow::Error) {
    eprintln!("deadelus-orchestrator: {error:#}");
}
