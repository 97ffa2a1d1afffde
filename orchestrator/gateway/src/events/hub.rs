//! One reader of the log for everybody who watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use deadelus_mesh::{Mesh, MeshError, meters, streams};
use deadelus_proto::{Subject, WorkflowId};
use deadelus_view::ViewError;
use futures_util::StreamExt as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::sleep,
};

use super::{
    frame::{self, Told},
    ring::Frame,
    topic::{self, Feed, Topic},
};

/// Logs that are read at once: many who come back together take turns.
const READS_MAX: usize = 8;

/// Frames of one page for somebody who is behind.
const PAGE_MAX: usize = 256;

/// A reader that died is forgotten by the server after this.
const READER_FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// Before the log is followed again after it could not be.
const AGAIN_PAUSE: Duration = Duration::from_millis(500);

/// Whoever watches, and what they watch.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(super) mesh: Mesh,
    all: Feed,
    topics: Mutex<HashMap<WorkflowId, Weak<Topic>>>,
    reads: Semaphore,
    seats_max: usize,
    seats: watch::Sender<usize>,
    /// Whether what is decided from now on reaches us.
    following: watch::Sender<bool>,
}

/// What somebody watches.
#[derive(Debug, Clone)]
pub(crate) enum Watched {
    /// Every workflow.
    All(Arc<Hub>),
    /// One.
    One(Arc<Hub>, Arc<Topic>),
}

/// Somebody watches, for as long as they hold it.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Hub>);

/// A piece of the log for somebody who is behind.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) frames: Vec<Frame>,
    /// Nothing up to here is missing.
    pub(super) through: u64,
}

impl Hub {
    /// Nobody watches yet, and nothing is read.
    pub(crate) fn open(mesh: Mesh, seats_max: usize) -> Arc<Self> {
        let hub = Arc::new(Self {
            mesh,
            all: Feed::new(),
            topics: Mutex::default(),
            reads: Semaphore::new(READS_MAX),
            seats_max,
            seats: watch::Sender::new(0),
            following: watch::Sender::new(false),
        });
        tokio::spawn(follow_for_ever(Arc::clone(&hub)));
        hub
    }

    /// A place for one more; none when all are taken.
    pub(crate) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let max = self.seats_max;
        let taken = self.seats.send_if_modified(|seats| {
            let free = *seats < max;
            *seats += usize::from(free);
            free
        });
        taken.then(|| {
            meters::streams_open(1);
            Seat(Arc::clone(self))
        })
    }

    /// Everything from now on.
    pub(crate) async fn all(self: &Arc<Self>) -> Watched {
        self.until_following().await;
        Watched::All(Arc::clone(self))
    }

    /// One workflow, from its first decision on.
    ///
    /// # Errors
    /// [`ViewError::NoWorkflow`], and when its log cannot be read.
    pub(crate) async fn one(self: &Arc<Self>, id: &WorkflowId) -> Result<Watched, ViewError> {
        self.until_following().await;
        let topic = {
            let mut topics = self.topics();
            let known = topics.get(id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let topic = Arc::new(Topic::new(id.clone(), Arc::downgrade(self)));
                topics.insert(id.clone(), Arc::downgrade(&topic));
                topic
            })
        };
        topic.open(self).await?;
        Ok(Watched::One(Arc::clone(self), topic))
    }

    /// To read a log.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.reads.acquire().await.ok()
    }

    /// The last who watched it is gone.
    pub(super) fn forget(&self, id: &WorkflowId) {
        let mut topics = self.topics();
        if topics.get(id).is_some_and(|topic| topic.strong_count() == 0) {
            topics.remove(id);
        }
    }

    async fn until_following(&self) {
        // The sender is ours.
        let _ = self.following.subscribe().wait_for(|following| *following).await;
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<WorkflowId, Weak<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watched(&self, id: &WorkflowId) -> Option<Arc<Topic>> {
        self.topics().get(id).and_then(Weak::upgrade)
    }

    /// Reads the log from its end on, as long as somebody watches.
    async fn follow(&self) -> Result<(), MeshError> {
        let mut seats = self.seats.subscribe();
        let failed = |e: &dyn std::fmt::Display| MeshError::jetstream("follow the log", text(e));
        let name = self.mesh.subjects.resource(streams::LOG);
        let stream = self.mesh.jetstream.get_stream(&name).await.map_err(|e| failed(&e))?;
        let last = stream.cached_info().state.last_sequence;
        let reader = pull::OrderedConfig {
            filter_subject: self.mesh.subjects.all("log"),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
            ..pull::OrderedConfig::default()
        };
        let reader = stream.create_consumer(reader).await.map_err(|e| failed(&e))?;
        let mut messages = reader.messages().await.map_err(|e| failed(&e))?;
        self.all.restart(last);
        self.following.send_replace(true);
        let topics: Vec<_> = self.topics().values().filter_map(Weak::upgrade).collect();
        topics.iter().for_each(|topic| topic.wake());
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                _ = seats.wait_for(|seats| *seats == 0) => return Ok(()),
            };
            let Some(message) = message else { return Err(failed(&"the reader has ended")) };
            let message = message.map_err(|e| failed(&e))?;
            let sequence = message.info().map_err(|e| failed(&e))?.stream_sequence;
            self.all.push(frame::notice(sequence, &message.payload));
            if let Ok(Subject::Log(id)) = self.mesh.subjects.parse(&message.subject)
                && let Some(topic) = self.watched(&id)
            {
                topic.wake();
            }
        }
    }

    /// A page of everybody's log.
    async fn page(&self, after: u64) -> Result<Page, MeshError> {
        let _turn = self.turn().await;
        let failed = |e: &dyn std::fmt::Display| MeshError::jetstream("read the log", text(e));
        let newest = self.all.newest();
        let stream = streams::stream(&self.mesh, streams::LOG).await?;
        let config = pull::Config {
            filter_subject: self.mesh.subjects.all("log"),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: READER_FORGOTTEN_AFTER,
            ..pull::Config::default()
        };
        let reader = stream.create_consumer(config).await.map_err(|e| failed(&e))?;
        let fetched = reader.fetch().max_messages(PAGE_MAX).messages().await;
        let mut messages = fetched.map_err(|e| failed(&e))?;
        let (mut frames, mut through) = (vec![], None);
        while let Some(message) = messages.next().await {
            let message = message.map_err(|e| failed(&e))?;
            let sequence = message.info().map_err(|e| failed(&e))?.stream_sequence;
            through = Some(sequence);
            frames.extend(frame::notice(sequence, &message.payload));
        }
        let name = &reader.cached_info().name;
        if let Err(error) = stream.delete_consumer(name).await {
            tracing::debug!(%error, name, "the server will forget this reader by itself");
        }
        Ok(Page { frames, through: through.unwrap_or(newest).max(after) })
    }

    /// A page of one workflow's log, from wherever it is kept.
    async fn page_of(&self, topic: &Topic, after: u64) -> Result<Page, MeshError> {
        let _turn = self.turn().await;
        let mut told = Told::new(topic.id.clone());
        let mut frames = topic::more(&self.mesh, &topic.id, &mut told).await?;
        frames.retain(|frame| frame.sequence > after);
        let is_all = frames.len() <= PAGE_MAX;
        frames.truncate(PAGE_MAX);
        let last = frames.last().map_or(after, |frame| frame.sequence);
        Ok(Page { frames, through: if is_all { told.through().max(last) } else { last } })
    }
}

impl Watched {
    pub(super) fn feed(&self) -> &Feed {
        match self {
            Self::All(hub) => &hub.all,
            Self::One(_, topic) => &topic.feed,
        }
    }

    /// What follows a place that the feed does not keep any more.
    pub(super) async fn page(&self, after: u64) -> Result<Page, MeshError> {
        match self {
            Self::All(hub) => hub.page(after).await,
            Self::One(hub, topic) => hub.page_of(topic, after).await,
        }
    }

    /// Where somebody begins who does not say where they were: all of one workflow, nothing of what
    /// was before of all.
    pub(super) fn beginning(&self) -> u64 {
        match self {
            Self::All(hub) => hub.all.newest(),
            Self::One(..) => 0,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.seats.send_modify(|seats| *seats = seats.saturating_sub(1));
        meters::streams_open(-1);
    }
}

/// While nobody watches nothing is read.
async fn follow_for_ever(hub: Arc<Hub>) {
    let mut seats = hub.seats.subscribe();
    loop {
        // The sender is the hub's own.
        let _ = seats.wait_for(|seats| *seats > 0).await;
        if let Err(error) = hub.follow().await {
            tracing::warn!(error = deadelus_mesh::chain(&error), "the log cannot be followed");
            sleep(AGAIN_PAUSE).await;
        }
        hub.following.send_replace(false);
    }
}

fn text(error: &dyn std::fmt::Display) -> std::io::Error {
    std::io::Error::other(error.to_string())
}
