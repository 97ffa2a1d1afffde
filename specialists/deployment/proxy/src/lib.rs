//! A reverse proxy for HTTP/1.1 that changes over between revisions of a service without a request
//! lost.
//!
//! It listens on one address and passes each request on to one of its servers, by weight. The whole
//! table of servers is replaced in one step, over a control socket that only its owner can open. A
//! server whose weight is 0 gets nothing new and finishes what it has in hand; the report says when
//! that is. The table is kept in a file, so that a proxy that is started again goes on as it was.
//!
//! It must never do work that a service should do: it looks at no body, keeps no cache, and knows
//! nothing of the mesh. Upgrades (web sockets) are not passed on. A request is sent again only when
//! the server cannot have acted on it, or when acting twice is the same as once and there is no
//! body: `GET`, `HEAD`, `OPTIONS`.
//!
//! | file | what |
//! |---|---|
//! | `routes.rs` | the table in words: what comes and goes over the control socket |
//! | `schedule.rs` | whose turn it is, exactly by weight; no IO |
//! | `router.rs` | the table in force, and who has how much in hand |
//! | `forward.rs` | one request there, one answer back |
//! | `headers.rs` | what of a head is for the next hop only |
//! | `relay.rs` | the body of an answer, and what its end means |
//! | `serve.rs` | the customers' side: accept, drain |
//! | `control.rs` | the operator's side, and its client |

pub mod control;
mod forward;
mod headers;
mod relay;
mod router;
mod routes;
mod schedule;
mod serve;

pub use router::{Router, StateError};
pub use routes::{InvalidRoutes, Report, Routes, SERVERS_MAX, Server, ServerReport, WEIGHT_MAX};
pub use serve::serve;
