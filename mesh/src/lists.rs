//! The lines of the WORKFLOWS bucket: one per workflow, on one of three shelves.
//!
//! Which shelf a line is on is in its key, so that whoever wants the open ones reads these alone,
//! however many have ended. Within a shelf the order of the stream is the order in which lines were
//! put there: the oldest end first. A line never tells the truth about its workflow; the log does.

use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::{
        ErrorCode,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull},
        stream::Stream,
    },
};
use bytes::Bytes;
use deadelus_proto::{WorkflowId, pb};
use futures_util::StreamExt as _;
use prost::Message as _;

use crate::{
    Mesh, MeshError,
    pipeline::{self, Answer},
    streams::{self, WORKFLOWS},
};

/// Lines fetched at once: about half a MiB.
const FETCH_LINES: usize = 1_024;

/// A reader that died is forgotten by the server after this.
const READER_FORGOTTEN_AFTER: std::time::Duration = std::time::Duration::from_secs(10);

/// The newest lines of a shelf are looked for in a piece of the stream this many times as long, and
/// then in one as many times longer.
const WIDER: u64 = 8;

/// What other programs write of a key that is gone.
const OPERATION_HEADER: &str = "KV-Operation";

/// What the server says of a subject that is to be empty and is not.
const THERE_IS_ONE: ErrorCode = ErrorCode::STREAM_WRONG_LAST_SEQUENCE;

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// Its workflow is open, or has just ended: key `<id>`.
    Open,
    /// Its workflow has ended, and its log is in the stream: key `ended.<id>`.
    Ended,
    /// Its workflow's log is archived: key `archived.<id>`.
    Archived,
}

impl Shelf {
    fn prefix(self) -> &'static str {
        match self {
            Self::Open => "",
            Self::Ended => "ended.",
            Self::Archived => "archived.",
        }
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Where it is.
    pub shelf: Shelf,
    /// Its place in the bucket's stream: a newer line of the same key has a higher one.
    pub sequence: u64,
    /// What it says.
    pub summary: pb::WorkflowSummary,
}

/// The lines of one mesh.
#[derive(Debug, Clone)]
pub struct Lists {
    mesh: Mesh,
    /// `$KV.DEADELUS_V1_WORKFLOWS.`
    prefix: String,
    /// The stream under the bucket.
    stream: String,
}

impl Lists {
    /// Those of this mesh. The server is not asked whether they are there.
    pub fn of(mesh: &Mesh) -> Self {
        let prefix = format!("$KV.{}.", mesh.subjects.resource(WORKFLOWS));
        let stream = streams::resource(mesh, WORKFLOWS);
        Self { mesh: mesh.clone(), prefix, stream }
    }

    /// What to publish so that the line is on the shelf: subject, headers, bytes.
    pub fn message(
        &self,
        shelf: Shelf,
        summary: &pb::WorkflowSummary,
    ) -> (String, HeaderMap, Bytes) {
        let subject = self.subject(shelf, &summary.workflow_id);
        (subject, HeaderMap::new(), summary.encode_to_vec().into())
    }

    /// Puts a line on a shelf; one that is there is replaced.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the stream does not say that it has it.
    pub async fn put(&self, shelf: Shelf, summary: &pb::WorkflowSummary) -> Result<(), MeshError> {
        let (subject, headers, bytes) = self.message(shelf, summary);
        match pipeline::publish(&self.mesh, &subject, headers, bytes).await {
            Answer::Stored(_) => Ok(()),
            Answer::Refused(error) => Err(MeshError::jetstream(format!("put {subject}"), error)),
            Answer::Silence(why) => Err(MeshError::jetstream(format!("put {subject}"), why)),
        }
    }

    /// Puts a line on a shelf, if its workflow has none there.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the stream does not say that it has one.
    pub async fn put_first(
        &self,
        shelf: Shelf,
        summary: &pb::WorkflowSummary,
    ) -> Result<(), MeshError> {
        let (subject, mut headers, bytes) = self.message(shelf, summary);
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        match pipeline::publish(&self.mesh, &subject, headers, bytes).await {
            Answer::Stored(_) => Ok(()),
            Answer::Refused(error) if error.error_code() == THERE_IS_ONE => Ok(()),
            Answer::Refused(error) => Err(MeshError::jetstream(format!("put {subject}"), error)),
            Answer::Silence(why) => Err(MeshError::jetstream(format!("put {subject}"), why)),
        }
    }

    /// Takes a line off its shelf; one that was put there since stays.
    ///
    /// # Errors
    /// [`MeshError::JetStream`].
    pub async fn take_off(&self, line: &Line) -> Result<(), MeshError> {
        let subject = self.subject(line.shelf, &line.summary.workflow_id);
        streams::purge(&self.mesh, &self.stream, &subject, Some(line.sequence + 1)).await
    }

    /// Puts a line on another shelf. Killed in the middle it is on both, and both say the same.
    ///
    /// # Errors
    /// Those of [`put`](Self::put) and [`take_off`](Self::take_off).
    pub async fn move_to(&self, shelf: Shelf, line: &Line) -> Result<(), MeshError> {
        self.put(shelf, &line.summary).await?;
        self.take_off(line).await
    }

    /// The lines of a shelf from a sequence on, the one put first first.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the bucket cannot be read.
    pub async fn walk(&self, shelf: Shelf, from: u64) -> Result<Walk, MeshError> {
        let stream = self.opened().await?;
        let config = pull::Config {
            filter_subject: self.subject(shelf, "*"),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: READER_FORGOTTEN_AFTER,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(failed)?;
        let left = consumer.cached_info().num_pending;
        Ok(Walk { shelf, stream, consumer, left, fetched: vec![] })
    }

    /// The lines of a shelf that were put there last, at most `count`, the last one first.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the bucket cannot be read.
    pub async fn newest(&self, shelf: Shelf, count: usize) -> Result<Vec<Line>, MeshError> {
        let stream = self.mesh.jetstream.get_stream(&self.stream).await.map_err(failed)?;
        let last = stream.cached_info().state.last_sequence;
        let mut width = (count as u64).max(1);
        loop {
            width = width.saturating_mul(WIDER);
            let from = last.saturating_sub(width);
            let mut walk = self.walk(shelf, from).await?;
            if walk.left() >= count as u64 || from == 0 {
                let mut lines = vec![];
                while let Some(line) = walk.next().await? {
                    lines.push(line);
                }
                lines.drain(..lines.len().saturating_sub(count));
                lines.reverse();
                return Ok(lines);
            }
            walk.close().await;
        }
    }

    /// How many lines are on a shelf.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the bucket cannot be read.
    pub async fn count(&self, shelf: Shelf) -> Result<u64, MeshError> {
        let walk = self.walk(shelf, 0).await?;
        let count = walk.left();
        walk.close().await;
        Ok(count)
    }

    fn subject(&self, shelf: Shelf, id: &str) -> String {
        format!("{}{}{id}", self.prefix, shelf.prefix())
    }

    async fn opened(&self) -> Result<Stream<()>, MeshError> {
        self.mesh.jetstream.get_stream_no_info(&self.stream).await.map_err(failed)
    }
}

/// Lines that are read one after the other: those that were there when it began.
#[derive(Debug)]
pub struct Walk {
    shelf: Shelf,
    stream: Stream<()>,
    consumer: PullConsumer,
    /// What is still to be fetched.
    left: u64,
    /// What was fetched, the next one last.
    fetched: Vec<Line>,
}

impl Walk {
    /// How many are still to come, at most.
    pub fn left(&self) -> u64 {
        self.left + self.fetched.len() as u64
    }

    /// The next one; none at the end. What cannot be read is passed over and logged.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the bucket cannot be read.
    pub async fn next(&mut self) -> Result<Option<Line>, MeshError> {
        while self.fetched.is_empty() && self.left > 0 {
            self.fetch().await?;
            if self.left == 0 {
                self.forget().await;
            }
        }
        Ok(self.fetched.pop())
    }

    /// Reads no more.
    pub async fn close(mut self) {
        self.left = 0;
        self.forget().await;
    }

    async fn fetch(&mut self) -> Result<(), MeshError> {
        let wanted = self.left.min(FETCH_LINES as u64);
        let most = usize::try_from(wanted).unwrap_or(FETCH_LINES);
        let batch = self.consumer.fetch().max_messages(most).messages().await;
        let mut batch = batch.map_err(failed)?;
        let mut came = 0;
        while let Some(message) = batch.next().await {
            let message = message.map_err(|e| MeshError::jetstream("read the list", e))?;
            came += 1;
            let info = message.info().map_err(|e| MeshError::jetstream("read the list", e))?;
            let sequence = info.stream_sequence;
            self.fetched.extend(line(self.shelf, sequence, &message));
        }
        self.fetched.reverse();
        // Lines may have been taken off since the walk began: then there is nothing more.
        self.left = if came == 0 { 0 } else { self.left - came.min(self.left) };
        Ok(())
    }

    async fn forget(&self) {
        let name = &self.consumer.cached_info().name;
        if let Err(error) = self.stream.delete_consumer(name).await {
            tracing::debug!(%error, name, "the server will forget this reader by itself");
        }
    }
}

fn line(shelf: Shelf, sequence: u64, message: &async_nats::Message) -> Option<Line> {
    if message.headers.as_ref().is_some_and(|headers| headers.get(OPERATION_HEADER).is_some()) {
        return None;
    }
    let read = pb::WorkflowSummary::decode(message.payload.clone()).map_err(|e| e.to_string());
    let named = read.and_then(|summary| {
        let id: Result<WorkflowId, _> = summary.workflow_id.parse();
        id.map(|_| summary).map_err(|e| e.to_string())
    });
    match named {
        Ok(summary) => Some(Line { shelf, sequence, summary }),
        Err(error) => {
            tracing::warn!(subject = %message.subject, error, "a line that cannot be read");
            None
        }
    }
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> MeshError {
    MeshError::jetstream("read the list", error)
}
