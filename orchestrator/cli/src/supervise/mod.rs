//! Processes on this machine: started once, each in a session of its own, found again by number
//! and birth, stopped in the right order. It knows nothing of workflows and touches only what it
//! has started itself.

pub(crate) mod down;
pub(crate) mod fleet;
pub(crate) mod nats;
pub(crate) mod process;
pub(crate) mod up;
