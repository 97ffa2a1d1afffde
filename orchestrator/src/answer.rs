//! Answering a person's message, best effort: the truth is the log.

use deadelus_mesh::Mesh;
use deadelus_proto::pb;
use prost::Message as _;

/// Says yes when there are no problems, and no with them otherwise.
pub(crate) async fn send(mesh: &Mesh, reply_to: &str, problems: Vec<String>) {
    if reply_to.is_empty() {
        return;
    }
    let answer = pb::Answer { accepted: problems.is_empty(), problems };
    let sent = mesh.client.publish(reply_to.to_owned(), answer.encode_to_vec().into()).await;
    if let Err(error) = sent {
        tracing::debug!(%error, "an answer was lost");
    }
}
