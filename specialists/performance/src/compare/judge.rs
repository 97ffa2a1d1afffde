//! The verdict. Pure and seeded.

use deadelus_runtime::Check;

use super::{CompareInputs, Comparison, CounterChange, CounterChoice, Side, Verdict};
use crate::{
    run::{Run, as_f64, rounded},
    statistics::{Interval, drop_percent, mean},
    target::Role,
};

/// The p95 of fewer requests than this is the slowest of them.
const REQUESTS_FOR_A_P95_MIN: u64 = 20;

/// Resampling is seeded, so that a comparison can be repeated.
const SEED: u64 = 0xc0ff_ee00;
/// A counter below one a request has no room to fall; its ups and downs are chance.
const COUNTER_MIN: f64 = 1.0;
/// Dearer writes matter from here on. Fifty blocks found in memory cost about a tenth of a
/// millisecond, which is lost in a commit; an index on a shop that writes a handful of rows per
/// request adds ten, on one that writes hundreds it adds hundreds.
const WRITE_BLOCKS_MIN: f64 = 50.0;
/// Likewise for SQLite: five hundred operations are some tens of microseconds.
const WRITE_VM_STEPS_MIN: f64 = 500.0;
/// Two clocks that differ by less say nothing about a write of one or two milliseconds.
const WRITE_CLOCK_MIN_MS: f64 = 1.0;
/// Requests that fail now and did not before, of all: one in two hundred.
const ERROR_RISE_MAX: f64 = 0.005;

/// What is checked, for the descriptor. All pass just when the verdict is `better`.
pub(super) const KINDS: &[(&str, &str)] = &[
    ("counter_fell", "the counter of work that the change is about fell enough"),
    ("p95_fell", "the p95 of reads fell enough, beyond what the runs differ among themselves"),
    ("writes_hold", "requests that write got neither dearer nor slower than allowed"),
    ("errors_hold", "no more requests fail or are dropped than before"),
    ("verdict", "all of it together: better"),
];

/// How a p95 moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Faster,
    Slower,
    Same,
    /// The interval holds zero and a difference that would matter.
    Noisy,
}

/// The verdict with the checks it stands on.
pub(super) fn judge(inputs: &CompareInputs) -> (Comparison, Vec<Check>) {
    let read = read_side(inputs);
    let write = write_side(inputs);
    let clock = clock(&read, inputs.min_effect_percent);
    let fell = counter_check(inputs, read.counter);
    let writes = writes_check(inputs, write.as_ref());
    let errors = errors_check(inputs);
    let verdict = match clock {
        _ if !writes.pass || !errors.pass => Verdict::Worse,
        Clock::Slower => Verdict::Worse,
        Clock::Faster if fell.pass => Verdict::Better,
        Clock::Faster | Clock::Same => Verdict::NoChange,
        Clock::Noisy => Verdict::Noisy,
    };
    let mut checks = vec![fell, p95_check(&read, clock, inputs.min_effect_percent), writes, errors];
    let reason = reason(&checks);
    checks.push(Check::equal("verdict", verdict.as_str(), "better").note(reason.clone()));
    (Comparison { verdict, reason, read, write }, checks)
}

fn read_side(inputs: &CompareInputs) -> Side {
    let counter = match inputs.counter {
        CounterChoice::Auto => CounterChoice::WORK
            .into_iter()
            .filter_map(|counter| change(inputs, counter, per_read))
            .filter(|change| change.before >= COUNTER_MIN)
            .max_by(|a, b| a.drop_percent.total_cmp(&b.drop_percent)),
        named @ (CounterChoice::ScanSteps
        | CounterChoice::Blocks
        | CounterChoice::VmSteps
        | CounterChoice::Statements
        | CounterChoice::DbMs
        | CounterChoice::PoolWaitMs
        | CounterChoice::LockWaitMs
        | CounterChoice::ExternalMs) => change(inputs, named, per_read),
    };
    side(inputs, Role::Read, counter)
}

/// Writes are judged by blocks where the database tells them, else by its operations.
fn write_side(inputs: &CompareInputs) -> Option<Side> {
    let all = inputs.before.iter().chain(&inputs.after);
    if all.clone().any(|run| run.requests(Role::Write) == 0) {
        return None;
    }
    let counter = [CounterChoice::Blocks, CounterChoice::VmSteps]
        .into_iter()
        .find_map(|counter| change(inputs, counter, per_write));
    Some(side(inputs, Role::Write, counter))
}

fn side(inputs: &CompareInputs, role: Role, counter: Option<CounterChange>) -> Side {
    let p95 = |runs: &[Run]| runs.iter().filter_map(|run| run.p95_ms(role)).collect::<Vec<_>>();
    let (before, after) = (p95(&inputs.before), p95(&inputs.after));
    let delta = Interval::of_difference(&before, &after, SEED);
    Side {
        p95_before_ms: rounded(mean(&before)),
        p95_after_ms: rounded(mean(&after)),
        delta_low_ms: rounded(delta.low),
        delta_high_ms: rounded(delta.high),
        effect_percent: rounded(drop_percent(mean(&before), mean(&after))),
        counter,
    }
}

fn change(
    inputs: &CompareInputs,
    counter: CounterChoice,
    per_request: fn(&Run, CounterChoice) -> Option<f64>,
) -> Option<CounterChange> {
    let of = |runs: &[Run]| {
        let values: Option<Vec<f64>> = runs.iter().map(|run| per_request(run, counter)).collect();
        values.map(|values| mean(&values))
    };
    let (before, after) = (of(&inputs.before)?, of(&inputs.after)?);
    Some(CounterChange {
        counter,
        before: rounded(before),
        after: rounded(after),
        drop_percent: rounded(drop_percent(before, after)),
    })
}

/// What reads cost: without the statements that write, over the requests that read.
fn per_read(run: &Run, counter: CounterChoice) -> Option<f64> {
    let (reads, writes) = (as_f64(run.requests(Role::Read)), as_f64(run.requests(Role::Write)));
    let all = counter.of(&run.counters)? * (reads + writes);
    let writing = run.write_counters.as_ref().and_then(|c| counter.of(c)).unwrap_or(0.0) * writes;
    Some((all - writing).max(0.0) / reads)
}

fn per_write(run: &Run, counter: CounterChoice) -> Option<f64> {
    counter.of(run.write_counters.as_ref()?)
}

fn clock(side: &Side, min_effect_percent: f64) -> Clock {
    let matters_ms = side.p95_before_ms * min_effect_percent / 100.0;
    if side.delta_high_ms < 0.0 {
        if side.effect_percent >= min_effect_percent { Clock::Faster } else { Clock::Same }
    } else if side.delta_low_ms > 0.0 {
        if side.effect_percent <= -min_effect_percent { Clock::Slower } else { Clock::Same }
    } else if side.delta_low_ms.abs().max(side.delta_high_ms) > matters_ms {
        Clock::Noisy
    } else {
        Clock::Same
    }
}

fn counter_check(inputs: &CompareInputs, counter: Option<CounterChange>) -> Check {
    const ID: &str = "counter_fell";
    let least = inputs.min_counter_drop_percent;
    let Some(change) = counter else {
        let text = "no counter of work was measured on both sides";
        return Check::not_measured(ID, format!("{least} %"), text);
    };
    Check::at_least(ID, Percent(change.drop_percent), Percent(least)).note(format!(
        "{} per read request: {} before, {} after",
        change.counter.as_str(),
        change.before,
        change.after
    ))
}

fn p95_check(read: &Side, clock: Clock, min_effect_percent: f64) -> Check {
    let mut check =
        Check::at_least("p95_fell", Percent(read.effect_percent), Percent(min_effect_percent))
            .note(format!(
                "p95 of reads: {} ms before, {} ms after; the difference is {} to {} ms with 95 % \
         confidence",
                read.p95_before_ms, read.p95_after_ms, read.delta_low_ms, read.delta_high_ms
            ));
    check.pass = clock == Clock::Faster;
    check
}

/// By the counter first: it shows what an index costs even where a clock cannot. By the clock
/// when the whole interval is beyond what is allowed, and when there is no counter or the clock has
/// seen enough: the slowest of three writes says more about the disk than about the change.
fn writes_check(inputs: &CompareInputs, write: Option<&Side>) -> Check {
    const ID: &str = "writes_hold";
    let most = inputs.max_write_regression_percent;
    let Some(write) = write else {
        return Check::at_most(ID, Percent(0.0), Percent(most)).note("nothing writes in this load");
    };
    let allowed_ms = (write.p95_before_ms * most / 100.0).max(WRITE_CLOCK_MIN_MS);
    let clock_speaks = write.counter.is_none() || has_a_p95_of_writes(inputs);
    if clock_speaks && write.delta_low_ms > allowed_ms {
        let mut check = Check::at_most(ID, Percent(-write.effect_percent), Percent(most));
        check.pass = false;
        return check.note(format!(
            "p95 of writes: {} ms before, {} ms after, by {} ms at least",
            write.p95_before_ms, write.p95_after_ms, write.delta_low_ms
        ));
    }
    let Some(change) = write.counter else {
        return Check::at_most(ID, Percent(0.0), Percent(most))
            .note("by the clock alone: the database does not tell what a write costs");
    };
    let more = change.after - change.before;
    let note = format!(
        "{} per write request: {} before, {} after",
        change.counter.as_str(),
        change.before,
        change.after
    );
    if more <= least_that_matters(change.counter) {
        let text = format!("{note}; {more:.0} more are lost in a commit");
        let text = if more > 0.0 { text } else { note };
        return Check::at_most(ID, Percent(0.0), Percent(most)).note(text);
    }
    Check::at_most(ID, Percent(-change.drop_percent), Percent(most)).note(note)
}

/// Whether there were enough of them in every run for their p95 to be more than the slowest one.
fn has_a_p95_of_writes(inputs: &CompareInputs) -> bool {
    let mut all = inputs.before.iter().chain(&inputs.after);
    all.all(|run| run.requests(Role::Write) >= REQUESTS_FOR_A_P95_MIN)
}

fn least_that_matters(counter: CounterChoice) -> f64 {
    if counter == CounterChoice::Blocks { WRITE_BLOCKS_MIN } else { WRITE_VM_STEPS_MIN }
}

fn errors_check(inputs: &CompareInputs) -> Check {
    let rate = |runs: &[Run]| mean(&runs.iter().map(Run::error_rate).collect::<Vec<_>>());
    let (before, after) = (rate(&inputs.before), rate(&inputs.after));
    Check::at_most("errors_hold", rounded(after), rounded(before + ERROR_RISE_MAX))
        .note("failed and dropped requests, of all that were due")
}

/// What speaks against keeping the change, or else what speaks for it.
fn reason(checks: &[Check]) -> String {
    let against: Vec<String> = checks
        .iter()
        .filter(|check| !check.pass)
        .map(|c| format!("{} {} (wanted {} {}): {}", c.id, c.measured, c.op, c.threshold, c.note))
        .collect();
    if !against.is_empty() {
        return against.join("; ");
    }
    checks.iter().take(2).map(|c| c.note.clone()).collect::<Vec<_>>().join("; ")
}

/// Shown with its unit.
#[derive(PartialEq, PartialOrd)]
struct Percent(f64);

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} %", self.0)
    }
}
