//! Answering the workers' heartbeats: go on, stop, or nobody waits for this any more.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Subscriber};
use deadelus_mesh::Mesh;
use deadelus_proto::{TaskKey, pb};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::sync::oneshot;

use crate::hub::{Hub, Parcel};

/// A driver in the middle of an append answers late; the worker asks again in a second.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Answers for ever.
pub(crate) async fn answer_all(mesh: Mesh, hub: Arc<Hub>, mut beats: Subscriber) {
    while let Some(beat) = beats.next().await {
        tokio::spawn(answer(mesh.clone(), Arc::clone(&hub), beat));
    }
}

async fn answer(mesh: Mesh, hub: Arc<Hub>, beat: Message) {
    let Some(reply_to) = beat.reply else { return };
    let heartbeat = match pb::Heartbeat::decode(beat.payload) {
        Ok(heartbeat) => heartbeat,
        Err(error) => {
            tracing::warn!(subject = %beat.subject, %error, "not a heartbeat");
            return;
        }
    };
    let mut known = Vec::with_capacity(heartbeat.in_hand.len());
    for task in heartbeat.in_hand {
        known.push(verdict(&hub, &task).await);
    }
    // Several replicas hear a worker and one of them drives the task: who has nothing against it
    // says nothing, and no answer means go on. A worker that asks waits for whoever drives it.
    let against = known.iter().flatten().any(|verdict| *verdict != pb::Verdict::Continue);
    let knows_all = known.iter().all(Option::is_some);
    let has_an_answer = against || (heartbeat.asks && knows_all);
    if !has_an_answer {
        return;
    }
    let verdicts = known.into_iter().map(|v| v.unwrap_or(pb::Verdict::Continue).into()).collect();
    let reply = pb::HeartbeatReply { verdicts };
    mesh.reply(reply_to, reply.encode_to_vec().into()).await;
}

/// None for a workflow that nobody drives here: perhaps elsewhere.
async fn verdict(hub: &Hub, task: &pb::TaskInHand) -> Option<pb::Verdict> {
    let key = TaskKey::from_pb(&task.workflow_id, &task.task_id, task.direction, task.attempt);
    let key = key.ok()?;
    let (answer, answered) = oneshot::channel();
    let asked = async {
        hub.deliver(Parcel::Beat(key, answer)).await;
        answered.await.ok()
    };
    let verdict = tokio::time::timeout(ANSWER_WITHIN, asked).await;
    verdict.ok().flatten()
}
