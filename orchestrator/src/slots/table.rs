//! One lock's or limit's slots, as a plain value: who has one, who waits, who is next.

use deadelus_core::Claim;
use deadelus_proto::{Malformed, TaskKey, pb};

/// Who may wait for one slot; more of them ask again every few seconds.
const WAITERS_MAX: usize = 1_024;

/// The holders and the waiters of one slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Who has one: at most as many as there are, unless the limit was lowered since.
    pub holders: Vec<Place>,
    /// Who waits, in the order in which they are served.
    pub waiters: Vec<Place>,
}

/// An attempt at a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Which.
    pub key: TaskKey,
    /// Since when it waits, or waited, in milliseconds since the epoch.
    pub since_unix_ms: i64,
    /// The least is served first.
    pub rank_ms: i64,
    /// The replica that asked last.
    pub by: String,
}

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has one.
    Has,
    /// Others are before it.
    Waits,
}

impl Table {
    /// A replica asks for one of `slots`; who asks again has or keeps the place.
    pub fn ask(&mut self, claim: &Claim, by: &str, slots: usize) -> Turn {
        let named = |place: &Place| place.key.is_same_task(&claim.key);
        if let Some(holder) = self.holders.iter_mut().find(|place| named(place)) {
            // What a task has between two tries it has for the next one.
            holder.key.clone_from(&claim.key);
            by.clone_into(&mut holder.by);
        } else {
            self.waiters.retain(|place| !named(place));
            let (since_unix_ms, rank_ms) = (claim.since_unix_ms, claim.rank_ms);
            let (key, by) = (claim.key.clone(), by.to_owned());
            let place = Place { key, since_unix_ms, rank_ms, by };
            let at = self.waiters.partition_point(|other| other.order() <= place.order());
            self.waiters.insert(at, place);
            self.waiters.truncate(WAITERS_MAX);
        }
        self.serve(slots);
        if self.holders.iter().any(named) { Turn::Has } else { Turn::Waits }
    }

    /// Gives up what it has, or its place; the next one has it then. Whether anything changed: where
    /// another replica has asked since, it knows better.
    pub fn leave(&mut self, key: &TaskKey, by: &str, slots: usize) -> bool {
        let own = self.places().any(|place| place.key == *key && place.by == by);
        if own {
            self.put_out(key, slots);
        }
        own
    }

    /// Somebody has no use for what it has.
    pub fn put_out(&mut self, key: &TaskKey, slots: usize) {
        self.holders.retain(|place| place.key != *key);
        self.waiters.retain(|place| place.key != *key);
        self.serve(slots);
    }

    /// Everybody who is there.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.holders.iter().chain(&self.waiters)
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty() && self.waiters.is_empty()
    }

    fn serve(&mut self, slots: usize) {
        let free = slots.saturating_sub(self.holders.len()).min(self.waiters.len());
        self.holders.extend(self.waiters.drain(..free));
    }
}

impl Place {
    fn order(&self) -> (i64, &TaskKey) {
        (self.rank_ms, &self.key)
    }
}

impl TryFrom<pb::SlotTable> for Table {
    type Error = Malformed;

    fn try_from(table: pb::SlotTable) -> Result<Self, Malformed> {
        let places = |places: Vec<pb::SlotPlace>| {
            places.into_iter().map(Place::try_from).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { holders: places(table.holders)?, waiters: places(table.waiters)? })
    }
}

impl TryFrom<pb::SlotPlace> for Place {
    type Error = Malformed;

    fn try_from(place: pb::SlotPlace) -> Result<Self, Malformed> {
        let key =
            TaskKey::from_pb(&place.workflow_id, &place.task_id, place.direction, place.attempt)?;
        let (since_unix_ms, rank_ms) = (place.since_unix_ms, place.rank_ms);
        Ok(Self { key, since_unix_ms, rank_ms, by: place.by })
    }
}

impl From<Place> for pb::SlotPlace {
    fn from(place: Place) -> Self {
        let Place { key, since_unix_ms, rank_ms, by } = place;
        Self {
            workflow_id: key.workflow.into(),
            task_id: key.task.into(),
            direction: key.direction.to_pb().into(),
            attempt: key.attempt,
            since_unix_ms,
            rank_ms,
            by,
        }
    }
}

impl Table {
    /// For the bucket.
    pub fn to_pb(&self, slot: &str) -> pb::SlotTable {
        let places = |places: &[Place]| places.iter().cloned().map(Into::into).collect();
        let (holders, waiters) = (places(&self.holders), places(&self.waiters));
        pb::SlotTable { slot: slot.to_owned(), holders, waiters }
    }
}

#[cfg(test)]
mod tests {
    use deadelus_core::Slot;
    use deadelus_proto::Direction;

    use super::*;

    fn claim(workflow: &str, rank_ms: i64) -> Claim {
        let (workflow, task) = (workflow.parse().unwrap(), "a".parse().unwrap());
        let key = TaskKey { workflow, task, direction: Direction::Do, attempt: 1 };
        let slots = vec![Slot::Lock("x".to_owned())];
        Claim { key, slots, ticket: Some(1), since_unix_ms: 5, rank_ms }
    }

    fn names(places: &[Place]) -> Vec<&str> {
        places.iter().map(|place| place.key.workflow.as_str()).collect()
    }

    #[test]
    fn who_waits_is_served_by_rank_and_nobody_is_put_out_for_another() {
        let mut table = Table::default();
        assert_eq!(table.ask(&claim("one", 50), "one", 1), Turn::Has);
        assert_eq!(table.ask(&claim("late", 90), "one", 1), Turn::Waits);
        assert_eq!(table.ask(&claim("early", 10), "one", 1), Turn::Waits);
        assert_eq!(names(&table.waiters), ["early", "late"]);
        assert_eq!(table.ask(&claim("one", 50), "one", 1), Turn::Has, "asked again");
        assert!(!table.leave(&claim("one", 50).key, "other", 1), "another asked last");
        assert!(table.leave(&claim("one", 50).key, "one", 1));
        assert_eq!((names(&table.holders), names(&table.waiters)), (vec!["early"], vec!["late"]));
        assert!(!table.leave(&claim("one", 50).key, "one", 1), "said twice");
    }

    #[test]
    fn a_limit_has_as_many_as_it_says_and_a_lower_one_puts_nobody_out() {
        let mut table = Table::default();
        for (workflow, rank) in [("a", 1), ("b", 2), ("c", 3)] {
            table.ask(&claim(workflow, rank), "one", 2);
        }
        assert_eq!((names(&table.holders), names(&table.waiters)), (vec!["a", "b"], vec!["c"]));
        assert_eq!(table.ask(&claim("a", 1), "one", 1), Turn::Has);
        table.leave(&claim("a", 1).key, "one", 1);
        assert_eq!(names(&table.holders), ["b"], "there is one now");
        table.leave(&claim("b", 2).key, "one", 1);
        assert_eq!(names(&table.holders), ["c"]);
    }

    #[test]
    fn a_table_survives_its_bytes() {
        let mut table = Table::default();
        table.ask(&claim("a", 1), "one", 1);
        table.ask(&claim("b", -2), "one", 1);
        assert_eq!(Table::try_from(table.to_pb("lock x")), Ok(table));
    }
}
