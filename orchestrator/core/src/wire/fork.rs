//! Forks to and from the messages: where one comes from, and what it keeps.

use std::sync::Arc;

use deadelus_proto::{Malformed, TaskId, pb};

use super::{malformed, task};
use crate::{
    fork::{Fork, Kept, Origin},
    workflow::Skip,
};

impl TryFrom<pb::ForkOrigin> for Origin {
    type Error = Malformed;

    fn try_from(e: pb::ForkOrigin) -> Result<Self, Malformed> {
        let workflow = e.workflow_id.parse().map_err(|e| malformed("workflow_id", e))?;
        Ok(Self { workflow, task: task(&e.task_id)? })
    }
}

impl From<Origin> for pb::ForkOrigin {
    fn from(origin: Origin) -> Self {
        Self { workflow_id: origin.workflow.into(), task_id: origin.task.into() }
    }
}

pub(super) fn kept(result: Option<pb::task_inherited::Result>) -> Result<Kept, Malformed> {
    use pb::task_inherited::Result as Pb;
    match result.ok_or_else(|| malformed("result", "is missing"))? {
        Pb::Done(done) => Ok(Kept::Done(Arc::new(done.try_into()?))),
        Pb::Skipped(skip) => Ok(Kept::Skipped(Skip { by: skip.by, reason: skip.reason })),
    }
}

pub(super) fn kept_to_pb(result: Kept) -> pb::task_inherited::Result {
    use pb::task_inherited::Result as Pb;
    match result {
        Kept::Done(done) => Pb::Done((*done).clone().into()),
        Kept::Skipped(skip) => Pb::Skipped(pb::Skip { by: skip.by, reason: skip.reason }),
    }
}

impl TryFrom<pb::ForkWorkflow> for Fork {
    type Error = Malformed;

    fn try_from(fork: pb::ForkWorkflow) -> Result<Self, Malformed> {
        use pb::kept_result::Result as Pb;
        let result = |kept: pb::KeptResult| {
            let result = match kept.result.ok_or_else(|| malformed("result", "is missing"))? {
                Pb::Done(done) => Kept::Done(Arc::new(done.try_into()?)),
                Pb::Skipped(skip) => Kept::Skipped(Skip { by: skip.by, reason: skip.reason }),
            };
            Ok((task(&kept.task_id)?, result))
        };
        let workflow = fork.workflow_id.parse().map_err(|e| malformed("workflow_id", e))?;
        let origin = Origin { workflow, task: task(&fork.from_task_id)? };
        Ok(Self {
            origin,
            results: fork.results.into_iter().map(result).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Fork> for pb::ForkWorkflow {
    fn from(fork: Fork) -> Self {
        use pb::kept_result::Result as Pb;
        let result = |(task, kept): (TaskId, Kept)| pb::KeptResult {
            task_id: task.into(),
            result: Some(match kept {
                Kept::Done(done) => Pb::Done((*done).clone().into()),
                Kept::Skipped(skip) => Pb::Skipped(pb::Skip { by: skip.by, reason: skip.reason }),
            }),
        };
        Self {
            start: None,
            workflow_id: fork.origin.workflow.into(),
            from_task_id: fork.origin.task.into(),
            results: fork.results.into_iter().map(result).collect(),
        }
    }
}
