//! `deadelus`, what a person types.
//!
//! It starts and stops processes on this machine, sends what people decide, and shows what the
//! log says. It never decides anything about a workflow, and nothing depends on it: whatever it
//! shows is read from the log, so it works while no orchestrator runs.

mod args;
mod bulk;
mod client;
mod commands;
mod dead;
mod error;
mod exit;
mod home;
mod screen;
mod supervise;
mod term;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use deadelus_proto::WorkflowId;
#[cfg(test)]
use deadelus_view::fixture;
use deadelus_view::{
    history, ids, lines, plan_view, report, services, shelves, slot_view, table, time, timeline,
    ways_out,
};

use crate::{
    args::{Cli, Command, Decision, Look, Place},
    bulk::each,
    client::Client,
    commands::{
        answer, artefact, audit, blueprints, dead as dead_letters, decide, doctor, down, fork,
        lint, list, nats_config, plan, report as report_command, run, show, specialists, token,
        trace, up, watch, why,
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
            error.tell();
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
        Command::List(args) => list::run(place, args).await,
        Command::Artefact(args) => artefact::run(place, args).await,
        Command::Answer(args) => answer::run(place, args).await,
        Command::Blueprints(args) => blueprints::run(place, args).await,
        Command::Lint(args) => lint::run(place, args).await,
        Command::NatsConfig(args) => nats_config::run(place, args),
        Command::Specialists(output) => specialists::run(place, *output).await,
        Command::Dead(command) => dead_letters::run(place, command).await,
        Command::Audit(args) => audit::run(place, args).await,
        Command::Fork(args) => {
            let run = async |client: &Client, id: &WorkflowId| fork::run(client, id, args).await;
            each(place, &args.one.id, run).await
        }
        Command::Look(look) => read(place, look).await,
        Command::Decide(decide) => decide_about(place, decide).await,
        Command::Token(args) => token::run(args),
        Command::Completions { shell } => completions(*shell),
        Command::Detached { words } => {
            let program = words.first().cloned().unwrap_or_default();
            Err(CliError::file("run", program)(process::become_detached(words)))
        }
    }
}

/// What only looks at a workflow, or at each of several.
async fn read(place: &Place, command: &Look) -> Result<Exit, CliError> {
    match command {
        Look::Watch(one) => {
            each(place, &one.id, async |client, id| watch::run(client, id, one.output).await).await
        }
        Look::Show(one) => {
            each(place, &one.id, async |client, id| show::run(client, id, one.output).await).await
        }
        Look::Why(one) => {
            each(place, &one.id, async |client, id| why::run(client, id, one.output).await).await
        }
        Look::Trace(one) => {
            each(place, &one.id, async |client, id| trace::run(client, id, one.output).await).await
        }
        Look::Report(args) => {
            let run = async |client: &Client, id: &WorkflowId| {
                report_command::run(client, id, args.output).await
            };
            each(place, &args.id, run).await
        }
    }
}

/// What a person decides about a workflow, or about each of several.
async fn decide_about(place: &Place, command: &Decision) -> Result<Exit, CliError> {
    let about = command.about();
    each(place, &about.id, async |client, id| decide::run(client, id, command).await).await
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, CliError> {
    let mut text = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "deadelus", &mut text);
    term::say(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}
