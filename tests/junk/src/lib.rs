//! Junk for everything that reads what others wrote: the wire, logs, plan files, expressions.
//!
//! [`READERS`] is the list of what reads. Each takes any bytes and either reads them or says what is
//! wrong with them in a sentence of bounded length; it never panics, and what it read it can write
//! and read again. The tests of this crate mutate valid samples ([`mutate`]) and send hostile texts
//! through a process of bounded memory and processor time; `tests/fuzz` lets a fuzzer guide the
//! mutations by the coverage they reach. Nothing here talks to a server.

pub mod mutate;
mod readers;
pub mod samples;

/// Characters of what a reader may say of junk: a person reads it, and an answer must fit a message.
/// A hundred problems of a plan, each with its place.
pub const COMPLAINT_MAX_CHARS: usize = 100 * 700;

/// Something that reads what others wrote.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// As the tests and the fuzzer call it.
    pub name: &'static str,
    /// Reads bytes; what is wrong with them otherwise.
    pub read: fn(&[u8]) -> Result<(), String>,
    /// Bytes that are read without complaint, to begin mutations from.
    pub samples: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const READERS: [Reader; 11] = [
    Reader { name: "inbound", read: readers::inbound, samples: samples::inbound },
    Reader { name: "assignment", read: readers::assignment, samples: samples::assignments },
    Reader { name: "heartbeat", read: readers::heartbeat, samples: samples::heartbeats },
    Reader { name: "card", read: readers::card, samples: samples::card },
    Reader { name: "wish", read: readers::wish, samples: samples::wishes },
    Reader { name: "blueprint", read: readers::blueprint, samples: samples::blueprints },
    Reader { name: "log", read: readers::log, samples: samples::logs },
    Reader { name: "subject", read: readers::subject, samples: samples::subjects },
    Reader { name: "plan", read: readers::plan, samples: samples::plans },
    Reader { name: "checked-plan", read: readers::checked_plan, samples: samples::checked_plans },
    Reader { name: "expression", read: readers::expression, samples: samples::expressions },
];

/// The reader of a name.
pub fn reader(name: &str) -> Option<Reader> {
    READERS.into_iter().find(|reader| reader.name == name)
}
