//! What is counted, and where the counts go: through the process's meter provider to OTLP and
//! to a page of the process itself, or nowhere when neither is configured. All instruments in one place, made once.

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter, UpDownCounter},
};

use crate::names;

/// Where the semantic conventions of OpenTelemetry cut durations in seconds; the library's own bounds
/// are for milliseconds.
const DURATIONS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

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
    requests: Histogram<f64>,
    turned_away: Counter<u64>,
    streams: UpDownCounter<i64>,
    cut: Counter<u64>,
}

impl Meters {
    fn make() -> Self {
        let meter = opentelemetry::global::meter("deadelus");
        Self {
            sent: meter.u64_counter(names::METRIC_SENT_MESSAGES).build(),
            processed: seconds(&meter, names::METRIC_PROCESS_DURATION),
            tasks: meter.u64_counter(names::METRIC_TASKS).build(),
            ended: meter.u64_counter(names::METRIC_WORKFLOWS_ENDED).build(),
            conflicts: meter.u64_counter(names::METRIC_APPEND_CONFLICTS).build(),
            redrives: meter.u64_counter(names::METRIC_REDRIVES).build(),
            refused: meter.u64_counter(names::METRIC_REFUSED).build(),
            requests: seconds(&meter, names::METRIC_HTTP_DURATION),
            turned_away: meter.u64_counter(names::METRIC_REQUESTS_REFUSED).build(),
            streams: meter.i64_up_down_counter(names::METRIC_STREAMS_OPEN).build(),
            cut: meter.u64_counter(names::METRIC_STREAMS_CUT).build(),
        }
    }
}

fn seconds(meter: &Meter, name: &'static str) -> Histogram<f64> {
    meter.f64_histogram(name).with_unit("s").with_boundaries(DURATIONS_S.to_vec()).build()
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

/// A request over HTTP was answered; `route` is its path with the variables named.
pub fn request_answered(method: &str, route: &str, status: u16, took: Duration) {
    let of = [
        KeyValue::new(names::HTTP_METHOD, known_method(method)),
        KeyValue::new(names::HTTP_ROUTE, route.to_owned()),
        KeyValue::new(names::HTTP_STATUS, i64::from(status)),
    ];
    METERS.requests.record(took.as_secs_f64(), &of);
}

/// A request was refused before anybody looked at what it wants: `no_token`, `role`, `rate`.
pub fn request_refused(reason: &'static str) {
    METERS.turned_away.add(1, &[KeyValue::new(names::REASON, reason)]);
}

/// One event stream more, or one less.
pub fn streams_open(change: i64) {
    METERS.streams.add(change, &[]);
}

/// A connection was cut because its other end took nothing.
pub fn stream_cut() {
    METERS.cut.add(1, &[]);
}

/// What anybody can make up is no label.
fn known_method(method: &str) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}
