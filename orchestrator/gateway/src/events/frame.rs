//! A decision as it goes over the wire. Pure.

use deadelus_core::{Chain, Event, Link, Workflow};
use deadelus_proto::{WorkflowId, pb};
use deadelus_view::telling;
use prost::Message as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::ring::Frame;

/// What a replica decided about a workflow: everything in one message of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Decided {
    /// Its id.
    workflow: String,
    /// The decision's place in the log; `Last-Event-ID` goes on after it.
    sequence: u64,
    /// When, in milliseconds since the epoch.
    at_unix_ms: i64,
    /// The replica that decided.
    by: String,
    /// How the workflow stands after it. Only where one workflow is watched: there alone it is
    /// known that the decision counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// What happened, in order.
    happened: Vec<Happened>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Happened {
    /// `task_done`
    kind: &'static str,
    /// Which task, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// In a line, where one workflow is watched and a reader needs to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// The log of one workflow as it is told: what does not count is not told.
#[derive(Debug)]
pub(super) struct Told {
    chain: Chain,
}

impl Told {
    pub(super) fn new(id: WorkflowId) -> Self {
        Self { chain: Chain::new(id) }
    }

    /// The next message of the workflow's log; none where it does not count.
    pub(super) fn take(&mut self, sequence: u64, bytes: &[u8]) -> Option<Frame> {
        match self.chain.read(sequence, bytes) {
            Link::Accepted => {}
            Link::Known | Link::Ignored(_) | Link::NeedsReconcile(_) => return None,
        }
        let decided = decided(sequence, bytes, self.chain.workflow())?;
        // Housekeeping is no news.
        (!decided.happened.is_empty()).then(|| frame(&decided))
    }

    /// The last message that was read, 0 before the first.
    pub(super) fn through(&self) -> u64 {
        self.chain.last_sequence()
    }

    /// Whether there is such a workflow.
    pub(super) fn is_there(&self) -> bool {
        self.chain.workflow().is_some()
    }
}

/// A message of anybody's log, without knowing whether it counts; none of what is none.
pub(super) fn notice(sequence: u64, bytes: &[u8]) -> Option<Frame> {
    let decided = decided(sequence, bytes, None)?;
    (!decided.happened.is_empty()).then(|| frame(&decided))
}

fn decided(sequence: u64, bytes: &[u8], workflow: Option<&Workflow>) -> Option<Decided> {
    let decision = pb::Decision::decode(bytes).ok()?;
    let events = decision.events.into_iter().map(Event::try_from);
    let events: Vec<Event> = events.collect::<Result<_, _>>().ok()?;
    let happened = events.iter().map(|event| {
        let (kind, task) = telling::kind(event);
        let text = workflow.and_then(|workflow| telling::told(event, workflow));
        Happened { kind, task: task.map(ToString::to_string), text }
    });
    Some(Decided {
        workflow: decision.workflow_id,
        sequence,
        at_unix_ms: decision.decided_unix_ms,
        by: decision.owner,
        status: workflow.map(|workflow| workflow.status().to_string()),
        happened: happened.collect(),
    })
}

/// As the HTML standard spells server-sent events. JSON has no line breaks.
fn frame(decided: &Decided) -> Frame {
    let data = serde_json::to_string(decided).unwrap_or_default();
    let sequence = decided.sequence;
    let text = format!("id: {sequence}\nevent: decided\ndata: {data}\n\n");
    Frame { sequence, bytes: text.into() }
}

#[cfg(test)]
mod tests {
    use deadelus_view::fixture;

    use super::*;

    #[test]
    fn every_decision_that_counts_is_told_once_and_in_order() {
        let story = fixture::to_the_end();
        let mut told = Told::new(story.history().id().clone());
        let take = |(sequence, bytes): &(u64, Vec<u8>)| told.take(*sequence, bytes);
        let frames: Vec<Frame> = story.log().iter().filter_map(take).collect();
        assert_eq!(frames.len(), story.log().len());
        let (first, last) = (&frames[0].bytes, &frames[frames.len() - 1].bytes);
        assert!(first.starts_with(b"id: 1\nevent: decided\ndata: {"), "{first:?}");
        let last = String::from_utf8(last.to_vec()).unwrap();
        assert!(
            last.contains(r#""status":"done""#) && last.contains(r#""kind":"ended""#),
            "{last}"
        );
        assert_eq!(told.take(1, &story.log()[0].1), None, "it is known");
        let (sequence, stranger) = (told.through() + 1, &story.log()[3].1);
        assert_eq!(told.take(sequence, stranger), None, "it does not link");
    }

    #[test]
    fn a_notice_says_what_is_written_and_not_that_it_counts() {
        let story = fixture::to_the_end();
        let frame = notice(7, &story.log()[0].1).unwrap();
        let text = String::from_utf8(frame.bytes.to_vec()).unwrap();
        assert!(text.contains(r#""kind":"accepted""#) && !text.contains("status"), "{text}");
        assert_eq!(notice(7, b"\xff\xff"), None);
    }
}
