//! Talking to the mesh: where it is, what is asked of the orchestrator, what is read from the
//! streams. Every wait here has a bound, because a person sits in front of it.

use std::time::Duration;

use async_nats::{HeaderMap, client::RequestErrorKind, jetstream::kv::Operation};
use bytes::Bytes;
use deadelus_mesh::{
    Mesh, archive,
    config::{self, Layers, NatsConfig},
    lists::Lists,
    streams,
};
use deadelus_proto::{
    SpecialistName, Subject, WorkflowId,
    pb::{self, inbound::Message as Inbound},
    subject::Api,
};
use futures_util::StreamExt;
use prost::Message;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::timeout};

use crate::{args::Place, error::CliError, history::History, home::Home, ids, shelves};

/// A server that runs lets us in within milliseconds; over a slow link within this.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// The planner answers within milliseconds; a busy orchestrator within this.
const ASK_MAX: Duration = Duration::from_secs(10);

/// An orchestrator decides a message within milliseconds; one that has just died hands over
/// within this.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// Between two entries of a bucket that is read whole.
const ENTRY_MAX: Duration = Duration::from_secs(5);

/// The sender's name in the subject of what a person sends.
const FROM: &str = "client";

/// How to reach the mesh: only the section of it that concerns us. The environment of a shell may
/// hold other processes' sections, so unknown ones are none of our business.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    nats: NatsConfig,
}

/// A connection to the mesh, on behalf of a person.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// The fabric.
    pub(crate) mesh: Mesh,
    /// Where it is.
    pub(crate) url: String,
    /// Who asks.
    pub(crate) by: String,
}

/// What became of a message to the orchestrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is decided.
    Accepted,
    /// It was refused, and why.
    Refused(Vec<String>),
    /// It is stored, and nobody has answered yet.
    Stored,
}

impl Client {
    /// Connects to the mesh of the flags, the configuration or the home folder.
    ///
    /// # Errors
    /// [`CliError::NoServer`] when nothing listens there.
    pub(crate) async fn connect(place: &Place) -> Result<Self, CliError> {
        let home = Home::at(&place.home)?;
        let config = configuration(place, &home)?;
        let url = config.url.clone();
        let nobody = || CliError::NoServer { url: url.clone() };
        if !listens(&url).await {
            return Err(nobody());
        }
        let connected = timeout(CONNECT_MAX, deadelus_mesh::connect(&config, "deadelus-cli"));
        let mesh = connected.await.map_err(|_| nobody())??;
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        let number = || format!("uid {}", rustix::process::getuid().as_raw());
        Ok(Self { mesh, url, by: user.unwrap_or_else(number) })
    }

    /// Asks an orchestrator.
    ///
    /// # Errors
    /// [`CliError::NoOrchestrator`] when nobody answers.
    pub(crate) async fn ask<A: Message + Default>(
        &self,
        api: Api,
        question: &impl Message,
    ) -> Result<A, CliError> {
        let subject = self.mesh.subjects.of(&Subject::Api(api));
        let asked = self.mesh.client.request(subject, question.encode_to_vec().into());
        let answer = match timeout(ASK_MAX, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) if e.kind() != RequestErrorKind::NoResponders => {
                return Err(CliError::nats("ask the orchestrator")(e));
            }
            Ok(Err(_)) | Err(_) => return Err(CliError::NoOrchestrator),
        };
        A::decode(answer.payload).map_err(CliError::nats("read the orchestrator's answer"))
    }

    /// Sends a person's message to the orchestrator and waits for its word.
    ///
    /// # Errors
    /// When the message cannot be stored.
    pub(crate) async fn send(
        &self,
        workflow: &WorkflowId,
        message: Inbound,
    ) -> Result<Heard, CliError> {
        let from: SpecialistName = FROM.parse().map_err(|e| CliError::Usage(format!("{e}")))?;
        let reply_to = self.mesh.client.new_inbox();
        let mut replies = self
            .mesh
            .client
            .subscribe(reply_to.clone())
            .await
            .map_err(CliError::nats("listen for the answer"))?;
        let inbound = pb::Inbound {
            id: ids::message(),
            workflow_id: workflow.to_string(),
            reply_to,
            message: Some(message),
        };
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow: workflow.clone() });
        let bytes = inbound.encode_to_vec().into();
        let failed = || CliError::nats("send to the orchestrator");
        let stored =
            self.mesh.jetstream.publish_with_headers(subject, HeaderMap::new(), bytes).await;
        stored.map_err(failed())?.await.map_err(failed())?;
        let Ok(Some(reply)) = timeout(ANSWER_MAX, replies.next()).await else {
            return Ok(Heard::Stored);
        };
        let answer =
            pb::Answer::decode(reply.payload).map_err(CliError::nats("read the answer"))?;
        Ok(if answer.accepted { Heard::Accepted } else { Heard::Refused(answer.problems) })
    }

    /// Everything that was decided about a workflow.
    ///
    /// # Errors
    /// [`CliError::NoWorkflow`] when its log is empty, or it was forgotten.
    pub(crate) async fn history(&self, id: &WorkflowId) -> Result<History, CliError> {
        let mut history = History::new(id.clone());
        self.extend(&mut history).await?;
        if history.is_forgotten() || history.last_sequence() == 0 {
            return Err(CliError::NoWorkflow(id.to_string()));
        }
        Ok(history)
    }

    /// Every message of a workflow's log, byte for byte, with its place in the stream, wherever it is
    /// kept.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) async fn log(&self, id: &WorkflowId) -> Result<Vec<(u64, Bytes)>, CliError> {
        Ok(Box::pin(archive::read(&self.mesh, id, 0)).await?)
    }

    /// Reads what was decided since. Says whether there was anything.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) async fn extend(&self, history: &mut History) -> Result<bool, CliError> {
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
    pub(crate) async fn slots(&self) -> Result<Vec<pb::SlotTable>, CliError> {
        let entries = self.entries(streams::SLOTS).await?;
        let decoded = entries.iter().map(|bytes| pb::SlotTable::decode(bytes.as_ref()));
        decoded.collect::<Result<_, _>>().map_err(CliError::nats("read who has a slot"))
    }

    /// Where a workflow's decisions stand.
    pub(crate) fn log_subject(&self, id: &WorkflowId) -> String {
        self.mesh.subjects.of(&Subject::Log(id.clone()))
    }

    /// The lines of all workflows.
    ///
    /// # Errors
    /// [`CliError::NoOrchestrator`] on a server where no process of ours has been yet.
    pub(crate) async fn lists(&self) -> Result<Lists, CliError> {
        match streams::bucket(&self.mesh, streams::WORKFLOWS).await {
            Ok(_) => Ok(Lists::of(&self.mesh)),
            Err(_) => Err(CliError::NoOrchestrator),
        }
    }

    /// What the specialists offer, by name.
    ///
    /// # Errors
    /// When the bucket cannot be read or holds what is no card.
    pub(crate) async fn cards(&self) -> Result<Vec<deadelus_proto::SpecialistCard>, CliError> {
        let mut cards: Vec<deadelus_proto::SpecialistCard> = vec![];
        for bytes in self.entries(streams::CARDS).await? {
            let card = pb::SpecialistCard::decode(bytes).map_err(CliError::nats("read a card"))?;
            cards.push(card.try_into().map_err(CliError::nats("read a card"))?);
        }
        cards.sort_by(|a, b| a.specialist.cmp(&b.specialist));
        Ok(cards)
    }

    /// The workflow that a person means: its id, or `latest`.
    ///
    /// # Errors
    /// [`CliError::Usage`] for what is no id, [`CliError::NoWorkflow`] when there is none at all.
    pub(crate) async fn workflow_id(&self, text: &str) -> Result<WorkflowId, CliError> {
        let id = match text {
            "latest" => {
                let latest = Box::pin(shelves::latest(&self.lists().await?)).await?;
                latest.ok_or_else(|| CliError::NoWorkflow("yet".to_owned()))?
            }
            _ => text.to_owned(),
        };
        id.parse().map_err(|e| CliError::Usage(format!("{e}")))
    }

    /// The newest value of every key of a bucket, in one pass.
    async fn entries(&self, bucket: &str) -> Result<Vec<bytes::Bytes>, CliError> {
        let failed = "read a bucket";
        let store = match streams::bucket(&self.mesh, bucket).await {
            Ok(store) => store,
            // A server where no process of ours has been yet.
            Err(_) => return Err(CliError::NoOrchestrator),
        };
        let status = store.status().await.map_err(CliError::nats(failed))?;
        if status.values() == 0 {
            return Ok(vec![]);
        }
        let mut watch = store.watch_with_history(">").await.map_err(CliError::nats(failed))?;
        let mut values = vec![];
        while let Ok(Some(entry)) = timeout(ENTRY_MAX, watch.next()).await {
            let entry = entry.map_err(CliError::nats(failed))?;
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

/// The flag wins over the environment, that over the file, and that over what `up` has recorded.
fn configuration(place: &Place, home: &Home) -> Result<NatsConfig, CliError> {
    let own = home.config("cli");
    let file = place.config.clone().or_else(|| own.is_file().then_some(own));
    let overrides = place.nats_url.iter().map(|url| ("nats.url".to_owned(), url.clone()));
    let layers = Layers { process: "cli", file, overrides: overrides.collect() };
    let mut config: NatsConfig = config::load::<Config>(&layers)?.nats;
    let untouched = config.url == NatsConfig::default().url && config.context.is_empty();
    if untouched
        && place.nats_url.is_none()
        && let Some(url) = home.url()?
    {
        config.url = url;
    }
    Ok(config)
}

/// False when it is certain that nobody does: a plain address where the connection is refused.
async fn listens(url: &str) -> bool {
    let Some(address) = url.strip_prefix("nats://").filter(|a| !a.contains([',', '/', '@'])) else {
        return true;
    };
    let address =
        if address.contains(':') { address.to_owned() } else { format!("{address}:4222") };
    match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
        Ok(connected) => connected.is_ok(),
        Err(_) => false,
    }
}
