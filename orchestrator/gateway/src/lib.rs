//! The HTTP gateway of the orchestrator: what a person's programs ask and decide, over HTTP.
//!
//! It says on the bus what the command line says, and reads what the command line reads: it has no
//! way into the orchestrator that a process of its own would not have, decides nothing, and keeps
//! nothing but the last events of what somebody watches. It is a crate and not a module of the
//! shell so that this stays so, and because a server for HTTP is what nothing else there needs.
//!
//! Nothing is answered without a token but whether it lives, whether it is ready, and its document.

mod caller;
mod config;
mod doc;
mod events;
mod net;
mod problem;
mod rate;
mod ready;
mod routes;
mod serve;
mod tokens;
mod trace;

pub use config::{Config, GatewayError, Limits, Tls, TokenConfig};
pub use serve::Gateway;
pub use tokens::Role;
