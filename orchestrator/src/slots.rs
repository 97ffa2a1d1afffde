//! Who has a slot of what is locked or limited, across workflows and replicas.
//!
//! One entry per slot, changed by compare-and-set: its holders, and who waits, in order. Whoever
//! leaves makes the next one a holder in the same write, so nobody has to count or to be woken for
//! anything to be right. An entry is never believed against a log: a holder whose workflow neither has
//! the attempt in flight nor waits to start it is put out by whoever finds it.

mod bucket;
mod keeper;
mod table;

pub use bucket::{Slots, list};
pub(crate) use keeper::{Keeper, Wishes};
pub use table::{Place, Table, Turn};
