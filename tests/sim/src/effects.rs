//! The world that specialists change, and the ledger in which they write it down: intent before the
//! effect, outcome after it.

use std::collections::BTreeMap;

use deadelus_proto::{Done, TaskId, TaskKey, Undo, WorkflowId};

/// No job: an effect that two have asked for.
const SHARED: u64 = 0;

/// What stands, and what is written down.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    ledger: BTreeMap<String, Entry>,
    /// Which effects stand, and which job put each there. A component takes the key with the
    /// request, so an effect that stands already is not put there twice.
    standing: BTreeMap<(WorkflowId, TaskId), u64>,
    /// How often one was asked for while it stood.
    pub(crate) repeated: u64,
}

/// An entry of the ledger; it is there once the effect is about to begin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) undo: Option<Undo>,
    pub(crate) done: Option<Done>,
}

impl Effects {
    pub(crate) fn read(&self, key: &str) -> Option<Entry> {
        self.ledger.get(key).cloned()
    }

    /// False when there is an entry already.
    pub(crate) fn begin(&mut self, key: &str, entry: Entry) -> bool {
        let fresh = !self.ledger.contains_key(key);
        if fresh {
            self.ledger.insert(key.to_owned(), entry);
        }
        fresh
    }

    pub(crate) fn finish(&mut self, key: &str, entry: Entry) {
        self.ledger.insert(key.to_owned(), entry);
    }

    pub(crate) fn forget(&mut self, key: &str) {
        self.ledger.remove(key);
    }

    /// What somebody else has put there is nobody's own to take back.
    pub(crate) fn land(&mut self, key: &TaskKey, by: u64) {
        let effect = (key.workflow.clone(), key.task.clone());
        let stood = self.standing.contains_key(&effect);
        self.repeated += u64::from(stood);
        self.standing.insert(effect, if stood { SHARED } else { by });
    }

    /// Who was not content with it takes it back itself, unless somebody else has asked for it, too.
    pub(crate) fn take_back_own(&mut self, key: &TaskKey, by: u64) {
        if self.of(&key.workflow, &key.task) == Some(by) {
            self.remove(&key.workflow, &key.task);
        }
    }

    pub(crate) fn remove(&mut self, workflow: &WorkflowId, task: &TaskId) {
        self.standing.remove(&(workflow.clone(), task.clone()));
    }

    /// Whose it is; none when it does not stand.
    pub(crate) fn of(&self, workflow: &WorkflowId, task: &TaskId) -> Option<u64> {
        self.standing.get(&(workflow.clone(), task.clone())).copied()
    }
}
