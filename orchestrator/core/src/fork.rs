//! A new workflow that keeps earlier results: which may be kept, and whether those that were sent
//! can be. What is kept is what was found out; the effects behind it belong to the earlier workflow,
//! and the fork never takes them back.

use std::{collections::BTreeSet, sync::Arc};

use deadelus_proto::{Done, TaskId, WorkflowId};

use crate::{
    decide::Refusal,
    plan::{CheckedPlan, OnFailure},
    workflow::{EffectState, Progress, Skip, Workflow},
};

/// A workflow, and the task from which on everything is done anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whose results are kept.
    pub workflow: WorkflowId,
    /// The first task that is done anew.
    pub task: TaskId,
}

/// What a fork begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// Where it comes from.
    pub origin: Origin,
    /// What it keeps.
    pub results: Vec<(TaskId, Kept)>,
}

/// A result that a fork keeps.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// It was done.
    Done(Arc<Done>),
    /// It was passed over.
    Skipped(Skip),
}

impl Workflow {
    /// A fork of this workflow from a task on: it keeps every result that stands and does not stand
    /// on that task, or on anything else that is done anew. What failed or was taken back is done
    /// anew, and so is a scope of which any part is.
    ///
    /// # Errors
    /// [`Refusal`] when there is no such task, or while the results are being taken back.
    pub fn fork(&self, from: &TaskId) -> Result<Fork, Refusal> {
        let from_at = self.plan().position(from);
        let from_at = from_at.ok_or_else(|| Refusal::UnknownTask(from.clone()))?;
        if self.take_back().is_some() && self.ended().is_none() {
            return Err(Refusal::BeingTakenBack);
        }
        let mut kept: Vec<Option<Kept>> = vec![None; self.plan().tasks().len()];
        for at in (0..kept.len()).filter(|at| *at != from_at) {
            if missing_ground(self.plan(), at, |need| kept[need].is_some()).is_none() {
                kept[at] = self.result(at);
            }
        }
        let ids = self.plan().tasks().iter().map(|spec| spec.id.clone());
        let results = ids.zip(kept).filter_map(|(id, kept)| Some((id, kept?))).collect();
        let origin = Origin { workflow: self.id().clone(), task: from.clone() };
        Ok(Fork { origin, results })
    }

    fn result(&self, at: usize) -> Option<Kept> {
        let task = self.at(at).1;
        match (&task.progress, &task.effect) {
            (Progress::Done(done), EffectState::None | EffectState::Stands) if self.is_done(at) => {
                Some(Kept::Done(Arc::clone(done)))
            }
            (Progress::Skipped(skip), EffectState::None | EffectState::Undone(_)) => {
                (!self.closing(at)).then(|| Kept::Skipped(skip.clone()))
            }
            (
                Progress::Waiting
                | Progress::Doing(_)
                | Progress::Again { .. }
                | Progress::Held(_)
                | Progress::Done(_)
                | Progress::Failed(_)
                | Progress::Skipped(_),
                _,
            ) => None,
        }
    }
}

impl Fork {
    /// Whether the results can be kept by a workflow of this plan.
    ///
    /// # Errors
    /// [`Refusal::BadFork`] naming the task.
    pub(crate) fn check(&self, plan: &CheckedPlan) -> Result<(), Refusal> {
        let bad = |task: &TaskId, why: String| Refusal::BadFork { task: task.clone(), why };
        let from = &self.origin.task;
        if plan.position(from).is_none() {
            return Err(Refusal::UnknownTask(from.clone()));
        }
        let mut kept = BTreeSet::new();
        for (task, _) in &self.results {
            let at = plan.position(task).ok_or_else(|| Refusal::UnknownTask(task.clone()))?;
            if task == from {
                return Err(bad(task, "it is done anew".into()));
            }
            if !kept.insert(at) {
                return Err(bad(task, "it is there twice".into()));
            }
        }
        for at in &kept {
            if let Some(need) = missing_ground(plan, *at, |need| kept.contains(&need)) {
                let (task, need) = (&plan.tasks()[*at].id, &plan.tasks()[need].id);
                return Err(bad(task, format!("it stands on {need}, which is done anew")));
            }
        }
        Ok(())
    }
}

/// The first task that a result stands on and that is not kept: one it needs, or one of a scope that
/// may be taken back by itself and that it stands on as a whole.
fn missing_ground(plan: &CheckedPlan, at: usize, kept: impl Fn(usize) -> bool) -> Option<usize> {
    let spec = &plan.tasks()[at];
    spec.needs.iter().find_map(|need| {
        let scope = plan.tasks()[*need].scope.filter(|scope| Some(*scope) != spec.scope);
        let scope = scope.map(|scope| &plan.scopes()[scope]);
        let whole = scope.filter(|scope| scope.on_failure == OnFailure::Continue);
        let members = whole.into_iter().flat_map(|scope| scope.tasks.iter());
        std::iter::once(need).chain(members).copied().find(|ground| !kept(*ground))
    })
}
