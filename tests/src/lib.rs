//! What live tests share: real servers and real processes, started and killed.
//!
//! It depends on no crate of the mesh, so that any of them may use it in its tests. Nothing that
//! it starts outlives the test process, however that ends.

pub mod fleet;
pub mod folder;
pub mod killed;
pub mod nats;
pub mod oracles;
pub mod otlp;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod shipped;
pub mod wire;
