//! The world that specialists change, and the ledger in which they write it down: intent before the
//! effect, outcome after it.

use std::collections::{BTreeMap, BTreeSet};

use deadelus_proto::{Done, TaskId, TaskKey, Undo, WorkflowId};

/// What stands, and what is written down.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    ledger: BTreeMap<String, Held>,
    revision: u64,
    /// Which effects stand. A component takes the key with the request, so an effect that stands
    /// already is not put there twice.
    standing: BTreeSet<(WorkflowId, TaskId)>,
    /// How often one was asked for while it stood.
    pub(crate) repeated: u64,
    /// How often one was not good enough and left to whoever had taken it up.
    pub(crate) left: u64,
}

/// An entry of the ledger; it is there once the effect is about to begin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) undo: Option<Undo>,
    pub(crate) done: Option<Done>,
    /// Whose work it is that is done, and when they had begun.
    pub(crate) finished_by: Option<(String, i64)>,
    /// The revision at which somebody first wrote it down.
    pub(crate) intent: u64,
}

/// An entry, and the revision it was written at: whose that is, has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) entry: Entry,
    pub(crate) revision: u64,
}

impl Effects {
    pub(crate) fn read(&self, key: &str) -> Option<Held> {
        self.ledger.get(key).cloned()
    }

    /// The intent, where there is no entry yet.
    pub(crate) fn begin(&mut self, key: &str, entry: Entry) -> Held {
        let intent = self.revision + 1;
        self.write(key, Entry { intent, ..entry })
    }

    /// Writes what is there once more, and has it from now on.
    pub(crate) fn write(&mut self, key: &str, entry: Entry) -> Held {
        self.revision += 1;
        let held = Held { entry, revision: self.revision };
        self.ledger.insert(key.to_owned(), held.clone());
        held
    }

    /// Whether nobody has written since.
    pub(crate) fn is_its_own(&self, key: &str, held: &Held) -> bool {
        self.ledger.get(key).is_some_and(|now| now.revision == held.revision)
    }

    pub(crate) fn forget(&mut self, key: &str, held: &Held) {
        if self.is_its_own(key, held) {
            self.ledger.remove(key);
        }
    }

    pub(crate) fn land(&mut self, key: &TaskKey) {
        let fresh = self.standing.insert((key.workflow.clone(), key.task.clone()));
        self.repeated += u64::from(!fresh);
    }

    pub(crate) fn remove(&mut self, workflow: &WorkflowId, task: &TaskId) {
        self.standing.remove(&(workflow.clone(), task.clone()));
    }

    pub(crate) fn stands(&self, workflow: &WorkflowId, task: &TaskId) -> bool {
        self.standing.contains(&(workflow.clone(), task.clone()))
    }
}
