//! `deadelus-proxy`: serves customers on one address, does as it is told on a Unix socket.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use deadelus_proxy::{Router, control};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// What a shell expects of a process that was interrupted and did not finish.
const EXIT_INTERRUPTED: i32 = 130;

/// A reverse proxy that changes over between revisions of a service without a request lost.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where customers come; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The Unix socket for whoever operates it: GET and PUT /routes
    #[arg(long)]
    control: PathBuf,
    /// Where the table of servers is kept over a restart
    #[arg(long)]
    state: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Cli { listen, control, state } = Cli::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let router = Arc::new(Router::open(Some(state))?);
    let socket =
        control::bind(&control).with_context(|| format!("control socket {}", control.display()))?;
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot use {listen}"))?;
    say(&format!("listening on http://{}", listener.local_addr()?))?;
    let operators = tokio::spawn(control::serve(socket, router.clone()));
    let told_to_stop = async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            std::process::exit(EXIT_INTERRUPTED);
        });
    };
    deadelus_proxy::serve(listener, router, told_to_stop).await;
    operators.abort();
    say("closed")
}

async fn either(a: &mut tokio::signal::unix::Signal, b: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
