//! Thousands of worlds, each from a seed; a seed that fails is told from beginning to end.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::resume_unwind,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use deadelus_sim::{Broken, Setup};

/// Worlds per run: about twenty seconds of a debug build on two cores. `simulate --seeds` lives through
/// more.
const SEEDS: u64 = 2_000;

#[test]
fn whatever_goes_wrong_nothing_is_lost_doubled_or_stuck() {
    if let Some(seed) = std::env::var("DEADELUS_SEED").ok().and_then(|text| text.parse().ok()) {
        let setup = Setup::random(seed);
        println!("{}\n{setup}", setup.tell().story.join("\n"));
        return setup.live().map(drop).unwrap_or_else(|broken| panic!("{}", broken.problem));
    }
    let seen = all(0..SEEDS);
    for what in [
        "done",
        "undone",
        "cancelled",
        "rejected",
        "timed out",
        "retried",
        "late effect",
        "scope closed",
        "stuck retried",
        "stuck resolved",
        "repeated effects",
        "alarms",
    ] {
        assert!(seen.get(what).is_some_and(|n| *n >= 10), "{what} is too rare: {seen:#?}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story_byte_by_byte() {
    for seed in 0..40 {
        let setup = Setup::random(seed);
        let (one, other) = (setup.tell(), setup.tell());
        assert!(!one.story.is_empty() && one == other, "{setup}");
    }
}

type Seen = BTreeMap<String, u64>;
type Share = (Seen, Option<(u64, Box<Broken>)>);

/// Lives through them on all cores; what was seen, added up. Panics with the lowest that fails.
fn all(seeds: Range<u64>) -> Seen {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shares: Vec<Share> = std::thread::scope(|scope| {
        let handles: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| share(&next, seeds.end, &stop))).collect();
        let joined = handles.into_iter().map(|handle| handle.join());
        joined.map(|share| share.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let mut seen = Seen::new();
    let mut broken = BTreeMap::new();
    for (share, fails) in shares {
        share.into_iter().for_each(|(what, n)| *seen.entry(what).or_default() += n);
        broken.extend(fails);
    }
    if let Some((seed, broken)) = broken.pop_first() {
        panic!("{broken}\nagain: DEADELUS_SEED={seed} cargo test -p deadelus-sim");
    }
    seen
}

/// One thread's part.
fn share(next: &AtomicU64, end: u64, stop: &AtomicBool) -> Share {
    let mut seen = Seen::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || stop.load(Ordering::Relaxed) {
            return (seen, None);
        }
        match Setup::random(seed).live() {
            Ok(lived) => {
                lived.seen.into_iter().for_each(|(what, n)| *seen.entry(what).or_default() += n);
            }
            Err(broken) => {
                stop.store(true, Ordering::Relaxed);
                return (seen, Some((seed, broken)));
            }
        }
    }
}
