//! The table in words: which servers there are, and how much each should get.

use std::{collections::BTreeSet, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// Servers of one proxy: two revisions of a service on one machine, with room to spare. Bounds the
/// schedule together with [`WEIGHT_MAX`].
pub const SERVERS_MAX: usize = 64;

/// Heaviest server, as in HAProxy. Finer shares than 1 in 256 are not seen by anybody.
pub const WEIGHT_MAX: u16 = 256;

/// Characters of a server's name; it stands in file names and in HAProxy's commands.
const NAME_MAX_CHARS: usize = 80;

/// One process behind the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Of the operator's choosing: `v2-0`.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the sum of all weights; 0 finishes what it has and gets nothing new.
    pub weight: u16,
}

/// All servers of a proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    /// In the order they take turns.
    pub servers: Vec<Server>,
}

/// Why a table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoutes {
    /// More servers than [`SERVERS_MAX`].
    #[error("{0} servers, at most {SERVERS_MAX}")]
    TooMany(usize),
    /// A name that is no name.
    #[error("{0:?}: use 1 to {NAME_MAX_CHARS} of a-z A-Z 0-9 . _ -")]
    Name(String),
    /// A name or an address that stands twice.
    #[error("{0} stands there twice")]
    Twice(String),
    /// Heavier than [`WEIGHT_MAX`].
    #[error("{name}: weight {weight}, at most {WEIGHT_MAX}")]
    Weight {
        /// Of which server.
        name: String,
        /// What was asked for.
        weight: u16,
    },
}

impl Routes {
    /// Refuses a table that cannot be followed.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), InvalidRoutes> {
        if self.servers.len() > SERVERS_MAX {
            return Err(InvalidRoutes::TooMany(self.servers.len()));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let mut seen = BTreeSet::new();
        for Server { name, address, weight } in &self.servers {
            if name.is_empty() || name.len() > NAME_MAX_CHARS || !name.chars().all(legal) {
                return Err(InvalidRoutes::Name(name.clone()));
            }
            for once in [name.clone(), address.to_string()] {
                if !seen.insert(once.clone()) {
                    return Err(InvalidRoutes::Twice(once));
                }
            }
            if *weight > WEIGHT_MAX {
                return Err(InvalidRoutes::Weight { name: name.clone(), weight: *weight });
            }
        }
        Ok(())
    }
}

/// The table in force with what was seen of each server since it came into the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// In the order of the table.
    pub servers: Vec<ServerReport>,
}

/// One server and what was seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerReport {
    /// Of the operator's choosing.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share.
    pub weight: u16,
    /// Requests that it was given and whose answer is not yet with the customer.
    pub in_flight: u64,
    /// Requests that were answered, or failed.
    pub requests: u64,
    /// Of these: no answer, or one with a status of 500 and above.
    pub errors: u64,
    /// Microseconds to the heads of all answers together.
    pub busy_us: u64,
}

impl Report {
    /// The table alone.
    pub fn routes(&self) -> Routes {
        let server = |s: &ServerReport| Server {
            name: s.name.clone(),
            address: s.address,
            weight: s.weight,
        };
        Routes { servers: self.servers.iter().map(server).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, port: u16, weight: u16) -> Server {
        Server { name: name.to_owned(), address: ([127, 0, 0, 1], port).into(), weight }
    }

    #[test]
    fn a_table_that_cannot_be_followed_is_refused() {
        let many = (0..=SERVERS_MAX as u16).map(|n| server(&format!("s{n}"), 1_000 + n, 1));
        let cases = [
            (vec![], None),
            (vec![server("v1-0", 1, 0), server("v2-0", 2, WEIGHT_MAX)], None),
            (vec![server("v1 0", 1, 1)], Some("\"v1 0\": use 1 to 80 of a-z A-Z 0-9 . _ -")),
            (vec![server("", 1, 1)], Some("\"\": use 1 to 80 of a-z A-Z 0-9 . _ -")),
            (vec![server("a", 1, 1), server("a", 2, 1)], Some("a stands there twice")),
            (vec![server("a", 1, 1), server("b", 1, 1)], Some("127.0.0.1:1 stands there twice")),
            (vec![server("a", 1, 257)], Some("a: weight 257, at most 256")),
            (many.collect(), Some("65 servers, at most 64")),
        ];
        for (servers, problem) in cases {
            let found = Routes { servers }.check().err().map(|e| e.to_string());
            assert_eq!(found.as_deref(), problem);
        }
    }
}
