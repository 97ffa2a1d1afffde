//! What a bus, its server and the processes on it may do, each a switch of its own.

use std::fmt;

use fastrand::Rng;

/// What goes wrong, each in percent of the chances it has; 0 is off. What befalls a process or the
/// server has a chance every [`CHANCE_EVERY_MS`].
///
/// All of them leave the mesh right and live, except the last two, which no server that is supported
/// does: with those a damaged log has to be noticed, no more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// A stream stores a message, or takes an acknowledgement, and nobody hears of it.
    pub lost_ack: u8,
    /// A message on core NATS, or one on its way to a stream, is lost.
    pub lost_message: u8,
    /// A message is delivered to two consumers, or published twice.
    pub duplicate: u8,
    /// Messages overtake each other by up to a second.
    pub reorder: u8,
    /// A leader from before says who won a place by what it knew then. Whole logs are never stale
    /// here: a desk that refuses a report, or forgets a workflow, by a log from before would be wrong.
    pub stale_read: u8,
    /// An acknowledgement arrives after the message went to somebody else.
    pub late_ack: u8,
    /// A work queue forgets the ids it has seen.
    pub dedupe_loss: u8,
    /// A server that has no leader, or another append in flight, says so; now and then it stored.
    pub not_now: u8,
    /// A consumer takes longer than `ack_wait` to look at what it was delivered.
    pub slow_consumer: u8,
    /// One process is cut off for a while.
    pub partition: u8,
    /// The server is away for a while.
    pub server_restart: u8,
    /// A process dies, and another takes its place after a while.
    pub crash: u8,
    /// A process stops for longer than `ack_wait`, and goes on as if nothing had been (SIGSTOP).
    pub pause: u8,
    /// The clocks of the processes differ by up to this many tenths of a second.
    pub clock_skew: u8,
    /// Specialists fail, are slow, are unsure; people say no, cancel and undo.
    pub trouble: u8,
    /// Two appends are let in for one expected sequence.
    pub double_winner: u8,
    /// Acknowledged messages at the end of the log vanish.
    pub lost_tail: u8,
}

/// How often a process or the server has a chance of something befalling it.
pub(crate) const CHANCE_EVERY_MS: i64 = 2_000;

type Field = (&'static str, fn(&mut Quirks) -> &mut u8);

/// Every quirk that a supported server and honest processes may show.
const HONEST: [Field; 15] = [
    ("lost_ack", |q| &mut q.lost_ack),
    ("lost_message", |q| &mut q.lost_message),
    ("duplicate", |q| &mut q.duplicate),
    ("reorder", |q| &mut q.reorder),
    ("stale_read", |q| &mut q.stale_read),
    ("late_ack", |q| &mut q.late_ack),
    ("dedupe_loss", |q| &mut q.dedupe_loss),
    ("not_now", |q| &mut q.not_now),
    ("slow_consumer", |q| &mut q.slow_consumer),
    ("partition", |q| &mut q.partition),
    ("server_restart", |q| &mut q.server_restart),
    ("crash", |q| &mut q.crash),
    ("pause", |q| &mut q.pause),
    ("clock_skew", |q| &mut q.clock_skew),
    ("trouble", |q| &mut q.trouble),
];

const BROKEN: [Field; 2] =
    [("double_winner", |q| &mut q.double_winner), ("lost_tail", |q| &mut q.lost_tail)];

impl Quirks {
    /// Some of what a supported server and honest processes may show, more or less of it.
    pub fn random(rng: &mut Rng) -> Self {
        let mut quirks = Self::default();
        if rng.u8(0..8) == 0 {
            return quirks;
        }
        for (_, field) in HONEST {
            if rng.bool() {
                *field(&mut quirks) = [2, 8, 25][rng.usize(0..3)];
            }
        }
        quirks
    }

    /// Whether the server keeps what it promises.
    pub fn are_honest(&self) -> bool {
        self.double_winner == 0 && self.lost_tail == 0
    }
}

impl fmt::Display for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = *self;
        let mut words = vec![];
        for (name, field) in HONEST.into_iter().chain(BROKEN) {
            let percent = *field(&mut copy);
            if percent > 0 {
                words.push(format!("{name}={percent}"));
            }
        }
        f.write_str(if words.is_empty() { "no quirks" } else { "" })?;
        f.write_str(&words.join(" "))
    }
}
