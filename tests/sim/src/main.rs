//! Seeds for nights: `simulate --seeds 1000000 [--from 0]`. It stops at the first that fails, tells
//! it, and exits with 1.

use std::process::ExitCode;

use deadelus_sim::Setup;

/// Between two words on how far it has come: a few times a minute.
const WORD_EVERY_SEEDS: u64 = 2_000;

fn main() -> ExitCode {
    match arguments(std::env::args().skip(1)) {
        Ok((from, seeds)) => run(from, seeds),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(2)
        }
    }
}

fn run(from: u64, seeds: u64) -> ExitCode {
    for seed in from..from.saturating_add(seeds) {
        if let Err(broken) = Setup::random(seed).live() {
            complain(&format!("{broken}\nagain: DEADELUS_SEED={seed} cargo test -p deadelus-sim"));
            return ExitCode::FAILURE;
        }
        if (seed + 1) % WORD_EVERY_SEEDS == 0 {
            complain(&format!("seeds below {} hold", seed + 1));
        }
    }
    ExitCode::SUCCESS
}

/// Where to begin, and how many.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<(u64, u64), String> {
    let (mut from, mut seeds) = (0, None);
    while let Some(word) = words.next() {
        let value = words.next().and_then(|value| value.parse::<u64>().ok());
        let value = value.ok_or_else(|| format!("{word} needs a number"))?;
        match word.as_str() {
            "--seeds" => seeds = Some(value),
            "--from" => from = value,
            _ => return Err(format!("{word}? usage: simulate --seeds N [--from N]")),
        }
    }
    let seeds = seeds.ok_or("usage: simulate --seeds N [--from N]")?;
    Ok((from, seeds))
}

#[expect(clippy::print_stderr, reason = "this is what a person runs it for")]
fn complain(text: &str) {
    eprintln!("{text}");
}
