//! Reports whose sender waits for the answer. They are decided like those of the inbox and stored
//! only in the log; unanswered, their sender puts them into the inbox.

use deadelus_mesh::{Mesh, MeshError};
use futures_util::StreamExt as _;
use tokio::task::JoinSet;

use crate::{inbox::Inbox, letter::Delivery};

/// Takes the questions of a partition for as long as `listening` lives.
///
/// While two replicas believe that it is theirs, both hear every question: the log has one winner, and
/// the first answer counts. Were they to share the questions, one that is frozen would swallow half.
///
/// # Errors
/// [`MeshError`] when the connection is closed.
pub(crate) async fn listen(
    mesh: &Mesh,
    inbox: &Inbox,
    partition: u16,
    listening: &mut JoinSet<()>,
) -> Result<(), MeshError> {
    let subject = mesh.subjects.asked_of(partition);
    let subscribed = mesh.client.subscribe(subject).await;
    let mut asked = subscribed.map_err(|e| MeshError::jetstream("hear what is asked", e))?;
    let inbox = inbox.clone();
    listening.spawn(async move {
        while let Some(message) = asked.next().await {
            inbox.hand_on(Delivery::Asked(message), 0).await;
        }
    });
    Ok(())
}
