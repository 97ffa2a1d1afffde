//! The orchestrator's spans, in one trace per workflow.
//!
//! The root is a moment, not a span held open for days: one when the workflow is accepted, and a
//! summary with a link to it when it ends. Everything between hangs below the root.

use deadelus_core::{Ending, Input, Workflow};
use deadelus_mesh::{names, streams, trace};
use deadelus_proto::{Assignment, WorkflowId};
use tracing::{Span, field};

use crate::letter::Delivery;

/// Deciding one message of the inbox; a child of what sent it.
pub(crate) fn decide(workflow: &WorkflowId, input: &Input, id: &str, from: &Delivery) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.name = %format!("process in {}", kind(input)),
        otel.kind = "consumer",
        { names::MESSAGING_SYSTEM } = names::NATS,
        { names::MESSAGING_OPERATION_NAME } = "process",
        { names::MESSAGING_OPERATION_TYPE } = "process",
        { names::MESSAGING_DESTINATION_NAME } = %from.subject(),
        { names::MESSAGING_MESSAGE_ID } = id,
        { names::MESSAGING_CONVERSATION_ID } = %workflow,
        { names::MESSAGING_BODY_SIZE } = from.payload().len(),
        { names::MESSAGING_NATS_STREAM } = from.stored().map(|_| streams::INBOX),
        { names::MESSAGING_NATS_SEQUENCE } = field::Empty,
        { names::MESSAGING_NATS_DELIVERIES } = field::Empty,
        { names::WORKFLOW_ID } = %workflow,
        { names::GATE } = field::Empty,
    );
    if let Some((sequence, deliveries)) = from.stored() {
        span.record(names::MESSAGING_NATS_SEQUENCE, sequence);
        span.record(names::MESSAGING_NATS_DELIVERIES, deliveries);
    }
    if let Input::DecideGate { gate, .. } = input {
        span.record(names::GATE, gate.to_string());
    }
    if let Some(headers) = from.headers() {
        trace::set_parent(&span, headers);
        trace::link(&span, headers);
    }
    span
}

/// The root of a workflow's trace: a moment below the current span. Its `traceparent`, which it has
/// also where nothing is traced: the workflow's log names it.
pub(crate) fn root(workflow: &WorkflowId, title: &str) -> String {
    let span = tracing::info_span!(
        "invoke_workflow",
        otel.name = %format!("invoke_workflow {title}"),
        { names::GEN_AI_OPERATION_NAME } = "invoke_workflow",
        { names::WORKFLOW_ID } = %workflow,
    );
    trace::traceparent_of(&span).unwrap_or_else(trace::unrecorded)
}

/// The end of a workflow, linked to its root.
pub(crate) fn ended(workflow: &Workflow, ending: Ending, reason: &str) {
    let span = tracing::info_span!(
        "workflow_ended",
        otel.name = %format!("workflow {ending}: {}", workflow.plan().plan().title),
        { names::WORKFLOW_ID } = %workflow.id(),
        { names::OUTCOME } = ending.as_str(),
        reason,
    );
    trace::set_parent_from(&span, workflow.traceparent());
    trace::link_from(&span, workflow.traceparent());
}

/// Handing an assignment to the stream, below the root.
pub(crate) fn send(workflow: &Workflow, assignment: &Assignment, subject: &str) -> Span {
    let key = &assignment.key;
    let span = tracing::info_span!(
        "send",
        otel.name = %format!("send task.{}", assignment.capability),
        otel.kind = "producer",
        { names::MESSAGING_SYSTEM } = names::NATS,
        { names::MESSAGING_OPERATION_NAME } = "send",
        { names::MESSAGING_OPERATION_TYPE } = "send",
        { names::MESSAGING_DESTINATION_NAME } = subject,
        { names::MESSAGING_CONVERSATION_ID } = %key.workflow,
        { names::WORKFLOW_ID } = %key.workflow,
        { names::TASK } = %key.task,
        { names::DIRECTION } = key.direction.as_str(),
        { names::ATTEMPT } = key.attempt,
        { names::CAPABILITY } = %assignment.capability,
    );
    trace::set_parent_from(&span, workflow.traceparent());
    span
}

fn kind(input: &Input) -> &'static str {
    match input {
        Input::Start { .. } => "start",
        Input::Report(_) => "report",
        Input::DecideGate { .. } => "gate",
        Input::DelegateGate { .. } => "delegate",
        Input::Cancel { .. } => "cancel",
        Input::Undo { .. } => "undo",
        Input::RetryStuck { .. } => "retry",
        Input::ResolveStuck { .. } => "resolve",
        Input::Pause { .. } => "pause",
        Input::Resume { .. } => "resume",
        Input::RetryTask { .. } => "retry_task",
        Input::SkipTask { .. } => "skip_task",
        Input::SlotsHeld { .. } => "slots",
        Input::Tick => "tick",
    }
}
