//! Every bound of the mesh that two processes must agree on, with its reason.

use std::time::Duration;

/// Larger payloads travel by reference: a log message must stay cheap to store, replicate and replay.
pub const INLINE_PAYLOAD_MAX_BYTES: usize = 128 * 1024;

/// Bytes of a task's inputs once every expression in them has its value. A specialist takes no more,
/// whatever an artefact of that name turns out to be.
pub const INPUTS_MAX_BYTES: usize = 1024 * 1024;

/// A plan travels and is logged inline; the server's own message limit is 1 MiB.
pub const PLAN_MAX_BYTES: usize = 512 * 1024;

/// No message of ours comes near the server's default of 1 MiB.
pub const MESSAGE_MAX_BYTES: usize = 900 * 1024;

/// An artefact is evidence for a person or input for the next task, not a backup.
pub const ARTEFACT_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Tasks of one plan.
pub const PLAN_TASKS_MAX: usize = 2_000;

/// A workflow's partition is a hash of its id modulo this; changing it orphans running workflows.
pub const PARTITIONS: u16 = 8;

/// Characters of an id: subjects stay short and file names stay legal.
pub const ID_MAX_CHARS: usize = 64;

/// A worker says this often that it lives; a cancel reaches a task within one beat.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);

/// An assignment nobody acknowledged for this long goes to another worker. Kept alive by
/// in-progress acks every third of it.
pub const TASK_ACK_WAIT: Duration = Duration::from_secs(15);

/// An inbox message whose orchestrator died goes to another after this long.
pub const INBOX_ACK_WAIT: Duration = Duration::from_secs(10);

/// A replica of the orchestrator that is not heard of for this long loses its partitions. Losing
/// one too early costs a race, so it may be short: a take-over takes this and a moment.
pub const LEASE_FOR: Duration = Duration::from_secs(2);

/// A task that killed its worker this many times is poison.
pub const TASK_DELIVERIES_MAX: i64 = 5;

/// Error messages and notes are for reading; evidence goes into artefacts.
pub const MESSAGE_TEXT_MAX_CHARS: usize = 4_000;

/// Assignments of one specialist that all its replicas together hold unacknowledged. The same for
/// every replica, because the consumer is shared.
pub const TASK_ACK_PENDING_MAX: i64 = 4_096;
