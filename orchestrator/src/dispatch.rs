//! Commands on their way out. Saying one twice is saying it once: the stream drops a repetition it
//! remembers, and a worker recognises one it does not.

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use deadelus_core::Workflow;
use deadelus_mesh::{Mesh, meters, objects, trace};
use deadelus_proto::{
    Assignment, Body, Subject, TaskKey, limits::INLINE_PAYLOAD_MAX_BYTES, pb, task::JSON,
};
use prost::Message as _;
use tracing::Instrument as _;

use crate::spans;

/// Sends the assignment of an attempt that is in flight.
///
/// # Errors
/// In words; the re-drive sends it again.
pub(crate) async fn send(mesh: &Mesh, workflow: &Workflow, key: &TaskKey) -> Result<(), String> {
    let assignment = workflow.assignment(key).map_err(|e| e.to_string())?;
    let subject = mesh.subjects.of(&Subject::Task(assignment.capability.clone()));
    let span = spans::send(workflow, &assignment, &subject);
    publish(mesh, subject, key, assignment).instrument(span).await
}

async fn publish(
    mesh: &Mesh,
    subject: String,
    key: &TaskKey,
    assignment: Assignment,
) -> Result<(), String> {
    meters::sent(&format!("task.{}", assignment.capability));
    let assignment = by_reference(mesh, assignment).await?;
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, key.to_string());
    trace::inject(&mut headers);
    let bytes = pb::TaskAssignment::from(assignment).encode_to_vec();
    let sent = mesh.jetstream.publish_with_headers(subject, headers, bytes.into()).await;
    match sent {
        Ok(ack) => ack.await.map(|_| ()).map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Inputs over the inline limit travel as an artefact.
async fn by_reference(mesh: &Mesh, mut assignment: Assignment) -> Result<Assignment, String> {
    if let Body::Inline(value) = &assignment.inputs {
        let text = value.to_string();
        if text.len() > INLINE_PAYLOAD_MAX_BYTES {
            let stored = objects::put(mesh, "inputs.json", JSON, text.into()).await;
            assignment.inputs = Body::Stored(stored.map_err(|e| e.to_string())?);
        }
    }
    Ok(assignment)
}
