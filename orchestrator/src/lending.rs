//! Answering specialists that want an artefact: one replica of the orchestrator hears each, and has
//! the stream send the bytes. It never reads them.

use std::sync::Arc;

use async_nats::{Message, Subscriber};
use deadelus_mesh::{Mesh, MeshError, objects};
use deadelus_proto::{Subject, pb};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::sync::Semaphore;

/// Which replica answers is the server's to choose.
const GROUP: &str = "lending";

/// Answered at once; who comes then waits. Each costs the server a look and a consumer, and a
/// specialist asks again.
const AT_ONCE_MAX: usize = 64;

/// Hears what is asked from now on.
///
/// # Errors
/// [`MeshError`] when the connection is closed.
pub(crate) async fn listen(mesh: &Mesh) -> Result<Subscriber, MeshError> {
    let subject = mesh.subjects.below("artefact.*");
    let heard = mesh.client.queue_subscribe(subject, GROUP.to_owned()).await;
    heard.map_err(|e| MeshError::jetstream("hear who wants an artefact", e))
}

/// Answers for ever.
pub(crate) async fn lend_all(mesh: Mesh, mut questions: Subscriber) {
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    while let Some(question) = questions.next().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let mesh = mesh.clone();
        tokio::spawn(async move {
            answer(&mesh, question).await;
            drop(place);
        });
    }
}

async fn answer(mesh: &Mesh, question: Message) {
    let Some(reply) = question.reply else { return };
    let Ok(Subject::Artefact(from)) = mesh.subjects.parse(&question.subject) else {
        tracing::warn!(subject = %question.subject, "not from anybody who may ask");
        return;
    };
    let lent = match pb::Borrow::decode(question.payload) {
        Ok(wanted) => objects::lend(mesh, &from, &wanted).await,
        Err(error) => {
            tracing::warn!(%from, %error, "not a question for an artefact");
            return;
        }
    };
    mesh.reply(reply, lent.encode_to_vec().into()).await;
}
