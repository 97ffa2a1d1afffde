//! Processes of revisions: started, found again, stopped.
//!
//! What is true stands on the disk and in the table of processes, never in memory: a specialist
//! that is started again, or another replica on the same machine, sees what this one saw.

pub(crate) mod holder;
mod identity;
mod note;
mod supervisor;

pub(crate) use note::Instance;
pub(crate) use supervisor::{Launch, State, Supervisor};
