//! What every specialist is made of: the contract of a capability, and the loop that honours it.
//!
//! A specialist implements [`ReadCapability`] or [`ChangeCapability`] for each thing it can do and
//! hands them to a [`Specialist`]. The runtime validates inputs, makes the way back durable before
//! an effect begins, reconciles after a crash, measures, reports, and only then acknowledges.
//! It never decides what happens next: that is the orchestrator's.

mod announce;
mod assignment;
pub mod capability;
pub mod config;
pub mod context;
pub mod file;
mod fingerprint;
mod hand;
mod ledger;
mod process;
mod report;
pub mod sarif;
mod schema;
pub mod source;
pub mod specialist;
mod targets;
mod tree;
mod work;
mod worker;

pub use capability::{
    About, ChangeCapability, Found, Measured, Prepared, ReadCapability, UndoPromise,
};
pub use context::{Cancel, Context};
pub use deadelus_mesh::{blocking, config::Secret, objects::sha256};
pub use deadelus_proto::{
    Aftermath, Artefact, CapabilityName, Check, Effect, ErrorClass, Failure, Hazard, Idempotency,
    TargetCard, TargetName, Undo, UndoClass, canonical,
};
pub use fingerprint::fingerprint;
pub use process::main;
pub use source::{InFolder, Inline, Source, Text, invalid};
pub use specialist::Specialist;
pub use targets::{InvalidTarget, Problem, Targets};
