//! `deadelus-shop`: makes a shop in a database, and serves it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::{Parser, Subcommand};
use deadelus_shop::{Claims, Config, Database, Seed, SigningKey};
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
    /// Make the key that tokens are signed with, and show its public part as a JSON Web Key
    Key {
        /// Where the private part is written; it must not be there yet
        #[arg(long)]
        private: PathBuf,
        /// The name of the key, which tokens carry
        #[arg(long)]
        kid: String,
    },
    /// Make a token, good or bad, to try the shop with
    Token {
        /// The private key
        #[arg(long)]
        private: PathBuf,
        /// Whose it is
        #[arg(long)]
        email: String,
        /// What they are
        #[arg(long, default_value = "customer")]
        role: String,
        /// Whom it is for
        #[arg(long, default_value = "shop")]
        audience: String,
        /// How long it is good, in seconds; below 0 it has expired
        #[arg(long, default_value_t = 3_600, allow_negative_numbers = true)]
        lifetime_s: i64,
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
        Command::Key { private, kid } => {
            say(&SigningKey::make(&private, &kid)?.public().to_string())
        }
        Command::Token { private, email, role, audience, lifetime_s } => {
            let key = SigningKey::read(&private)?;
            let claims = Claims::lasting(&email, &role, &audience, now_unix_s()?, lifetime_s);
            say(&deadelus_shop::token(&key, &claims))
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

fn now_unix_s() -> anyhow::Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_secs())?)
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
