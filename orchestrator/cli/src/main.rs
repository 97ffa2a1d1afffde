//! `deadelus`, what a person types.
//!
//! It starts and stops processes on this machine, sends what people decide, and shows what the
//! log says. It never decides anything about a workflow, and nothing depends on it: whatever it
//! shows is read from the log, so it works while no orchestrator runs.

mod args;
mod client;
mod commands;
mod error;
mod exit;
#[cfg(test)]
mod fixture;
mod history;
mod home;
mod ids;
mod lines;
mod plan_view;
mod report;
mod screen;
mod services;
mod supervise;
mod table;
mod term;
mod time;
mod timeline;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::{
    args::{Cli, Command},
    commands::{
        artefact, decide, doctor, down, list, plan, report as report_command, run, show,
        specialists, trace, up, watch, why,
    },
    error::CliError,
    exit::Exit,
    supervise::process,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::file("start", "the runtime"))
        .and_then(|runtime| runtime.block_on(Box::pin(dispatch(&cli))));
    match ended {
        Ok(exit) => exit.into(),
        Err(error) if error.is_closed_pipe() => Exit::Done.into(),
        Err(error) => {
            term::note(&format!("deadelus: {}", deadelus_mesh::chain(&error)));
            if let Some(next) = error.next() {
                term::note(&format!("  next: {next}"));
            }
            error.exit().into()
        }
    }
}

async fn dispatch(cli: &Cli) -> Result<Exit, CliError> {
    let place = &cli.place;
    match &cli.command {
        Command::Up(args) => up::run(place, args).await,
        Command::Down(args) => down::run(place, args),
        Command::Doctor(output) => doctor::run(place, *output).await,
        Command::Plan(args) => plan::run(place, args).await,
        Command::Run(args) => run::run(place, args).await,
        Command::Watch(args) => watch::run(place, args).await,
        Command::Show(args) => show::run(place, args).await,
        Command::List(args) => list::run(place, args).await,
        Command::Why(args) => why::run(place, args).await,
        Command::Trace(args) => trace::run(place, args).await,
        Command::Report(args) => report_command::run(place, args).await,
        Command::Artefact(args) => artefact::run(place, args).await,
        Command::Approve(args) => decide::gate(place, args, true).await,
        Command::Reject(args) => decide::gate(place, args, false).await,
        Command::Cancel(args) => decide::order(place, args, decide::Order::Cancel).await,
        Command::Undo(args) => decide::order(place, args, decide::Order::Undo).await,
        Command::Retry(args) => decide::order(place, args, decide::Order::Retry).await,
        Command::Resolve(args) => decide::resolve(place, args).await,
        Command::Specialists(output) => specialists::run(place, *output).await,
        Command::Completions { shell } => completions(*shell),
        Command::Detached { words } => {
            let program = words.first().cloned().unwrap_or_default();
            Err(CliError::file("run", program)(process::become_detached(words)))
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, CliError> {
    let mut text = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "deadelus", &mut text);
    term::say(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}
