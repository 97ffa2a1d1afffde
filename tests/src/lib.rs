//! What live tests share: real servers, started and killed.
//!
//! It depends on no crate of the mesh, so that any of them may use it in its tests.

pub mod nats;
pub mod otlp;
