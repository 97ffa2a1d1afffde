//! What the shell is asked to do.

use deadelus_proto::TaskKey;

/// A wish of the core. Its identity is its content: saying it twice is saying it once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "a command that nobody carries out leaves the workflow hanging"]
pub enum Command {
    /// Hand the assignment of this attempt to its specialist.
    Dispatch(TaskKey),
    /// Come back with a tick at this moment, in milliseconds since the epoch.
    WakeAt(i64),
}
