//! `deadelus-provider`: serves a provider of payments until SIGTERM or SIGINT.

use std::{io::Write as _, net::SocketAddr};

use clap::Parser;
use deadelus_provider::Provider;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// A provider of payments in the shape of Stripe's API, in memory.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind(arguments.listen).await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    // Nothing is worth a drain: the state ends with the process.
    tokio::select! {
        served = Provider::default().serve(listener) => Ok(served?),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
