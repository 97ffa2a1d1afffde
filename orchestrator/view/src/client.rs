//! Asking the orchestrator, telling it what a person decides, reading what is in the streams. Every
//! wait here has a bound, because somebody waits for the answer. Whatever is sent carries the trace
//! that it is sent in.

use std::time::Duration;

use async_nats::{HeaderMap, Request, client::RequestErrorKind, jetstream::kv::Operation};
use bytes::Bytes;
use deadelus_mesh::{
    Mesh, archive,
    lists::Lists,
    pipeline::{self, Answer},
    streams, trace,
};
use deadelus_proto::{
    SpecialistName, Subject, WorkflowId,
    pb::{self, inbound::Message as Inbound},
    subject::Api,
};
use futures_util::StreamExt;
use prost::Message;
use tokio::time::timeout;

use crate::{ViewError, history::History, ids, shelves};

/// The planner answers within milliseconds; a busy orchestrator within this.
const ASK_MAX: Duration = Duration::from_secs(10);

/// An orchestrator decides a message within milliseconds; one that has just died hands over
/// within this.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Between two entries of a bucket that is read whole.
const ENTRY_MAX: Duration = Duration::from_secs(5);

/// The sender's name in the subject of what a person sends.
const FROM: &str = "client";

/// A connection to the mesh, on behalf of a person.
#[derive(Debug, Clone)]
pub struct Client {
    /// The fabric.
    pub mesh: Mesh,
    /// Where it is.
    pub url: String,
    /// Who asks.
    pub by: String,
}

/// What became of a message to the orchestrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It is decided.
    Accepted,
    /// It was refused, and why.
    Refused(Vec<String>),
    /// It is stored, and nobody has answered yet.
    Stored,
}

impl Client {
    /// Asks an orchestrator.
    ///
    /// # Errors
    /// [`ViewError::NoOrchestrator`] when nobody answers.
    pub async fn ask<A: Message + Default>(
        &self,
        api: Api,
        question: &impl Message,
    ) -> Result<A, ViewError> {
        let subject = self.mesh.subjects.of(&Subject::Api(api));
        let mut headers = HeaderMap::new();
        trace::inject(&mut headers);
        let bytes = question.encode_to_vec().into();
        let asked = Request::new().headers(headers).payload(bytes).timeout(Some(ASK_MAX));
        let answer = match self.mesh.client.send_request(subject, asked).await {
            Ok(answer) => answer,
            Err(e) => match e.kind() {
                RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => {
                    return Err(ViewError::NoOrchestrator);
                }
                RequestErrorKind::InvalidSubject
                | RequestErrorKind::MaxPayloadExceeded
                | RequestErrorKind::Other => {
                    return Err(ViewError::nats("ask the orchestrator")(e));
                }
            },
        };
        A::decode(answer.payload).map_err(ViewError::nats("read the orchestrator's answer"))
    }

    /// Sends a person's message to the orchestrator and waits for its word.
    ///
    /// # Errors
    /// When the message cannot be stored.
    pub async fn send(&self, workflow: &WorkflowId, message: Inbound) -> Result<Heard, ViewError> {
        let from: SpecialistName = FROM.parse().map_err(|e| ViewError::BadId(format!("{e}")))?;
        let reply_to = self.mesh.client.new_inbox();
        let mut replies = self
            .mesh
            .client
            .subscribe(reply_to.clone())
            .await
            .map_err(ViewError::nats("listen for the answer"))?;
        let inbound = pb::Inbound {
            id: ids::message(FROM),
            workflow_id: workflow.to_string(),
            reply_to,
            message: Some(message),
        };
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow: workflow.clone() });
        let bytes = inbound.encode_to_vec().into();
        let mut headers = HeaderMap::new();
        trace::inject(&mut headers);
        match pipeline::publish(&self.mesh, &subject, headers, bytes).await {
            Answer::Stored(_) => {}
            Answer::Refused(error) => return Err(ViewError::NotStored(error.to_string())),
            Answer::Silence(why) => return Err(ViewError::NotStored(why)),
        }
        let Ok(Some(reply)) = timeout(ANSWER_MAX, replies.next()).await else {
            return Ok(Heard::Stored);
        };
        let answer =
            pb::Answer::decode(reply.payload).map_err(ViewError::nats("read the answer"))?;
        Ok(if answer.accepted { Heard::Accepted } else { Heard::Refused(answer.problems) })
    }

    /// Everything that was decided about a workflow.
    ///
    /// # Errors
    /// [`ViewError::NoWorkflow`] when its log is empty, or it was forgotten.
    pub async fn history(&self, id: &WorkflowId) -> Result<History, ViewError> {
        let mut history = History::new(id.clone());
        self.extend(&mut history).await?;
        if history.is_forgotten() || history.last_sequence() == 0 {
            return Err(ViewError::NoWorkflow(id.to_string()));
        }
        Ok(history)
    }

    /// Every message of a workflow's log, byte for byte, with its place in the stream, wherever it is
    /// kept.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn log(&self, id: &WorkflowId) -> Result<Vec<(u64, Bytes)>, ViewError> {
        Ok(Box::pin(archive::read(&self.mesh, id, 0)).await?)
    }

    /// Reads what was decided since. Says whether there was anything.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn extend(&self, history: &mut History) -> Result<bool, ViewError> {
        let before = history.last_sequence();
        let id = history.id().clone();
        for (sequence, bytes) in Box::pin(archive::read(&self.mesh, &id, before + 1)).await? {
            history.read(sequence, &bytes)?;
        }
        Ok(history.last_sequence() > before)
    }

    /// Every lock and limit that anybody has or waits for.
    ///
    /// # Errors
    /// When the bucket cannot be read.
    pub async fn slots(&self) -> Result<Vec<pb::SlotTable>, ViewError> {
        let entries = self.entries(streams::SLOTS).await?;
        let decoded = entries.iter().map(|bytes| pb::SlotTable::decode(bytes.as_ref()));
        decoded.collect::<Result<_, _>>().map_err(ViewError::nats("read who has a slot"))
    }

    /// Where a workflow's decisions stand.
    pub fn log_subject(&self, id: &WorkflowId) -> String {
        self.mesh.subjects.of(&Subject::Log(id.clone()))
    }

    /// The lines of all workflows.
    ///
    /// # Errors
    /// [`ViewError::NoOrchestrator`] on a server where no process of ours has been yet.
    pub async fn lists(&self) -> Result<Lists, ViewError> {
        match streams::bucket(&self.mesh, streams::WORKFLOWS).await {
            Ok(_) => Ok(Lists::of(&self.mesh)),
            Err(_) => Err(ViewError::NoOrchestrator),
        }
    }

    /// What the specialists offer, by name.
    ///
    /// # Errors
    /// When the bucket cannot be read or holds what is no card.
    pub async fn cards(&self) -> Result<Vec<deadelus_proto::SpecialistCard>, ViewError> {
        let mut cards: Vec<deadelus_proto::SpecialistCard> = vec![];
        for bytes in self.entries(streams::CARDS).await? {
            let card = pb::SpecialistCard::decode(bytes).map_err(ViewError::nats("read a card"))?;
            cards.push(card.try_into().map_err(ViewError::nats("read a card"))?);
        }
        cards.sort_by(|a, b| a.specialist.cmp(&b.specialist));
        Ok(cards)
    }

    /// The workflow that a person means: its id, or `latest`.
    ///
    /// # Errors
    /// [`ViewError::BadId`] for what is no id, [`ViewError::NoWorkflow`] when there is none at all.
    pub async fn workflow_id(&self, text: &str) -> Result<WorkflowId, ViewError> {
        let id = match text {
            "latest" => {
                let latest = Box::pin(shelves::latest(&self.lists().await?)).await?;
                latest.ok_or_else(|| ViewError::NoWorkflow("yet".to_owned()))?
            }
            _ => text.to_owned(),
        };
        id.parse().map_err(|e| ViewError::BadId(format!("{e}")))
    }

    /// The newest value of every key of a bucket, in one pass.
    async fn entries(&self, bucket: &str) -> Result<Vec<bytes::Bytes>, ViewError> {
        let failed = "read a bucket";
        let store = match streams::bucket(&self.mesh, bucket).await {
            Ok(store) => store,
            // A server where no process of ours has been yet.
            Err(_) => return Err(ViewError::NoOrchestrator),
        };
        let status = store.status().await.map_err(ViewError::nats(failed))?;
        if status.values() == 0 {
            return Ok(vec![]);
        }
        let mut watch = store.watch_with_history(">").await.map_err(ViewError::nats(failed))?;
        let mut values = vec![];
        while let Ok(Some(entry)) = timeout(ENTRY_MAX, watch.next()).await {
            let entry = entry.map_err(ViewError::nats(failed))?;
            if entry.operation == Operation::Put {
                values.push(entry.value);
            }
            if entry.delta == 0 {
                break;
            }
        }
        Ok(values)
    }
}
