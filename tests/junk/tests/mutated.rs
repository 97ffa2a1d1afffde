//! Valid messages, damaged at random: each is read or refused with a reason, never more.
//!
//! `DEADELUS_TEST_SEED=7` has a round again, `DEADELUS_JUNK_ROUNDS=100000` is for nights.

#![cfg(test)]

use std::{env, panic};

use deadelus_junk::{COMPLAINT_MAX_CHARS, READERS, Reader, mutate::mutated};
use fastrand::Rng;

/// Per reader: a few seconds for all of them, unoptimised.
const ROUNDS: u64 = 1_000;

#[test]
fn what_is_valid_is_read() {
    for reader in READERS {
        let samples = (reader.samples)();
        assert!(!samples.is_empty(), "{}", reader.name);
        for sample in samples {
            let shown = String::from_utf8_lossy(&sample);
            assert_eq!((reader.read)(&sample), Ok(()), "{}: {shown}", reader.name);
        }
    }
}

#[test]
fn what_is_damaged_is_read_or_refused_with_a_reason() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("DEADELUS_TEST_SEED").unwrap_or(1);
    for reader in READERS {
        let samples = (reader.samples)();
        for seed in first..first + number("DEADELUS_JUNK_ROUNDS").unwrap_or(ROUNDS) {
            let mut rng = Rng::with_seed(seed);
            let sample = &samples[rng.usize(0..samples.len())];
            let other = &samples[rng.usize(0..samples.len())];
            judge(reader, &mutated(sample, other, &mut rng), seed);
        }
    }
}

fn judge(reader: Reader, bytes: &[u8], seed: u64) {
    let name = reader.name;
    let shown = String::from_utf8_lossy(bytes);
    let Ok(read) = panic::catch_unwind(|| (reader.read)(bytes)) else {
        panic!("{name}, seed {seed}: it panicked at {shown:?}");
    };
    if let Err(complaint) = read {
        let length = complaint.chars().count();
        let bounded = (1..=COMPLAINT_MAX_CHARS).contains(&length);
        assert!(bounded, "{name}, seed {seed}: {length} characters about {shown:?}");
    }
}
