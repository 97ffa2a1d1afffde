//! The fabric between the processes: NATS, streams, objects, trace context, configuration,
//! telemetry, the life of a process.
//!
//! It moves bytes and names them. It never decides anything about a workflow, never parses a plan
//! and knows no specialist: whoever needs that depends on this crate, not the other way round.

pub mod append;
pub mod archive;
mod blocking;
pub mod clock;
pub mod config;
pub mod connect;
pub mod dead;
mod error;
pub mod leases;
pub mod life;
pub mod lists;
pub mod meters;
pub mod names;
pub mod objects;
pub mod permissions;
pub mod pipeline;
pub mod pull;
pub mod streams;
pub mod telemetry;
pub mod trace;

pub use blocking::blocking;
pub use connect::{Mesh, Reconnects, connect};
pub use error::{MeshError, chain};
