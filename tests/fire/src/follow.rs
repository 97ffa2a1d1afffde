//! Follows the log of the whole mesh, message by message from its leader, and folds it as every reader
//! does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::jetstream::stream::Stream;
use deadelus_core::{Chain, Ending, Link, Status};
use deadelus_mesh::{Mesh, MeshError, streams};
use deadelus_proto::{
    WorkflowId,
    pb::{self, Direction, event::Kind},
};
use prost::Message as _;
use tokio::{sync::watch, time::sleep};

/// Between two looks at a log that has nothing new, or nobody who answers.
const POLL: Duration = Duration::from_millis(50);

/// The log as far as it was read. Clones share it.
#[derive(Debug, Clone)]
pub struct Log {
    tales: Arc<Mutex<Tales>>,
    /// Changes with every decision.
    read: watch::Receiver<u64>,
}

/// Everything that was told.
#[derive(Debug, Default)]
pub struct Tales {
    /// By workflow.
    pub of: BTreeMap<WorkflowId, Tale>,
    /// The longest time in which nobody decided anything, in milliseconds.
    pub silence_ms: i64,
    last_ms: i64,
}

/// What is told of one workflow.
#[derive(Debug)]
pub struct Tale {
    chain: Chain,
    /// When it was accepted, in milliseconds since the epoch.
    pub accepted_ms: i64,
    /// The longest time between two of its decisions while it had not ended, in milliseconds.
    pub stall_ms: i64,
    /// What followed the longest stall.
    pub stalled_before: String,
    /// How often each task was done and taken back.
    pub done: BTreeMap<(String, Direction), u32>,
    /// When each of its decisions was made, in milliseconds since it was accepted, and what it says.
    pub told: Vec<(i64, String)>,
    /// Effects that landed after they had been given up.
    pub late: u32,
    /// Decisions that lost a race and were still stored.
    pub ignored: u32,
    last_ms: i64,
}

impl Tale {
    fn new(id: WorkflowId) -> Self {
        Self {
            chain: Chain::new(id),
            accepted_ms: 0,
            stall_ms: 0,
            stalled_before: String::new(),
            done: BTreeMap::new(),
            told: vec![],
            late: 0,
            ignored: 0,
            last_ms: 0,
        }
    }

    /// How it ended, unless it was taken up again since.
    pub fn ending(&self) -> Option<Ending> {
        match self.chain.workflow()?.status() {
            Status::Ended(ending) => Some(ending),
            Status::Approval
            | Status::Paused
            | Status::Running
            | Status::TakingBack
            | Status::Stuck => None,
        }
    }

    /// What it is like, for a person.
    pub fn state(&self) -> String {
        match (self.chain.gap(), self.chain.workflow()) {
            (Some(gap), _) => format!("needs-reconcile: {gap}"),
            (None, Some(workflow)) => workflow.status().to_string(),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// Whether its log is damaged.
    pub fn damaged(&self) -> bool {
        self.chain.gap().is_some()
    }

    fn read(&mut self, sequence: u64, bytes: &[u8]) -> Option<i64> {
        let had_ended = self.ending().is_some();
        match self.chain.read(sequence, bytes) {
            Link::Accepted => {}
            Link::Ignored(_) => {
                self.ignored += 1;
                return None;
            }
            Link::Known | Link::NeedsReconcile(_) => return None,
        }
        let decision = pb::Decision::decode(bytes).ok()?;
        let kinds: Vec<&Kind> = decision.events.iter().filter_map(|e| e.kind.as_ref()).collect();
        let at = decision.decided_unix_ms;
        if self.last_ms == 0 {
            self.accepted_ms = at;
        } else if !had_ended && at - self.last_ms > self.stall_ms {
            self.stall_ms = at - self.last_ms;
            self.stalled_before = kinds.first().map_or_else(String::new, |kind| in_words(kind));
        }
        let all: Vec<String> = kinds.iter().map(|kind| in_words(kind)).collect();
        self.told.push((at - self.accepted_ms, format!("{} ({})", all.join(", "), decision.owner)));
        self.last_ms = at;
        for kind in kinds {
            if let Kind::TaskDone(e) = kind {
                *self.done.entry((e.task_id.clone(), e.direction())).or_default() += 1;
            }
            self.late += u32::from(matches!(kind, Kind::LateEffect(_)));
        }
        Some(at)
    }
}

/// `TaskDone e3 by sink-7f3a21`, from its own debug text.
fn in_words(kind: &Kind) -> String {
    let text = format!("{kind:?}");
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("{name}: \""))?;
        rest.split('"').next().filter(|value| !value.is_empty())
    };
    let task = field("task_id").map_or_else(String::new, |task| format!(" {task}"));
    let by = field("instance").map_or_else(String::new, |by| format!(" by {by}"));
    format!("{}{task}{by}", text.split('(').next().unwrap_or_default())
}

impl Log {
    /// Follows it for as long as the runtime lives.
    ///
    /// # Errors
    /// Never for a stream of ours.
    pub async fn follow(mesh: &Mesh) -> Result<Self, MeshError> {
        let stream = streams::stream(mesh, streams::LOG).await?;
        let tales = Arc::new(Mutex::new(Tales::default()));
        let (told, read) = watch::channel(0);
        let log = Self { tales: Arc::clone(&tales), read };
        tokio::spawn(follow(mesh.clone(), stream, tales, told));
        Ok(log)
    }

    /// What was told so far.
    pub fn tales(&self) -> MutexGuard<'_, Tales> {
        // Folding does not panic half-way; what is there can be read.
        self.tales.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is so of a workflow.
    pub async fn until(&self, id: &WorkflowId, is_so: impl Fn(&Tale) -> bool + Send) {
        let mut read = self.read.clone();
        loop {
            if self.tales().of.get(id).is_some_and(&is_so) {
                return;
            }
            if read.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn follow(
    mesh: Mesh,
    stream: Stream<()>,
    tales: Arc<Mutex<Tales>>,
    told: watch::Sender<u64>,
) {
    let prefix = mesh.subjects.all("log").replace('>', "");
    let mut from = 1;
    loop {
        // The next there is, from the leader; none yet is an error like any other.
        let next =
            stream.raw_message_builder().sequence(from).next_by_subject(format!("{prefix}>"));
        let Ok(message) = next.send().await else {
            sleep(POLL).await;
            continue;
        };
        from = message.sequence + 1;
        let id = message.subject.rsplit('.').next().unwrap_or_default().parse::<WorkflowId>();
        let Ok(id) = id else { continue };
        {
            let mut tales = tales.lock().unwrap_or_else(PoisonError::into_inner);
            let tale = tales.of.entry(id.clone()).or_insert_with(|| Tale::new(id));
            if let Some(at) = tale.read(message.sequence, &message.payload) {
                if tales.last_ms > 0 {
                    tales.silence_ms = tales.silence_ms.max(at - tales.last_ms);
                }
                tales.last_ms = tales.last_ms.max(at);
            }
        }
        told.send_replace(from);
    }
}
