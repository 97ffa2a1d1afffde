//! Telling the orchestrator. A report counts once the log has it, or the inbox.
//!
//! It is asked first: an orchestrator that is there answers when the log holds what follows from the
//! report, and nothing needs to be stored twice. Without an answer the inbox keeps it.

use std::time::Duration;

use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use deadelus_mesh::{
    Mesh,
    clock::now_unix_ms,
    meters,
    pipeline::{self, Answer},
};
use deadelus_proto::{ErrorClass, Failure, News, Report, SpecialistName, Subject, TaskKey, pb};
use prost::Message as _;

use crate::ledger::Go;

/// An orchestrator that is there answers within milliseconds; one that is not leaves the report to
/// the inbox after this. Shorter than anybody's patience, longer than a slow append.
const ASK_MAX: Duration = Duration::from_secs(2);
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
        by: &Go,
        news: News,
    ) -> Result<(), Failure> {
        let report = Report {
            key: key.clone(),
            instance: by.instance.clone(),
            begun_unix_ms: by.begun_unix_ms,
            reported_unix_ms: now_unix_ms(),
            deliveries,
            news,
        };
        let message = pb::Inbound {
            id: format!("{key}.{}.{deliveries}.{}", self.instance, report_kind(&report.news)),
            workflow_id: key.workflow.to_string(),
            reply_to: String::new(),
            message: Some(pb::inbound::Message::Report(report.into())),
        };
        meters::sent(&format!("in.{}", self.specialist));
        self.send(key, message.encode_to_vec().into()).await
    }

    async fn send(&self, key: &TaskKey, bytes: Bytes) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        deadelus_mesh::trace::inject(&mut headers);
        if self.ask(key, headers.clone(), bytes.clone()).await {
            return Ok(());
        }
        self.store(key, headers, bytes).await
    }

    /// Whether an orchestrator has answered.
    async fn ask(&self, key: &TaskKey, headers: HeaderMap, bytes: Bytes) -> bool {
        let (from, workflow) = (self.specialist.clone(), key.workflow.clone());
        let subject = self.mesh.subjects.of(&Subject::Ask { from, workflow });
        let question = Request::new().headers(headers).payload(bytes).timeout(Some(ASK_MAX));
        let answer = match self.mesh.client.send_request(subject, question).await {
            Ok(message) => pb::Answer::decode(message.payload).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok(answer) if !answer.accepted => {
                let problems = answer.problems.join("; ");
                tracing::warn!(%key, problems, "the orchestrator has no use for the report");
                true
            }
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%key, error, "no answer: the report goes to the inbox");
                false
            }
        }
    }

    async fn store(&self, key: &TaskKey, headers: HeaderMap, bytes: Bytes) -> Result<(), Failure> {
        let (from, workflow) = (self.specialist.clone(), key.workflow.clone());
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow });
        let give_up = tokio::time::Instant::now() + TRY_FOR;
        loop {
            let stored = pipeline::publish(&self.mesh, &subject, headers.clone(), bytes.clone());
            let error = match stored.await {
                Answer::Stored(_) => return Ok(()),
                Answer::Refused(error) => error.to_string(),
                Answer::Silence(why) => why,
            };
            if tokio::time::Instant::now() >= give_up {
                let text = format!("reporting {key}: {error}");
                return Err(Failure::new(ErrorClass::Unavailable, text));
            }
            tracing::warn!(%key, error, "the report was not acknowledged; sending it again");
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
