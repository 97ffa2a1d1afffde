//! What is counted, and where the counts go: through the process's meter provider to OTLP, or
//! nowhere when no collector is configured. All instruments in one place, made once.

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};

use crate::names;

static METERS: LazyLock<Meters> = LazyLock::new(Meters::make);

#[derive(Debug)]
struct Meters {
    sent: Counter<u64>,
    processed: Histogram<f64>,
    tasks: Counter<u64>,
    ended: Counter<u64>,
    conflicts: Counter<u64>,
    redrives: Counter<u64>,
    refused: Counter<u64>,
}

impl Meters {
    fn make() -> Self {
        let meter = opentelemetry::global::meter("deadelus");
        Self {
            sent: meter.u64_counter(names::METRIC_SENT_MESSAGES).build(),
            processed: meter.f64_histogram(names::METRIC_PROCESS_DURATION).with_unit("s").build(),
            tasks: meter.u64_counter(names::METRIC_TASKS).build(),
            ended: meter.u64_counter(names::METRIC_WORKFLOWS_ENDED).build(),
            conflicts: meter.u64_counter(names::METRIC_APPEND_CONFLICTS).build(),
            redrives: meter.u64_counter(names::METRIC_REDRIVES).build(),
            refused: meter.u64_counter(names::METRIC_REFUSED).build(),
        }
    }
}

/// A message was sent; `template` is its subject without ids: `task.db.migrate`, `in.db`.
pub fn sent(template: &str) {
    let to = KeyValue::new(names::MESSAGING_DESTINATION_TEMPLATE, template.to_owned());
    METERS.sent.add(1, &[to]);
}

/// A message was handled from its arrival to its acknowledgement.
pub fn processed(template: &str, took: Duration) {
    let of = KeyValue::new(names::MESSAGING_DESTINATION_TEMPLATE, template.to_owned());
    METERS.processed.record(took.as_secs_f64(), &[of]);
}

/// A task settled: `done`, `undone`, or the class of its failure.
pub fn task_settled(capability: &str, outcome: &'static str) {
    let capability = KeyValue::new(names::CAPABILITY, capability.to_owned());
    METERS.tasks.add(1, &[capability, KeyValue::new(names::OUTCOME, outcome)]);
}

/// A workflow ended, or an undo failed and it is `stuck`.
pub fn workflow_ended(how: &'static str) {
    METERS.ended.add(1, &[KeyValue::new(names::OUTCOME, how)]);
}

/// A compare-and-append race was lost.
pub fn append_conflict() {
    METERS.conflicts.add(1, &[]);
}

/// The re-drive pass sent this many tasks again.
pub fn redriven(tasks: usize) {
    METERS.redrives.add(u64::try_from(tasks).unwrap_or(u64::MAX), &[]);
}

/// A message was refused: `buried` for what cannot be read or is not its sender's to say,
/// `not_its_own` for a report of another's task, `no_reply_subject` for one that wants its answer
/// where nobody waits for answers.
pub fn refused(reason: &'static str) {
    METERS.refused.add(1, &[KeyValue::new(names::REASON, reason)]);
}
