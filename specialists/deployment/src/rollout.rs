//! How a fleet moves from one revision to another, as a row of tables, and when to take the next
//! step. Decides; tells no proxy.

use deadelus_proxy::{Routes, Server, WEIGHT_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::routing::{
    Report, ServerReport, Spent,
    table::{FULL_WEIGHT, revision_of, sorted},
};

/// Steps of a canary; more than this is not watched by anybody.
const CANARY_STEPS_MAX: usize = 8;

/// Twice as slow as a millisecond is still fast: so much more is never held against a revision.
const SLOWDOWN_SLACK_MS: f64 = 5.0;

/// How a fleet moves to another revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Strategy {
    /// All at once.
    #[default]
    BlueGreen,
    /// One replica after the other.
    Rolling,
    /// Shares of all requests, step by step, and then all.
    Canary {
        /// Percent for the new revision: `[5, 25]`. Rising, 1 to 99.
        percents: Vec<u8>,
    },
}

/// What a step has to show before the next one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Gates {
    /// Requests that the new revision answers in each step, at least.
    pub(crate) requests: u64,
    /// Milliseconds that each step lasts, at least.
    pub(crate) hold_ms: u64,
    /// Percent of the new revision's answers that may be failures (500 and above, or none).
    pub(crate) max_error_percent: f64,
    /// How many times as long as the old revision's its answers may take on average, 5 ms aside.
    pub(crate) max_slowdown: f64,
}

impl Default for Gates {
    fn default() -> Self {
        Self { requests: 20, hold_ms: 500, max_error_percent: 1.0, max_slowdown: 3.0 }
    }
}

/// Why a way of moving makes no sense.
pub(crate) fn problem(strategy: &Strategy, gates: &Gates) -> Option<String> {
    if !(0.0..=100.0).contains(&gates.max_error_percent) || gates.max_slowdown < 1.0 {
        return Some("gates: max_error_percent is 0 to 100, max_slowdown at least 1".to_owned());
    }
    let Strategy::Canary { percents } = strategy else { return None };
    let rising = percents.windows(2).all(|pair| pair[0] < pair[1]);
    let shares = percents.iter().all(|percent| (1..=99).contains(percent));
    let few = (1..=CANARY_STEPS_MAX).contains(&percents.len());
    (!rising || !shares || !few)
        .then(|| format!("strategy: 1 to {CANARY_STEPS_MAX} rising percents of 1 to 99"))
}

/// The tables to put in force, one after the other; the last one is where it ends: the new servers
/// take all, and everybody else stays in the table, warm, with nothing to do.
pub(crate) fn tables(strategy: &Strategy, before: &Routes, new: &[Server]) -> Vec<Routes> {
    let is_new = |name: &str| new.iter().any(|s| s.name == name);
    let others: Vec<&Server> = before.servers.iter().filter(|s| !is_new(&s.name)).collect();
    let old: Vec<&Server> = others.iter().copied().filter(|s| s.weight > 0).collect();
    // `share` says of each old and each new server what it gets.
    let table = |old_gets: &dyn Fn(usize) -> u16, new_gets: &dyn Fn(usize) -> u16| {
        let idle = others.iter().filter(|s| s.weight == 0).map(|s| (*s).clone());
        let old = old.iter().enumerate();
        let old = old.map(|(i, s)| Server { weight: old_gets(i), ..(*s).clone() });
        let new = new.iter().enumerate();
        let new = new.map(|(i, s)| Server { weight: new_gets(i), ..s.clone() });
        sorted(Routes { servers: idle.chain(old).chain(new).collect() })
    };
    let last = table(&|_| 0, &|_| FULL_WEIGHT);
    let on_the_way: Vec<Routes> = match strategy {
        Strategy::Canary { .. } | Strategy::Rolling if old.is_empty() => vec![],
        Strategy::BlueGreen => vec![],
        Strategy::Rolling => (1..new.len())
            .map(|gone| {
                let in_force = |on: bool| if on { FULL_WEIGHT } else { 0 };
                table(&|i| in_force(i >= gone && i < old.len()), &|i| in_force(i < gone))
            })
            .collect(),
        Strategy::Canary { percents } => percents
            .iter()
            .map(|percent| {
                let (old_each, new_each) = shares(*percent, old.len(), new.len());
                table(&|_| old_each, &|_| new_each)
            })
            .collect(),
    };
    on_the_way.into_iter().chain([last]).collect()
}

/// The weight of each old and each new server, so that all new ones together get `percent`.
fn shares(percent: u8, old: usize, new: usize) -> (u16, u16) {
    let old_each = (100 - u64::from(percent)) * new as u64;
    let new_each = u64::from(percent) * old as u64;
    let most = old_each.max(new_each).max(1);
    let fit = |weight: u64| {
        let scaled = if most > u64::from(WEIGHT_MAX) {
            (weight * u64::from(WEIGHT_MAX)).div_ceil(most)
        } else {
            weight
        };
        u16::try_from(scaled).unwrap_or(WEIGHT_MAX)
    };
    (fit(old_each), fit(new_each))
}

/// What is still to be done, seen from the table in force: a move that was cut off goes on where it
/// stopped. None when the table is neither where the move began nor one of its steps.
pub(crate) fn rest<'a>(
    tables: &'a [Routes],
    before: &Routes,
    now: &Routes,
) -> Option<&'a [Routes]> {
    let now = sorted(now.clone());
    if let Some(reached) = tables.iter().position(|table| *table == now) {
        return Some(&tables[reached..]);
    }
    (now == sorted(before.clone())).then_some(tables)
}

/// What was seen of a revision within one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) mean_ms: Option<f64>,
}

/// What a step amounts to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Open,
    Good,
    Bad(String),
}

/// Of the servers that `which` picks, between two reports.
pub(crate) fn seen(from: &Report, to: &Report, which: impl Fn(&ServerReport) -> bool) -> Seen {
    let mut sum = Seen::default();
    let (mut timed, mut spent_ms) = (0, 0.0);
    for now in to.servers.iter().filter(|s| which(s)) {
        let then = from.servers.iter().find(|s| s.name == now.name);
        let requests = now.requests.saturating_sub(then.map_or(0, |s| s.requests));
        sum.requests += requests;
        sum.errors += now.errors.saturating_sub(then.map_or(0, |s| s.errors));
        if let Some(ms) = spent_since(then.map(|s| s.spent), now.spent, requests) {
            timed += requests;
            spent_ms += ms;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "an average for a gate")]
    let mean_ms = (timed > 0).then(|| spent_ms / timed as f64);
    Seen { mean_ms, ..sum }
}

/// Milliseconds that all the requests took together.
#[expect(clippy::cast_precision_loss, reason = "an average for a gate")]
fn spent_since(then: Option<Spent>, now: Spent, requests: u64) -> Option<f64> {
    match (now, then) {
        (Spent::RecentMs(mean), _) => mean.map(|mean| mean * requests as f64),
        (Spent::TotalUs(now), Some(Spent::TotalUs(then))) => {
            Some(now.saturating_sub(then) as f64 / 1_000.0)
        }
        (Spent::TotalUs(now), Some(Spent::RecentMs(_)) | None) => Some(now as f64 / 1_000.0),
    }
}

/// Percent of what was seen that failed; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a percentage")]
pub(crate) fn error_percent(seen: &Seen) -> f64 {
    if seen.requests == 0 { 0.0 } else { seen.errors as f64 * 100.0 / seen.requests as f64 }
}

/// The decision at one moment of a step: `from` is the report at its begin.
pub(crate) fn judge(
    from: &Report,
    now: &Report,
    revision: &str,
    gates: &Gates,
    held: bool,
) -> Verdict {
    let is_new = |s: &ServerReport| revision_of(&s.name) == Some(revision);
    let new = seen(from, now, is_new);
    let old = seen(from, now, |s| !is_new(s) && s.weight > 0);
    // Already more failures than the fewest requests of a step may have.
    let at_least = Seen { requests: new.requests.max(gates.requests).max(1), ..new };
    if error_percent(&at_least) > gates.max_error_percent {
        let Seen { errors, requests, .. } = new;
        return Verdict::Bad(format!("{errors} of {requests} answers of {revision} failed"));
    }
    if !held || new.requests < gates.requests {
        return Verdict::Open;
    }
    match (new.mean_ms, old.mean_ms) {
        (Some(new), Some(old)) if new > old * gates.max_slowdown + SLOWDOWN_SLACK_MS => {
            let text = format!("answers of {revision} take {new:.1} ms, of the old {old:.1} ms");
            Verdict::Bad(text)
        }
        (Some(_) | None, Some(_) | None) => Verdict::Good,
    }
}

#[cfg(test)]
mod tests;
