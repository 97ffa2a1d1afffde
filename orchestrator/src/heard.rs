//! When something was last heard of each attempt in flight, and of which nothing was for too long.
//! No IO and no clock.

use std::collections::BTreeMap;

use deadelus_proto::TaskKey;

/// A task that was asked for and that no worker has spoken of for this long is sent again. Longer
/// than a restart, shorter than a person's patience.
const SILENT_FOR_MS: i64 = 30_000;
/// The task may only wait in a long queue: each time the silence has to last twice as long, up to
/// this, so that the queue does not grow by what is sent again.
const SILENT_MAX_MS: i64 = 600_000;

/// The signs of life of a workflow's attempts.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    attempts: BTreeMap<TaskKey, Last>,
}

#[derive(Debug)]
struct Last {
    at_unix_ms: i64,
    /// It was handed to the connection, and nothing more is known.
    is_on_its_way: bool,
    /// How long nothing more may be heard before it is sent again.
    patience_ms: i64,
}

impl Heard {
    /// It was decided on, and its assignment goes out unacknowledged.
    pub(crate) fn handed_over(&mut self, key: TaskKey, at_unix_ms: i64) {
        self.attempts.insert(key, Last { is_on_its_way: true, ..Last::at(at_unix_ms) });
    }

    /// A worker spoke of it.
    pub(crate) fn spoken_of(&mut self, key: TaskKey, at_unix_ms: i64) {
        self.attempts.insert(key, Last::at(at_unix_ms));
    }

    /// The stream has its assignment.
    pub(crate) fn sent(&mut self, key: TaskKey, at_unix_ms: i64) {
        let last = self.attempts.entry(key).or_insert(Last::at(at_unix_ms));
        (last.at_unix_ms, last.is_on_its_way) = (at_unix_ms, false);
    }

    /// Whether anything was heard of it.
    pub(crate) fn knows(&self, key: &TaskKey) -> bool {
        self.attempts.contains_key(key)
    }

    /// Those of the attempts in flight that a connection which broke may have taken with it: what was
    /// handed to it long before has arrived, or silence tells.
    pub(crate) fn perhaps_lost(&self, in_flight: Vec<TaskKey>, now_unix_ms: i64) -> Vec<TaskKey> {
        let mut lost = in_flight;
        lost.retain(|key| {
            let last = self.attempts.get(key);
            last.is_some_and(|l| l.is_on_its_way && now_unix_ms - l.at_unix_ms < SILENT_FOR_MS)
        });
        lost
    }

    /// Those of the attempts in flight that are to be sent again. The others are forgotten.
    pub(crate) fn silent(&mut self, in_flight: Vec<TaskKey>, now_unix_ms: i64) -> Vec<TaskKey> {
        self.attempts.retain(|key, _| in_flight.contains(key));
        let mut silent = in_flight;
        silent.retain(|key| {
            self.attempts.get_mut(key).is_none_or(|last| last.is_long_ago(now_unix_ms))
        });
        silent
    }
}

impl Last {
    fn at(at_unix_ms: i64) -> Self {
        Self { at_unix_ms, is_on_its_way: false, patience_ms: SILENT_FOR_MS }
    }

    /// Whether patience is at an end; the next one is longer.
    fn is_long_ago(&mut self, now_unix_ms: i64) -> bool {
        let over = now_unix_ms - self.at_unix_ms >= self.patience_ms;
        if over {
            self.patience_ms = (2 * self.patience_ms).min(SILENT_MAX_MS);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use deadelus_proto::Direction;

    use super::*;

    fn key() -> TaskKey {
        TaskKey {
            workflow: "wf".parse().unwrap(),
            task: "a".parse().unwrap(),
            direction: Direction::Do,
            attempt: 1,
        }
    }

    /// Seconds at which it is sent again, looked at every ten, as the desk does.
    fn sent_again(heard: &mut Heard, seconds: std::ops::Range<i64>) -> Vec<i64> {
        let mut again = vec![];
        for second in seconds.step_by(10) {
            for key in heard.silent(vec![key()], second * 1_000) {
                heard.sent(key, second * 1_000);
                again.push(second);
            }
        }
        again
    }

    #[test]
    fn patience_grows_until_somebody_speaks() {
        let mut heard = Heard::default();
        heard.spoken_of(key(), 0);
        assert_eq!(sent_again(&mut heard, 0..500), [30, 90, 210, 450]);
        heard.spoken_of(key(), 500_000);
        assert_eq!(sent_again(&mut heard, 500..600), [530, 590]);
    }

    #[test]
    fn what_a_broken_connection_may_have_taken_with_it() {
        let mut heard = Heard::default();
        let lost = |heard: &Heard, at| heard.perhaps_lost(vec![key()], at);
        heard.handed_over(key(), 0);
        assert_eq!((lost(&heard, 2_000), lost(&heard, SILENT_FOR_MS)), (vec![key()], vec![]));
        heard.sent(key(), 2_500);
        assert_eq!(lost(&heard, 3_000), []);
        heard.handed_over(key(), 4_000);
        heard.spoken_of(key(), 4_500);
        assert_eq!(lost(&heard, 5_000), []);
    }

    #[test]
    fn of_what_was_never_heard_it_is_sent_and_what_is_over_is_forgotten() {
        let mut heard = Heard::default();
        assert_eq!(heard.silent(vec![key()], 7), [key()]);
        heard.sent(key(), 7);
        assert!(heard.silent(vec![], 7).is_empty() && !heard.knows(&key()));
    }
}
