//! What a specialist says of a task.

use crate::{Done, Failure, Malformed, TaskKey, Undo, pb};

/// A specialist's word on one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Which attempt of what.
    pub key: TaskKey,
    /// The replica that speaks: `db-7f3a`.
    pub instance: String,
    /// When it began, in milliseconds since the epoch.
    pub begun_unix_ms: i64,
    /// When it spoke, in milliseconds since the epoch.
    pub reported_unix_ms: i64,
    /// Deliveries of the assignment so far.
    pub deliveries: u64,
    /// What it says.
    pub news: News,
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// The effect is about to begin; this is the way back.
    UndoRecorded(Undo),
    /// It is done, and was measured.
    Done(Done),
    /// It is not.
    Failed(Failure),
}

impl TryFrom<pb::TaskReport> for Report {
    type Error = Malformed;

    fn try_from(r: pb::TaskReport) -> Result<Self, Malformed> {
        use pb::task_report::News as Pb;
        let news = match r.news.ok_or_else(|| Malformed::missing("news"))? {
            Pb::UndoRecorded(undo) => News::UndoRecorded(undo.try_into()?),
            Pb::Done(done) => News::Done(done.try_into()?),
            Pb::Failed(failure) => News::Failed(failure.try_into()?),
        };
        Ok(Self {
            key: TaskKey::from_pb(&r.workflow_id, &r.task_id, r.direction, r.attempt)?,
            instance: r.instance,
            begun_unix_ms: r.begun_unix_ms,
            reported_unix_ms: r.reported_unix_ms,
            deliveries: r.deliveries,
            news,
        })
    }
}

impl From<Report> for pb::TaskReport {
    fn from(r: Report) -> Self {
        use pb::task_report::News as Pb;
        let news = match r.news {
            News::UndoRecorded(undo) => Pb::UndoRecorded(undo.into()),
            News::Done(done) => Pb::Done(done.into()),
            News::Failed(failure) => Pb::Failed(failure.into()),
        };
        Self {
            workflow_id: r.key.workflow.into(),
            task_id: r.key.task.into(),
            direction: r.key.direction.to_pb().into(),
            attempt: r.key.attempt,
            instance: r.instance,
            begun_unix_ms: r.begun_unix_ms,
            reported_unix_ms: r.reported_unix_ms,
            deliveries: r.deliveries,
            news: Some(news),
        }
    }
}
