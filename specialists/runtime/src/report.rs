//! Telling the orchestrator: what is about to begin, and what came of it.
//!
//! It is asked first: an orchestrator that is there answers when the log holds what follows from the
//! report, and nothing needs to be stored twice. Without an answer the inbox keeps what came of a task.
//! What is about to begin waits for the answer.

use std::time::Duration;

use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use deadelus_mesh::{
    Mesh,
    clock::now_unix_ms,
    meters,
    pipeline::{self, Answer},
};
use deadelus_proto::{
    ErrorClass, Failure, News, Report, SpecialistName, Subject, TaskKey, Undo, pb,
};
use prost::Message as _;
use tokio::time::Instant;

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
    /// Says what came of it, until the log has it or the inbox.
    ///
    /// # Errors
    /// `unavailable` when neither took it in [`TRY_FOR`]; the task is then redelivered.
    pub(crate) async fn report(
        &self,
        key: &TaskKey,
        deliveries: u64,
        by: &Go,
        news: News,
    ) -> Result<(), Failure> {
        let bytes = self.message(key, deliveries, by, news);
        let headers = headers();
        match self.ask(key, headers.clone(), bytes.clone()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::debug!(%key, error, "no answer: the report goes to the inbox");
                self.store(key, headers, bytes).await
            }
        }
    }

    /// Says that an effect is about to begin, and its way back, until an orchestrator answers: the log
    /// has it then, and whoever shares a lock is not at work.
    ///
    /// # Errors
    /// `denied` when nobody waits for this attempt any more, `unavailable` when nobody answered in
    /// [`TRY_FOR`]. In both cases nothing must begin.
    pub(crate) async fn announce(
        &self,
        key: &TaskKey,
        deliveries: u64,
        by: &Go,
        undo: Undo,
    ) -> Result<(), Failure> {
        let bytes = self.message(key, deliveries, by, News::UndoRecorded(undo));
        let headers = headers();
        let give_up = Instant::now() + TRY_FOR;
        loop {
            match self.ask(key, headers.clone(), bytes.clone()).await {
                Ok(answer) if answer.given_up => return Err(not_to_begin()),
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= give_up => {
                    let text = format!("no orchestrator heard of the way back of {key}: {error}");
                    return Err(Failure::new(ErrorClass::Unavailable, text));
                }
                Err(error) => {
                    tracing::warn!(%key, error, "no answer: it does not begin before there is one");
                    tokio::time::sleep(PAUSE_BETWEEN_TRIES).await;
                }
            }
        }
    }

    fn message(&self, key: &TaskKey, deliveries: u64, by: &Go, news: News) -> Bytes {
        let kind = report_kind(&news);
        let report = Report {
            key: key.clone(),
            instance: by.instance.clone(),
            begun_unix_ms: by.begun_unix_ms,
            reported_unix_ms: now_unix_ms(),
            deliveries,
            news,
        };
        let message = pb::Inbound {
            id: format!("{key}.{}.{deliveries}.{kind}", self.instance),
            workflow_id: key.workflow.to_string(),
            reply_to: String::new(),
            message: Some(pb::inbound::Message::Report(report.into())),
        };
        meters::sent(&format!("in.{}", self.specialist));
        message.encode_to_vec().into()
    }

    /// What an orchestrator answers; in words why none did.
    async fn ask(
        &self,
        key: &TaskKey,
        headers: HeaderMap,
        bytes: Bytes,
    ) -> Result<pb::Answer, String> {
        let (from, workflow) = (self.specialist.clone(), key.workflow.clone());
        let subject = self.mesh.subjects.of(&Subject::Ask { from, workflow });
        let question = || {
            let question = Request::new().headers(headers.clone()).payload(bytes.clone());
            self.mesh.client.send_request(subject.clone(), question.timeout(Some(ASK_MAX)))
        };
        let answer = self.mesh.answer_to(question).await;
        let answer = pb::Answer::decode(answer.map_err(|e| e.to_string())?.payload);
        let answer = answer.map_err(|e| e.to_string())?;
        if !answer.accepted {
            let problems = answer.problems.join("; ");
            tracing::warn!(%key, problems, "the orchestrator has no use for the report");
        }
        Ok(answer)
    }

    async fn store(&self, key: &TaskKey, headers: HeaderMap, bytes: Bytes) -> Result<(), Failure> {
        let (from, workflow) = (self.specialist.clone(), key.workflow.clone());
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow });
        let give_up = Instant::now() + TRY_FOR;
        loop {
            let stored = pipeline::publish(&self.mesh, &subject, headers.clone(), bytes.clone());
            let error = match stored.await {
                Answer::Stored(_) => return Ok(()),
                Answer::Refused(error) => error.to_string(),
                Answer::Silence(why) => why,
            };
            if Instant::now() >= give_up {
                let text = format!("reporting {key}: {error}");
                return Err(Failure::new(ErrorClass::Unavailable, text));
            }
            tracing::warn!(%key, error, "the report was not acknowledged; sending it again");
            tokio::time::sleep(PAUSE_BETWEEN_TRIES).await;
        }
    }
}

/// A second copy of an assignment whose first has been reported, or one that came too late: what it
/// would do now, nobody has kept a place for.
pub(crate) fn not_to_begin() -> Failure {
    Failure::new(ErrorClass::Denied, "not begun: nobody waits for this attempt any more")
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    deadelus_mesh::trace::inject(&mut headers);
    headers
}

fn report_kind(news: &News) -> &'static str {
    match news {
        News::UndoRecorded(_) => "undo-recorded",
        News::Done(_) => "done",
        News::Failed(_) => "failed",
    }
}
