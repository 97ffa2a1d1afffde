//! What a capability may use of the mesh while it works.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use deadelus_mesh::{clock::now_unix_ms, objects};
use deadelus_proto::{
    Artefact, ErrorClass, Failure, Subject, TargetName, TaskKey, limits::ARTEFACT_MAX_BYTES, pb,
};
use prost::Message as _;
use tokio::sync::watch;

use crate::report::Reporter;

/// One task's surroundings: which target, how long, where evidence goes, whether to stop.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) key: TaskKey,
    pub(crate) target: TargetName,
    pub(crate) deadline: Instant,
    pub(crate) store: Store,
    pub(crate) cancel: watch::Receiver<bool>,
}

/// Stops the task of a context that is outside any mesh.
#[derive(Debug)]
pub struct Cancel(watch::Sender<bool>);

impl Cancel {
    /// As the orchestrator asks to stop; what is done after the first time changes nothing.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

/// Where artefacts and progress go.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// Memory, for a capability that is called without a mesh.
    Memory(Arc<Mutex<BTreeMap<String, Bytes>>>),
    /// The mesh's object store and its live subjects.
    Mesh(Arc<Reporter>),
}

impl Context {
    /// A context outside any mesh: artefacts stay in memory, progress goes nowhere, nobody cancels.
    /// For tests of a capability on its own.
    ///
    /// # Panics
    /// When `target` is no target name.
    pub fn detached(target: &str) -> Self {
        Self::detached_with_cancel(target).0
    }

    /// The same, with what makes it stop.
    ///
    /// # Panics
    /// When `target` is no target name.
    #[expect(clippy::expect_used, reason = "constants, and a name the caller wrote as a literal")]
    pub fn detached_with_cancel(target: &str) -> (Self, Cancel) {
        let (stop, cancel) = watch::channel(false);
        let cx = Self {
            key: TaskKey {
                workflow: "detached".parse().expect("a workflow id"),
                task: "task".parse().expect("a task id"),
                direction: deadelus_proto::Direction::Do,
                attempt: 1,
            },
            target: target.parse().expect("a target name"),
            deadline: Instant::now() + Duration::from_secs(600),
            store: Store::Memory(Arc::default()),
            cancel,
        };
        (cx, Cancel(stop))
    }

    /// Which attempt of what this is.
    pub fn key(&self) -> &TaskKey {
        &self.key
    }

    /// The system that is looked at or changed.
    pub fn target(&self) -> &TargetName {
        &self.target
    }

    /// When the orchestrator gives this attempt up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the orchestrator asked to stop. A change that can stop half-way and take itself back
    /// looks here between its steps.
    pub fn cancelled(&self) -> bool {
        *self.cancel.borrow()
    }

    /// Returns once the orchestrator asks to stop; never, if it does not.
    pub async fn until_cancelled(&self) {
        let mut cancel = self.cancel.clone();
        if cancel.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Tells whoever watches, best effort. `fraction` is 0 to 1 where it is known.
    pub async fn progress(&self, message: &str, fraction: Option<f64>) {
        match &self.store {
            Store::Memory(_) => tracing::debug!(message, ?fraction, "progress"),
            Store::Mesh(reporter) => {
                let mesh = &reporter.mesh;
                let (from, key) = (reporter.specialist.clone(), self.key.clone());
                let subject = mesh.subjects.of(&Subject::Live(from, key.workflow, key.task));
                let progress = self.progress_message(&reporter.instance, message, fraction);
                if let Err(error) =
                    mesh.client.publish(subject, progress.encode_to_vec().into()).await
                {
                    tracing::debug!(%error, "progress was lost");
                }
            }
        }
    }

    /// Keeps bytes as evidence or for a later task, named by their SHA-256.
    ///
    /// # Errors
    /// `invalid_input` when they are too many, `unavailable` when the store is.
    pub async fn keep(
        &self,
        name: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Artefact, Failure> {
        if bytes.len() > ARTEFACT_MAX_BYTES {
            let text =
                format!("artefact {name}: {} bytes, at most {ARTEFACT_MAX_BYTES}", bytes.len());
            return Err(Failure::new(ErrorClass::InvalidInput, text));
        }
        match &self.store {
            Store::Memory(kept) => {
                let artefact = describe(name, media_type, &bytes);
                if let Ok(mut kept) = kept.lock() {
                    kept.insert(artefact.sha256.to_string(), bytes);
                }
                Ok(artefact)
            }
            Store::Mesh(reporter) => {
                objects::put(&reporter.mesh, name, media_type, bytes).await.map_err(|e| {
                    Failure::new(ErrorClass::Unavailable, format!("artefact {name}: {e}"))
                })
            }
        }
    }

    /// The bytes of an artefact that an earlier task or the plan named.
    ///
    /// # Errors
    /// `invalid_input` when there are none of that name, `unavailable` when the store is.
    pub async fn fetch(&self, artefact: &Artefact) -> Result<Bytes, Failure> {
        match &self.store {
            Store::Memory(kept) => kept
                .lock()
                .ok()
                .and_then(|kept| kept.get(artefact.sha256.as_str()).cloned())
                .ok_or_else(|| {
                    let text =
                        format!("artefact {} ({}) is not kept", artefact.name, artefact.sha256);
                    Failure::new(ErrorClass::InvalidInput, text)
                }),
            Store::Mesh(reporter) => {
                Box::pin(objects::get(&reporter.mesh, artefact)).await.map_err(|e| {
                    let text = format!("artefact {}: {e}", artefact.name);
                    Failure::new(ErrorClass::Unavailable, text)
                })
            }
        }
    }

    fn progress_message(
        &self,
        instance: &str,
        message: &str,
        fraction: Option<f64>,
    ) -> pb::Progress {
        pb::Progress {
            workflow_id: self.key.workflow.to_string(),
            task_id: self.key.task.to_string(),
            direction: self.key.direction.to_pb().into(),
            attempt: self.key.attempt,
            instance: instance.to_owned(),
            message: message.to_owned(),
            fraction: fraction.unwrap_or(-1.0),
            at_unix_ms: now_unix_ms(),
        }
    }
}

fn describe(name: &str, media_type: &str, bytes: &[u8]) -> Artefact {
    Artefact {
        sha256: objects::sha256(bytes),
        media_type: media_type.to_owned(),
        size_bytes: bytes.len() as u64,
        name: name.to_owned(),
    }
}
