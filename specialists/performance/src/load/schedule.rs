//! When each request is due and what it asks for, decided before anything is sent. Pure: the
//! same scenario, load and seed give the same requests at the same times, before a change and
//! after it.

use std::time::Duration;

use fastrand::Rng;
use hyper::http::uri::PathAndQuery;

use crate::{run::as_f64, target::Step};

/// One request that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shot {
    /// Since the start of the run.
    pub(crate) at: Duration,
    /// Its place in the scenario.
    pub(crate) endpoint: usize,
    /// Its path, with every range filled.
    pub(crate) path: PathAndQuery,
}

/// The requests of one run, in the order they are due: a constant rate, endpoints by weight.
#[derive(Debug)]
pub(crate) struct Schedule {
    scenario: Vec<Step>,
    rate_per_s: f64,
    shots: u64,
    next: u64,
    rng: Rng,
}

impl Schedule {
    /// At least one request, however short the run.
    pub(crate) fn new(scenario: &[Step], rate_per_s: f64, duration_s: f64, seed: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
        let shots = ((rate_per_s * duration_s).round() as u64).max(1);
        let scenario = scenario.to_vec();
        Self { scenario, rate_per_s, shots, next: 0, rng: Rng::with_seed(seed) }
    }

    fn pick(&mut self) -> usize {
        let total: u64 = self.scenario.iter().map(|step| u64::from(step.weight)).sum();
        let mut left = self.rng.u64(..total.max(1));
        for (place, step) in self.scenario.iter().enumerate() {
            match left.checked_sub(u64::from(step.weight)) {
                Some(rest) => left = rest,
                None => return place,
            }
        }
        0
    }
}

impl Iterator for Schedule {
    type Item = Shot;

    fn next(&mut self) -> Option<Shot> {
        if self.next == self.shots {
            return None;
        }
        let at = Duration::from_secs_f64(as_f64(self.next) / self.rate_per_s);
        self.next += 1;
        let endpoint = self.pick();
        let path = self.scenario[endpoint].path.fill(&mut self.rng);
        Some(Shot { at, endpoint, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{path::PathTemplate, target::Role};

    fn step(name: &str, weight: u32) -> Step {
        Step {
            name: name.to_owned(),
            method: hyper::Method::GET,
            path: PathTemplate::parse("", "/{1..1000}").unwrap(),
            body: bytes::Bytes::new(),
            weight,
            role: Role::Read,
        }
    }

    #[test]
    fn requests_are_due_at_a_constant_rate_from_the_first_moment() {
        let shots: Vec<_> = Schedule::new(&[step("a", 1)], 100.0, 0.5, 1).collect();
        assert_eq!(shots.len(), 50);
        for (place, shot) in (0u32..).zip(&shots) {
            assert_eq!(shot.at, Duration::from_millis(10) * place);
        }
        assert_eq!(Schedule::new(&[step("a", 1)], 0.1, 1.0, 1).count(), 1);
    }

    #[test]
    fn the_mix_follows_the_weights_and_the_seed() {
        let mix = [step("rare", 1), step("never", 0), step("often", 9)];
        let picks = |seed| Schedule::new(&mix, 1_000.0, 10.0, seed).collect::<Vec<_>>();
        assert_eq!(picks(7), picks(7));
        assert_ne!(picks(7), picks(8));
        let count = |endpoint| picks(7).iter().filter(|shot| shot.endpoint == endpoint).count();
        assert_eq!(count(1), 0);
        // 10,000 draws at 1/10: six standard deviations are 180.
        assert!((820..=1_180).contains(&count(0)), "{}", count(0));
    }
}
