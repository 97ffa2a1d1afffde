//! Who has a slot, for people.

use deadelus_proto::pb::{SlotPlace, SlotTable};

use crate::time;

/// `wf-3/migrate since 12:00:01, wf-4/migrate since 12:00:03`
pub fn holders(table: &SlotTable) -> String {
    if table.holders.is_empty() {
        return "nobody".to_owned();
    }
    table.holders.iter().map(holder).collect::<Vec<_>>().join(", ")
}

/// In one line: who has it, and how many wait.
pub fn line(table: &SlotTable) -> String {
    let holders = holders(table);
    match table.waiters.len() {
        0 => holders,
        n => format!("{holders}; {n} wait"),
    }
}

fn holder(place: &SlotPlace) -> String {
    let since = time::clock(place.since_unix_ms);
    format!("{}/{} since {since}", place.workflow_id, place.task_id)
}
