//! Assignments on their way out. Doing one twice is doing it once: the stream drops a repetition it
//! remembers, unless it is to be kept, and a worker recognises one that reaches it.

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};
use bytes::Bytes;
use deadelus_core::Workflow;
use deadelus_mesh::{
    Mesh, meters, objects,
    pipeline::{self, Answer},
    trace,
};
use deadelus_proto::{
    Assignment, Subject, TaskKey, limits::INLINE_PAYLOAD_MAX_BYTES, pb, task::JSON,
};
use pb::payload::Body;
use prost::Message as _;
use tracing::Span;

use crate::{desk::Sending, spans};

/// An assignment, ready to be published or not yet.
#[derive(Debug)]
pub(crate) enum Message {
    /// It can be published as it is.
    Ready {
        /// Of the capability.
        subject: String,
        /// Its trace and its id.
        headers: HeaderMap,
        /// The assignment.
        bytes: Bytes,
    },
    /// Its inputs have to be stored first.
    Large(Box<Large>),
}

/// An assignment whose inputs are over the inline limit: they travel as an artefact.
#[derive(Debug)]
pub(crate) struct Large {
    /// Of the sending.
    pub(crate) span: Span,
    subject: String,
    headers: HeaderMap,
    assignment: pb::TaskAssignment,
    inputs: Bytes,
}

/// The assignment of an attempt that is in flight.
///
/// # Errors
/// In words, when the attempt is not in flight.
pub(crate) fn message(
    mesh: &Mesh,
    workflow: &Workflow,
    key: &TaskKey,
    sending: Sending,
) -> Result<Message, String> {
    let again = sending != Sending::First;
    let assignment = workflow.assignment(key).map_err(|e| e.to_string())?;
    let assignment = Assignment { again, ..assignment };
    let capability = assignment.capability.clone();
    let subject = mesh.subjects.of(&Subject::Task(capability.clone()));
    let span = spans::send(workflow, &assignment, &subject);
    meters::sent(&format!("task.{capability}"));
    let mut headers = HeaderMap::new();
    match sending {
        Sending::First | Sending::Once => headers.insert(NATS_MESSAGE_ID, key.to_string()),
        Sending::Again => {}
    }
    trace::inject_from(&span, &mut headers);
    let assignment = pb::TaskAssignment::from(assignment);
    Ok(match large_inputs(&assignment) {
        None => Message::Ready { subject, headers, bytes: assignment.encode_to_vec().into() },
        Some(inputs) => {
            Message::Large(Box::new(Large { span, subject, headers, assignment, inputs }))
        }
    })
}

impl Large {
    /// Stores the inputs, then publishes the assignment that refers to them.
    ///
    /// # Errors
    /// In words; the re-drive sends it again.
    pub(crate) async fn send(mut self, mesh: &Mesh) -> Result<(), String> {
        let stored = objects::put(mesh, "inputs.json", JSON, self.inputs).await;
        let reference = Body::Reference(stored.map_err(|e| e.to_string())?.into());
        let content_type = JSON.to_owned();
        self.assignment.inputs = Some(pb::Payload { content_type, body: Some(reference) });
        let bytes = self.assignment.encode_to_vec().into();
        match pipeline::publish(mesh, &self.subject, self.headers, bytes).await {
            Answer::Stored(_) => Ok(()),
            Answer::Refused(error) => Err(error.to_string()),
            Answer::Silence(why) => Err(why),
        }
    }
}

fn large_inputs(assignment: &pb::TaskAssignment) -> Option<Bytes> {
    match assignment.inputs.as_ref().and_then(|payload| payload.body.as_ref()) {
        Some(Body::Inline(bytes)) if bytes.len() > INLINE_PAYLOAD_MAX_BYTES => Some(bytes.clone()),
        Some(Body::Inline(_) | Body::Reference(_)) | None => None,
    }
}
