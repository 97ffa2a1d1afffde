//! A short round, with every kind of accident that fits into it. `cargo run -p deadelus-fire` is for
//! nights.

#![cfg(test)]

use std::{env, path::Path, time::Duration};

use deadelus_fire::round::Round;

#[test]
fn nothing_is_lost_and_nothing_is_doubled_under_fire() {
    let seed = env::var("DEADELUS_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let round =
        Round { workflows: 100, longest: Duration::from_secs(15), seed, only: String::new() };
    let verdict = round.live(Path::new(env!("CARGO_BIN_EXE_fire"))).unwrap();
    eprintln!("seed {seed}\n{verdict}");
    assert_eq!(verdict.wrong, Vec::<String>::new(), "seed {seed}\n{verdict}");
}
