//! Every attribute and metric name of the telemetry, spelled once.
//!
//! Messaging names follow the OpenTelemetry semantic conventions for messaging; NATS has none of
//! its own yet, so `messaging.nats.*` is modelled on what other systems have.

/// Always [`NATS`].
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// The value of [`MESSAGING_SYSTEM`].
pub const NATS: &str = "nats";
/// `send`, `receive`, `process`, `ack`, `nak`, `term`.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// `send`, `receive`, `process`, `settle`.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// The subject.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// The subject with its variable tokens named: `task.{specialist}.{verb}`.
pub const MESSAGING_DESTINATION_TEMPLATE: &str = "messaging.destination.template";
/// The durable consumer.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
/// The message's own id.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// The workflow's id.
pub const MESSAGING_CONVERSATION_ID: &str = "messaging.message.conversation_id";
/// Bytes.
pub const MESSAGING_BODY_SIZE: &str = "messaging.message.body.size";
/// The stream's name.
pub const MESSAGING_NATS_STREAM: &str = "messaging.nats.stream";
/// The stream sequence.
pub const MESSAGING_NATS_SEQUENCE: &str = "messaging.nats.sequence";
/// How often the message was delivered, this delivery included.
pub const MESSAGING_NATS_DELIVERIES: &str = "messaging.nats.deliveries";
/// An error class (`unavailable`), or what the library calls it.
pub const ERROR_TYPE: &str = "error.type";

/// The workflow.
pub const WORKFLOW_ID: &str = "deadelus.workflow.id";
/// The task's id within its plan.
pub const TASK: &str = "deadelus.task";
/// `do` or `undo`.
pub const DIRECTION: &str = "deadelus.direction";
/// From 1.
pub const ATTEMPT: &str = "deadelus.attempt";
/// `db.migrate`
pub const CAPABILITY: &str = "deadelus.capability";
/// `shop`
pub const TARGET: &str = "deadelus.target";
/// The gate that waits or was decided.
pub const GATE: &str = "deadelus.gate";
/// The capability that takes it back.
pub const UNDO: &str = "deadelus.undo";
/// A check's id.
pub const CHECK_ID: &str = "deadelus.check.id";
/// What was measured.
pub const CHECK_MEASURED: &str = "deadelus.check.measured";
/// Whether it passed.
pub const CHECK_PASS: &str = "deadelus.check.pass";

/// What a model is asked for: `chat`, `invoke_agent`, `execute_tool`, `plan`, `invoke_workflow`.
pub const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";

/// `done`, `undone`, `stuck`, or the class of a failure.
pub const OUTCOME: &str = "deadelus.outcome";

/// The replica: `db-7f3a`.
pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
/// The program's version.
pub const SERVICE_VERSION: &str = "service.version";

/// Counter: messages sent.
pub const METRIC_SENT_MESSAGES: &str = "messaging.client.sent.messages";
/// Histogram, seconds: handling one message.
pub const METRIC_PROCESS_DURATION: &str = "messaging.process.duration";
/// Counter: workflows by how they ended; `stuck` is counted when it happens.
pub const METRIC_WORKFLOWS_ENDED: &str = "deadelus.workflows.ended";
/// Counter: tasks by outcome.
pub const METRIC_TASKS: &str = "deadelus.tasks";
/// Counter: lost compare-and-append races.
pub const METRIC_APPEND_CONFLICTS: &str = "deadelus.append.conflicts";
/// Counter: messages that nobody may say, or nobody can read, by [`REASON`].
pub const METRIC_REFUSED: &str = "deadelus.messages.refused";
/// Why something was refused: `buried`, `not_its_own`, `no_reply_subject`; over HTTP `no_token`,
/// `role`.
pub const REASON: &str = "deadelus.reason";
/// Counter: dispatches by the re-drive pass.
pub const METRIC_REDRIVES: &str = "deadelus.redrives";
/// Counter: spans that no collector took.
pub const METRIC_SPANS_DROPPED: &str = "deadelus.telemetry.spans_dropped";

/// Of a request over HTTP: `GET`.
pub const HTTP_METHOD: &str = "http.request.method";
/// Its route, with its variables named: `/v1/workflows/{workflow}`.
pub const HTTP_ROUTE: &str = "http.route";
/// What it was answered with: 200.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// Whose token it came with, by name.
pub const USER_ID: &str = "user.id";
/// Histogram, seconds: answering one request over HTTP.
pub const METRIC_HTTP_DURATION: &str = "http.server.request.duration";
/// Counter: requests refused before anybody looked at what they want.
pub const METRIC_REQUESTS_REFUSED: &str = "deadelus.gateway.requests.refused";
/// Up and down: open event streams.
pub const METRIC_STREAMS_OPEN: &str = "deadelus.gateway.streams.open";
/// Counter: connections cut because nothing was taken from them.
pub const METRIC_STREAMS_CUT: &str = "deadelus.gateway.connections.cut";
