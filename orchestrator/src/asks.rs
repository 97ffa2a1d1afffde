//! Reports whose sender waits for the answer. They are decided like those of the inbox and stored
//! only in the log; unanswered, their sender puts them into the inbox.

use deadelus_mesh::{Mesh, MeshError};
use deadelus_proto::limits::PARTITIONS;
use futures_util::StreamExt as _;
use tokio::task::JoinSet;

use crate::{inbox::Inbox, letter::Delivery};

/// One of several replicas hears a question.
const QUEUE: &str = "orchestrator";

/// Takes questions of all partitions until what is returned is dropped.
///
/// # Errors
/// [`MeshError`] when the connection is closed.
pub(crate) async fn answer_all(mesh: &Mesh, inbox: &Inbox) -> Result<JoinSet<()>, MeshError> {
    let mut listening = JoinSet::new();
    for partition in 0..PARTITIONS {
        let subject = mesh.subjects.asked_of(partition);
        let subscribed = mesh.client.queue_subscribe(subject, QUEUE.to_owned()).await;
        let mut asked = subscribed.map_err(|e| MeshError::jetstream("hear what is asked", e))?;
        let inbox = inbox.clone();
        listening.spawn(async move {
            while let Some(message) = asked.next().await {
                inbox.hand_on(Delivery::Asked(message), 0).await;
            }
        });
    }
    Ok(listening)
}
