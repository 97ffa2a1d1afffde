//! The proxy before a fleet, ours or a foreign one, behind one trait.
//!
//! A proxy is told which servers there are and how much each gets; it is asked what is in force and
//! what it saw. When to tell it what is decided elsewhere.

mod haproxy;
mod own;
mod report;
pub(crate) mod table;

use std::{fmt, future::Future, pin::Pin};

use deadelus_proxy::Routes;
use deadelus_runtime::Failure;

pub(crate) use haproxy::Haproxy;
pub(crate) use own::Own;
pub(crate) use report::{Report, ServerReport, Spent};

/// What a proxy answers; `unavailable` when it is not there.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A proxy that can change over without losing a request.
pub(crate) trait Proxy: fmt::Debug + Send + Sync {
    /// The table in force, and what was seen of each server.
    fn report(&self) -> Answer<'_, Report>;

    /// Puts a table in force. Once this returns, a server with weight 0 gets nothing new. Doing it
    /// twice is the same as once.
    fn replace<'a>(&'a self, routes: &'a Routes) -> Answer<'a, ()>;
}
