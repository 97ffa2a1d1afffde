//! What happens, told as it happens: one reader of the log for everybody who watches, the last of
//! it kept for whoever comes a moment later, and nothing held for anybody in particular.
//!
//! A watcher is a place in the log and a socket. Who is too slow for what is kept reads on from the
//! log, a page at a time; who takes nothing at all is cut off by the connection.

mod frame;
mod hub;
mod ring;
mod stream;
mod topic;

pub(crate) use frame::Decided;
pub(crate) use hub::{Hub, Seat, Watched};
pub(crate) use stream::stream;
