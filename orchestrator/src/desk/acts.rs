//! What a desk is brought and what it asks for: the seam between deciding and doing.

use deadelus_core::{Chain, Claim, Entry, Event, Input};
use deadelus_mesh::{MeshError, append::Appended};
use deadelus_proto::{SpecialistName, TaskKey, pb};

/// Something to decide.
#[derive(Debug)]
pub struct Letter<T> {
    /// The bringer's own.
    pub ticket: T,
    /// Whose permission it was sent under.
    pub from: SpecialistName,
    /// The sender's id of it.
    pub id: String,
    /// What it says.
    pub input: Input,
    /// Whether it came before: perhaps the one who decided it died before dispatching.
    pub redelivered: bool,
    /// Whether its sender waits for the answer, and does nothing before.
    pub asked: bool,
}

/// What happens to a desk.
#[derive(Debug)]
pub enum Fact<T> {
    /// A letter has come.
    Letter(Letter<T>),
    /// [`Act::Read`] is done.
    Read(Box<Chain>),
    /// [`Act::Append`] is over.
    Appended(Result<Appended, MeshError>),
    /// The stream has the assignment that an [`Act::Send`] asked for.
    Sent(TaskKey),
    /// Whether the list has the oldest line that [`Act::Show`] asked for.
    Shown(bool),
    /// A worker has this attempt in hand.
    Beat(TaskKey),
    /// All the slots are there that this attempt waited for by this word of [`Act::Claim`].
    Slots(TaskKey, u64),
    /// The connection is another one: what was said into the old one may be lost.
    Reconnected,
    /// The moment of [`wake_at`](super::Desk::wake_at) has come.
    Time,
}

/// What has to be done now, in this order.
#[derive(Debug)]
pub enum Act<T> {
    /// Read the whole log into this; until it can be read, and holds what is known to be there.
    Read(Box<Chain>),
    /// Append the decision if `expected` is the sequence of the subject's last message.
    Append {
        /// What was decided.
        entry: Entry,
        /// What it builds on, physically.
        expected: u64,
    },
    /// Tell operators: the log has these events now.
    Tell {
        /// What happened.
        events: Vec<Event>,
        /// Whether the workflow was stuck before.
        was_stuck: bool,
    },
    /// Keep the list true: who comes next takes up what it says. To be followed by [`Fact::Shown`].
    Show(pb::WorkflowSummary),
    /// This is what it has and wants of the slots from now on; what it no longer names is given back.
    /// To be followed by [`Fact::Slots`] for each wait, once it is over: also if it was over before.
    Claim(u64, Vec<Claim>),
    /// Hand the assignment of this attempt to the stream.
    Send(TaskKey, Sending),
    /// Answer the letter, with what is wrong with it if anything is, and acknowledge it.
    Finish(T, Vec<String>),
    /// Answer the letter: what it says is about to begin is not to begin.
    GivenUp(T),
    /// Somebody else was faster: hand the letter in again.
    Again(T),
    /// Leave the letter alone: unanswered, it comes again.
    Leave(T),
}

/// How an assignment is handed to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// The first time, as far as anybody knows. The stream drops it if it remembers it, and nobody
    /// waits to hear that it was stored: what is lost here the re-drive finds as what is lost later.
    First,
    /// Perhaps once more, because somebody else may have died over it: the stream drops it if it
    /// remembers it. To be followed by [`Fact::Sent`].
    Once,
    /// Though the stream may remember it: what it remembers may be lost all the same. To be followed
    /// by [`Fact::Sent`].
    Again,
}

/// When something happens at a desk.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Milliseconds since the epoch.
    pub unix_ms: i64,
    /// Never the same twice in the life of a process.
    pub nonce: u64,
}
