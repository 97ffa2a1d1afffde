//! What a worker has in hand, and the heartbeat that asks whether to go on with it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use deadelus_mesh::Mesh;
use deadelus_proto::{SpecialistName, Subject, TaskKey, limits::HEARTBEAT_EVERY, pb};
use prost::Message as _;
use tokio::{sync::watch, time::MissedTickBehavior};

/// Times that an orchestrator is asked about one attempt, a [`HEARTBEAT_EVERY`] each: a take-over
/// lasts longer, and the work goes on meanwhile.
const QUESTIONS_MAX: usize = 2;

/// The tasks in hand, each with the switch that stops it. Bounded by the worker's concurrency.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hand {
    tasks: Arc<Mutex<BTreeMap<TaskKey, watch::Sender<bool>>>>,
}

/// Takes the task out of the hand when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    hand: Hand,
    key: TaskKey,
}

impl Hand {
    /// Takes a task in hand. None when this very attempt is in hand already.
    pub(crate) fn take(&self, key: &TaskKey) -> Option<(Held, watch::Receiver<bool>)> {
        let mut tasks = self.lock();
        if tasks.contains_key(key) {
            return None;
        }
        let (stop, stopped) = watch::channel(false);
        tasks.insert(key.clone(), stop);
        Some((Held { hand: self.clone(), key: key.clone() }, stopped))
    }

    fn keys(&self) -> Vec<TaskKey> {
        self.lock().keys().cloned().collect()
    }

    /// Stops what the verdicts say, in the order of `keys`.
    fn heed(&self, keys: &[TaskKey], verdicts: &[i32]) {
        let tasks = self.lock();
        for (key, verdict) in keys.iter().zip(verdicts) {
            let stop = match pb::Verdict::try_from(*verdict).unwrap_or(pb::Verdict::Unspecified) {
                pb::Verdict::Cancel | pb::Verdict::Stale => true,
                pb::Verdict::Continue | pb::Verdict::Unspecified => false,
            };
            if let Some(switch) = tasks.get(key)
                && stop
                && !switch.send_replace(true)
            {
                tracing::info!(%key, "asked to stop");
            }
        }
    }

    // The map is only ever inserted into and removed from: a panic elsewhere leaves it whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskKey, watch::Sender<bool>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.hand.lock().remove(&self.key);
    }
}

/// Says what is in hand, every beat, and heeds the answer; for ever. No answer changes nothing:
/// the orchestrator may be away, and the work goes on.
pub(crate) async fn beat(mesh: Mesh, specialist: SpecialistName, instance: String, hand: Hand) {
    let Ok(name) = instance.parse() else { return };
    let subject = mesh.subjects.of(&Subject::Worker(specialist.clone(), name));
    let mut ticks = tokio::time::interval(HEARTBEAT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let keys = hand.keys();
        if keys.is_empty() {
            continue;
        }
        let heartbeat = heartbeat(&specialist, &instance, &keys);
        let asked = mesh.client.request(subject.clone(), heartbeat.encode_to_vec().into());
        let Ok(Ok(answer)) = tokio::time::timeout(HEARTBEAT_EVERY, asked).await else { continue };
        if let Ok(reply) = pb::HeartbeatReply::decode(answer.payload) {
            hand.heed(&keys, &reply.verdicts);
        }
    }
}

/// Whether anybody still waits for an attempt that another worker may have had, or this one before.
/// No answer means yes: the orchestrator may be away, and what is about to take effect is announced
/// first, which nobody overhears.
pub(crate) async fn is_wanted(
    mesh: &Mesh,
    specialist: &SpecialistName,
    instance: &str,
    key: &TaskKey,
) -> bool {
    let Ok(name) = instance.parse() else { return true };
    let subject = mesh.subjects.of(&Subject::Worker(specialist.clone(), name));
    let question =
        pb::Heartbeat { asks: true, ..heartbeat(specialist, instance, std::slice::from_ref(key)) };
    for _ in 0..QUESTIONS_MAX {
        let asked = mesh.client.request(subject.clone(), question.encode_to_vec().into());
        let Ok(Ok(answer)) = tokio::time::timeout(HEARTBEAT_EVERY, asked).await else { continue };
        if let Ok(reply) = pb::HeartbeatReply::decode(answer.payload) {
            return reply.verdicts.first() != Some(&pb::Verdict::Stale.into());
        }
    }
    true
}

fn heartbeat(specialist: &SpecialistName, instance: &str, keys: &[TaskKey]) -> pb::Heartbeat {
    pb::Heartbeat {
        specialist: specialist.to_string(),
        instance: instance.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        in_hand: keys.iter().map(in_hand).collect(),
        asks: false,
    }
}

fn in_hand(key: &TaskKey) -> pb::TaskInHand {
    pb::TaskInHand {
        workflow_id: key.workflow.to_string(),
        task_id: key.task.to_string(),
        direction: key.direction.to_pb().into(),
        attempt: key.attempt,
    }
}

#[cfg(test)]
mod tests {
    use deadelus_proto::Direction;

    use super::*;

    fn key(task: &str) -> TaskKey {
        TaskKey {
            workflow: "wf".parse().unwrap(),
            task: task.parse().unwrap(),
            direction: Direction::Do,
            attempt: 1,
        }
    }

    #[test]
    fn a_task_is_in_hand_once_and_leaves_it() {
        let hand = Hand::default();
        let (held, _) = hand.take(&key("a")).unwrap();
        assert!(hand.take(&key("a")).is_none());
        drop(held);
        assert!(hand.take(&key("a")).is_some());
    }

    #[test]
    fn a_verdict_stops_its_own_task_only() {
        let hand = Hand::default();
        let (_a, stop_a) = hand.take(&key("a")).unwrap();
        let (_b, stop_b) = hand.take(&key("b")).unwrap();
        hand.heed(&hand.keys(), &[pb::Verdict::Continue.into(), pb::Verdict::Cancel.into()]);
        assert_eq!((*stop_a.borrow(), *stop_b.borrow()), (false, true));
        hand.heed(&hand.keys(), &[99]);
        assert!(!*stop_a.borrow());
    }
}
