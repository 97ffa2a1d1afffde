//! `deadelus-shop`: makes a shop in a database, and serves it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};
use deadelus_shop::{Config, Database, Seed};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell expects of a process that was interrupted and did not finish.
const EXIT_INTERRUPTED: i32 = 130;

/// A small shop with the slow paths that real shops have.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the tables and fill them, always in the same way for the same seed
    Seed {
        /// sqlite:PATH or postgres://…
        #[arg(long)]
        database: Database,
        /// Rows of order_line, five to an order; 500 is too small for an index to matter
        #[arg(long, default_value_t = 300_000)]
        order_lines: u64,
        /// Another number gives other names, prices and quantities
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Drop the shop that is there, with its orders
        #[arg(long)]
        replace: bool,
    },
    /// Serve the shop until SIGTERM or SIGINT; a second one stops it at once
    Serve {
        /// TOML; the README of the shop lists the keys
        #[arg(long)]
        config: PathBuf,
        /// Address to listen on; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
        /// Write the port here once the shop is open
        #[arg(long)]
        port_file: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Seed { database, order_lines, seed, replace } => {
            let seed = Seed { order_lines, seed, replace };
            deadelus_shop::seed(&database, seed).await?;
            say(&format!("seeded {database:?} with {order_lines} order lines"))
        }
        Command::Serve { config, listen, port_file } => {
            let config = Config::load(&config)
                .with_context(|| format!("configuration {}", config.display()))?;
            serve(config, listen, port_file.as_deref()).await
        }
    }
}

async fn serve(config: Config, listen: SocketAddr, port_file: Option<&Path>) -> anyhow::Result<()> {
    let (terminate, interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shop = deadelus_shop::open(config).await?;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot use {listen}"))?;
    let address = listener.local_addr()?;
    if let Some(path) = port_file {
        write_port(path, address.port())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    say(&format!("listening on http://{address}"))?;
    shop.serve(listener, told_to_close(terminate, interrupt)).await?;
    say("closed")
}

/// The first signal closes the shop; the second means now.
async fn told_to_close(mut terminate: Signal, mut interrupt: Signal) {
    next_signal(&mut terminate, &mut interrupt).await;
    tokio::spawn(async move {
        next_signal(&mut terminate, &mut interrupt).await;
        std::process::exit(EXIT_INTERRUPTED);
    });
}

async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// In one step: whoever waits for the file never reads half a number.
fn write_port(path: &Path, port: u16) -> std::io::Result<()> {
    let whole = path.with_extension("part");
    std::fs::write(&whole, format!("{port}\n"))?;
    std::fs::rename(&whole, path)
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
