//! Telling the orchestrator. A report counts once the stream has acknowledged it.

use std::time::Duration;

use async_nats::HeaderMap;
use deadelus_mesh::{Mesh, clock::now_unix_ms, meters};
use deadelus_proto::{ErrorClass, Failure, News, Report, SpecialistName, Subject, TaskKey, pb};
use prost::Message as _;

/// A server restart takes seconds; after this long the assignment is left to be redelivered.
const TRY_FOR: Duration = Duration::from_secs(60);
const PAUSE_BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Speaks for one replica.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    pub(crate) mesh: Mesh,
    pub(crate) specialist: SpecialistName,
    pub(crate) instance: String,
}

impl Reporter {
    /// Says it until the stream has it.
    ///
    /// # Errors
    /// `unavailable` when the stream did not take it in [`TRY_FOR`]; the task is then redelivered.
    pub(crate) async fn report(
        &self,
        key: &TaskKey,
        deliveries: u64,
        news: News,
    ) -> Result<(), Failure> {
        self.report_since(key, deliveries, now_unix_ms(), news).await
    }

    /// The same for work that began earlier.
    pub(crate) async fn report_since(
        &self,
        key: &TaskKey,
        deliveries: u64,
        begun_unix_ms: i64,
        news: News,
    ) -> Result<(), Failure> {
        let report = Report {
            key: key.clone(),
            instance: self.instance.clone(),
            begun_unix_ms,
            reported_unix_ms: now_unix_ms(),
            deliveries,
            news,
        };
        let message = pb::Inbound {
            id: format!("{key}.{}", report_kind(&report.news)),
            workflow_id: key.workflow.to_string(),
            reply_to: String::new(),
            message: Some(pb::inbound::Message::Report(report.into())),
        };
        meters::sent(&format!("in.{}", self.specialist));
        self.send(key, message.encode_to_vec().into()).await
    }

    async fn send(&self, key: &TaskKey, bytes: bytes::Bytes) -> Result<(), Failure> {
        let from = self.specialist.clone();
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow: key.workflow.clone() });
        let mut headers = HeaderMap::new();
        deadelus_mesh::trace::inject(&mut headers);
        let give_up = tokio::time::Instant::now() + TRY_FOR;
        loop {
            let sent = self
                .mesh
                .jetstream
                .publish_with_headers(subject.clone(), headers.clone(), bytes.clone())
                .await;
            let error = match sent {
                Ok(ack) => match ack.await {
                    Ok(_) => return Ok(()),
                    Err(e) => e,
                },
                Err(e) => e,
            };
            if tokio::time::Instant::now() >= give_up {
                let text = format!("reporting {key}: {error}");
                return Err(Failure::new(ErrorClass::Unavailable, text));
            }
            tracing::warn!(%key, %error, "the report was not acknowledged; sending it again");
            tokio::time::sleep(PAUSE_BETWEEN_TRIES).await;
        }
    }
}

fn report_kind(news: &News) -> &'static str {
    match news {
        News::UndoRecorded(_) => "undo-recorded",
        News::Done(_) => "done",
        News::Failed(_) => "failed",
    }
}
