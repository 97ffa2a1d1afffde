//! Which accident comes next, to whom, and for how long. Pure: the same seed, the same accidents.

use std::{fmt, time::Duration};

use deadelus_tests::wire::Quality;
use fastrand::Rng;

/// Between the end of an accident and the next: some meet a fleet that has not recovered.
const PAUSE_MAX_MS: u64 = 2_500;
/// Until who was killed is started again.
const DOWN_MAX_MS: u64 = 3_000;
/// Shorter and longer than a lease lives, shorter than the time after which a task goes to another
/// worker: what a worker does that is frozen for longer than that is a matter of the component's.
const FROZEN_MAX_MS: u64 = 7_000;
/// How long a wire is bad.
const BAD_MAX_MS: u64 = 4_000;
/// One way, of a bad wire.
const DELAY_MAX_MS: u64 = 150;
/// Of a bad wire, a second: less than the heartbeats and reports of a busy process.
const NARROW_MIN_BYTES: u64 = 20_000;
/// Of a bad wire, a second: more than that.
const NARROW_MAX_BYTES: u64 = 2_000_000;

/// Who has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// One of the orchestrators.
    Orchestrator(usize),
    /// One of the specialist's replicas.
    Sink(usize),
    /// The server that leads the log at that moment.
    Leader,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accident {
    /// kill -9, and started again.
    Kill(Victim),
    /// SIGSTOP and SIGCONT.
    Freeze(Victim),
    /// The wires of one orchestrator and one sink become bad, and good again.
    Slow(Quality),
    /// Every connection over the wires ends.
    Cut,
}

/// One of them, when, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Next {
    /// Before it happens.
    pub pause: Duration,
    /// What.
    pub accident: Accident,
    /// Until it is over.
    pub lasts: Duration,
}

/// The next accident of a fleet with so many of each.
pub fn next(rng: &mut Rng, orchestrators: usize, sinks: usize) -> Next {
    let mut millis = |least: u64, most: u64| Duration::from_millis(rng.u64(least..most));
    let (pause, down) = (millis(200, PAUSE_MAX_MS), millis(0, DOWN_MAX_MS));
    let (frozen, bad) = (millis(300, FROZEN_MAX_MS), millis(500, BAD_MAX_MS));
    let (delay, jitter) = (millis(1, DELAY_MAX_MS), millis(0, DELAY_MAX_MS));
    let victim = match rng.u8(..3) {
        0 => Victim::Orchestrator(rng.usize(..orchestrators)),
        1 => Victim::Sink(rng.usize(..sinks)),
        _ => Victim::Leader,
    };
    let narrow = rng.bool().then(|| rng.u64(NARROW_MIN_BYTES..NARROW_MAX_BYTES));
    let (accident, lasts) = match rng.u8(..8) {
        0..3 => (Accident::Kill(victim), down),
        3..6 => (Accident::Freeze(victim), frozen),
        6 => (Accident::Slow(Quality { delay, jitter, bytes_per_second: narrow }), bad),
        _ => (Accident::Cut, Duration::ZERO),
    };
    Next { pause, accident, lasts }
}

impl fmt::Display for Accident {
    /// Its kind, as the table counts it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(victim) => write!(f, "kill {victim}"),
            Self::Freeze(victim) => write!(f, "freeze {victim}"),
            Self::Slow(_) => f.write_str("slow wires"),
            Self::Cut => f.write_str("cut wires"),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Orchestrator(_) => "an orchestrator",
            Self::Sink(_) => "a specialist",
            Self::Leader => "the leader",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_a_schedule_and_everything_happens() {
        let schedule = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..200).map(|_| next(&mut rng, 2, 2)).collect::<Vec<_>>()
        };
        assert_eq!(schedule(7), schedule(7));
        let kinds: BTreeSet<String> =
            schedule(7).iter().map(|next| next.accident.to_string()).collect();
        assert_eq!(kinds.len(), 8, "{kinds:?}");
    }
}
