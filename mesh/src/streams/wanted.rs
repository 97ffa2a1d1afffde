//! What each stream is like, as plain values.
//!
//! A stream's size is reserved on the server's disk when it is created, so the defaults together
//! stay below 4 GiB; an operator with more to keep raises them (`nats stream edit --max-bytes`).

use std::time::Duration;

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, RetentionPolicy, StorageType,
};
use deadelus_proto::{
    Role, Subjects,
    limits::{LEASE_FOR, MESSAGE_MAX_BYTES},
};

/// Assignments, a work queue.
pub const TASKS: &str = "TASKS";
/// What reaches the orchestrator, a work queue.
pub const INBOX: &str = "INBOX";
/// The truth: one message per decision.
pub const LOG: &str = "LOG";
/// What nobody could handle, with the reason.
pub const DEAD: &str = "DEAD";
/// The server's own word on messages that were given up.
pub const ADVISORIES: &str = "ADVISORIES";
/// Bucket: specialists' cards, by specialist.
pub const CARDS: &str = "CARDS";
/// Bucket: the effect ledger.
pub const LEDGER: &str = "LEDGER";
/// Bucket: how workflows stand, for lists; a projection of [`LOG`].
pub const WORKFLOWS: &str = "WORKFLOWS";
/// Bucket: plans that were brought and wait for answers, by draft.
pub const DRAFTS: &str = "DRAFTS";
/// Bucket: which replica of the orchestrator looks after which partition; entries vanish when they
/// are not renewed.
pub const LEASES: &str = "LEASES";
/// Bucket: who has the slots of what is locked or limited, and who waits for them.
pub const SLOTS: &str = "SLOTS";
/// Object store: bytes by their digest.
pub const ARTEFACTS: &str = "ARTEFACTS";

/// What an operator may change without being contradicted, as the server's API spells it: how
/// much, for how long, where, how packed.
pub const OPERATORS_FIELDS: [&str; 8] = [
    "max_bytes",
    "max_age",
    "max_msgs",
    "max_msg_size",
    "placement",
    "compression",
    "description",
    "metadata",
];

/// The server counts headers as part of a message: trace context, expectation, decision id.
const HEADERS_MAX_BYTES: usize = 8 * 1024;

const MIB: i64 = 1024 * 1024;

/// Waiting assignments are at most 128 KiB each; more waiting work than this is a fault.
const TASKS_MAX_BYTES: i64 = 256 * MIB;

/// A start carries a plan of up to 512 KiB; reports are small.
const INBOX_MAX_BYTES: i64 = 256 * MIB;

/// Some 50,000 workflows of 20 KiB, open or not yet archived.
const LOG_MAX_BYTES: i64 = 1_024 * MIB;

/// Dead letters are for reading soon.
const DEAD_MAX_BYTES: i64 = 32 * MIB;
const DEAD_MAX_AGE: Duration = Duration::from_hours(30 * 24);

/// An advisory is about 500 bytes.
const ADVISORIES_MAX_BYTES: i64 = 16 * MIB;
const ADVISORIES_MAX_AGE: Duration = Duration::from_hours(7 * 24);

/// A card is a few dozen KiB, one per specialist.
const CARDS_MAX_BYTES: i64 = 16 * MIB;

/// An entry holds an undo record and outputs of up to 128 KiB, usually 1 KiB. Kept longer than
/// any workflow can redeliver, so that a task done long ago is still known to be done.
const LEDGER_MAX_BYTES: i64 = 256 * MIB;
const LEDGER_MAX_AGE: Duration = Duration::from_hours(90 * 24);

/// A line is 1 KiB at most, half of it usually: room for more than 100,000.
const WORKFLOWS_MAX_BYTES: i64 = 128 * MIB;

/// A plan is some 20 KiB, at most 512: a thousand people may be asked at once.
const DRAFTS_MAX_BYTES: i64 = 32 * MIB;
/// Whoever has not answered within two weeks brings the plan again.
const DRAFTS_MAX_AGE: Duration = Duration::from_hours(14 * 24);

/// A lease is a name.
const LEASES_MAX_BYTES: i64 = MIB;

/// An entry names its holders and up to 1,024 that wait, some 100 bytes each.
const SLOTS_MAX_BYTES: i64 = 16 * MIB;

/// One of eight: together they are as large as the one they take the place of.
const LEDGER_OF_ONE_MAX_BYTES: i64 = LEDGER_MAX_BYTES / 8;

/// Evidence, change-sets, and the archived logs of as many workflows as [`LOG`] holds.
const ARTEFACTS_MAX_BYTES: i64 = 2_048 * MIB;

/// The shortest window the server takes without complaint about its own default; identifiers are
/// an optimisation on [`TASKS`] only.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// Everything a mesh needs, in the order in which it is made.
///
/// Where there are roles (`confined`) each specialist has a ledger of its own, because whoever may
/// read one key of a bucket may read all. And nothing that several write takes `Nats-Rollup`, by
/// which one message empties the stream, nor answers direct reads, by which the server sends what a
/// thief has stored to a subject that the thief may not write.
pub(super) fn all(subjects: &Subjects, replicas: usize, confined: bool) -> Vec<Config> {
    let mut all = shared(subjects, replicas);
    if !confined {
        return all;
    }
    let shared_ledger = super::under(subjects, LEDGER);
    all.retain(|config| config.name != shared_ledger);
    for config in &mut all {
        (config.allow_rollup, config.allow_direct) = (false, false);
    }
    let specialists = Role::all();
    let ledgers = specialists.iter().filter_map(Role::specialist).map(|name| Config {
        max_age: LEDGER_MAX_AGE,
        ..bucket(
            &subjects.resource(&super::ledger_of(name)),
            base(LEDGER_OF_ONE_MAX_BYTES, replicas),
        )
    });
    all.extend(ledgers);
    all
}

fn shared(subjects: &Subjects, replicas: usize) -> Vec<Config> {
    let name = |name: &str| subjects.resource(name);
    let base = |max_bytes| base(max_bytes, replicas);
    let bucket = |name: &str, max_bytes| bucket(&subjects.resource(name), base(max_bytes));
    vec![
        Config {
            name: name(TASKS),
            subjects: vec![subjects.all("task")],
            retention: RetentionPolicy::WorkQueue,
            ..base(TASKS_MAX_BYTES)
        },
        Config {
            name: name(INBOX),
            subjects: vec![subjects.all("in")],
            retention: RetentionPolicy::WorkQueue,
            ..base(INBOX_MAX_BYTES)
        },
        Config {
            name: name(LOG),
            subjects: vec![subjects.all("log")],
            // A decision is never taken out alone; a whole workflow may be purged once archived.
            deny_delete: true,
            ..base(LOG_MAX_BYTES)
        },
        Config {
            name: name(DEAD),
            subjects: vec![subjects.all("dead")],
            discard: DiscardPolicy::Old,
            max_age: DEAD_MAX_AGE,
            ..base(DEAD_MAX_BYTES)
        },
        Config {
            name: name(ADVISORIES),
            subjects: advisories(subjects),
            discard: DiscardPolicy::Old,
            max_age: ADVISORIES_MAX_AGE,
            ..base(ADVISORIES_MAX_BYTES)
        },
        Config { allow_direct: true, ..bucket(CARDS, CARDS_MAX_BYTES) },
        // Read before an effect begins: a stale read would do it twice, so the leader answers.
        Config { max_age: LEDGER_MAX_AGE, ..bucket(LEDGER, LEDGER_MAX_BYTES) },
        Config { allow_direct: true, ..bucket(WORKFLOWS, WORKFLOWS_MAX_BYTES) },
        // Answers build on each other: the leader says which were the last.
        Config { max_age: DRAFTS_MAX_AGE, ..bucket(DRAFTS, DRAFTS_MAX_BYTES) },
        Config {
            max_age: LEASE_FOR,
            duplicate_window: LEASE_FOR,
            // After the server's restart they are taken anew.
            storage: StorageType::Memory,
            ..bucket(LEASES, LEASES_MAX_BYTES)
        },
        bucket(SLOTS, SLOTS_MAX_BYTES),
        objects(&name(ARTEFACTS), base(ARTEFACTS_MAX_BYTES)),
    ]
}

/// A file stream that refuses what it cannot hold rather than forget what it has. Reads go to the
/// leader.
fn base(max_bytes: i64, num_replicas: usize) -> Config {
    Config {
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        max_bytes,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: i32::try_from(MESSAGE_MAX_BYTES + HEADERS_MAX_BYTES).unwrap_or(i32::MAX),
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas,
        compression: Some(Compression::None),
        ..Config::default()
    }
}

/// The stream under a key-value bucket, as ADR-8 of NATS lays it out, history 1.
fn bucket(name: &str, base: Config) -> Config {
    Config {
        name: format!("KV_{name}"),
        subjects: vec![format!("$KV.{name}.>")],
        max_messages_per_subject: 1,
        allow_rollup: true,
        deny_delete: true,
        ..base
    }
}

/// The stream under an object store, as ADR-20 of NATS lays it out.
fn objects(name: &str, base: Config) -> Config {
    Config {
        name: format!("OBJ_{name}"),
        subjects: vec![format!("$O.{name}.C.>"), format!("$O.{name}.M.>")],
        allow_rollup: true,
        ..base
    }
}

/// Messages of our two work queues that were delivered too often, or terminated.
fn advisories(subjects: &Subjects) -> Vec<String> {
    let kinds = ["MAX_DELIVERIES", "MSG_TERMINATED"];
    let streams = [subjects.resource(TASKS), subjects.resource(INBOX)];
    let of =
        |kind| streams.iter().map(move |s| format!("$JS.EVENT.ADVISORY.CONSUMER.{kind}.{s}.*"));
    kinds.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_together_on_a_disk_of_four_gibibytes() {
        for confined in [false, true] {
            let all = all(&Subjects::default(), 1, confined);
            let on_disk = all.iter().filter(|config| config.storage == StorageType::File);
            let reserved: i64 = on_disk.map(|config| config.max_bytes).sum();
            assert!(all.len() > 5 && reserved < 4_096 * MIB, "{} MiB", reserved / MIB);
        }
    }
}
