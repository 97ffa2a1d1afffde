//! What a proxy saw, ours or another.

use std::net::SocketAddr;

use deadelus_proxy::{Routes, Server};
use serde::{Deserialize, Serialize};

/// The table in force with what was seen of each server since it came into the table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) servers: Vec<ServerReport>,
}

/// One server and what was seen of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServerReport {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) weight: u16,
    /// Requests whose answer is not yet with the customer.
    pub(crate) in_flight: u64,
    /// Requests that were answered, or failed.
    pub(crate) requests: u64,
    /// Of these: no answer, or one with a status of 500 and above.
    pub(crate) errors: u64,
    pub(crate) spent: Spent,
}

/// How long its answers took, to their heads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spent {
    /// Microseconds for all requests together.
    TotalUs(u64),
    /// Milliseconds on average over the last requests; none before the first one.
    RecentMs(Option<f64>),
}

impl Report {
    /// The table alone.
    pub(crate) fn routes(&self) -> Routes {
        let server = |s: &ServerReport| Server {
            name: s.name.clone(),
            address: s.address,
            weight: s.weight,
        };
        Routes { servers: self.servers.iter().map(server).collect() }
    }
}
