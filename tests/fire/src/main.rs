//! `fire --workflows 2000 --minutes 10 --seed 7`: a night under fire, told as a table. It exits with 1
//! when anything was lost, doubled, or never ended.
//!
//! Under the names `sink` and `orchestrator` the same program is a process of the fleet, so that one
//! build is all it takes.

use std::{env, path::Path, process::ExitCode, time::Duration};

use clap::Parser as _;
use deadelus_fire::{
    fleet::{ORCHESTRATOR, SINK},
    round::Round,
    sink,
};

/// Real processes under fire.
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// How many workflows.
    #[arg(long, default_value_t = 1_000)]
    workflows: usize,
    /// How long accidents go on at most; they end earlier when all workflows have ended.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Of the accidents and the plans.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only accidents whose name has this in it: `leader`, "freeze a specialist".
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let name = env::args_os().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some(SINK) => deadelus_runtime::main("sink", sink::build),
        Some(ORCHESTRATOR) => deadelus_orchestrator::main(),
        Some(_) | None => fire(&Arguments::parse()),
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what it is run for")]
fn fire(arguments: &Arguments) -> ExitCode {
    let round = Round {
        workflows: arguments.workflows,
        longest: Duration::from_secs(60 * arguments.minutes),
        seed: arguments.seed,
        only: arguments.only.clone(),
    };
    let lived = env::current_exe().map_err(Into::into).and_then(|program| round.live(&program));
    match lived {
        Ok(verdict) => {
            println!("{verdict}\n{}", verdict.longest);
            if verdict.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("fire: {error:#}");
            ExitCode::from(2)
        }
    }
}
