//! One assignment, from its arrival to its acknowledgement.
//!
//! The order stands in [`Worker::handle`]: parse, take in hand, work, report, acknowledge. What
//! cannot be parsed goes to DEAD with the reason. The acknowledgement is last, so that a crash
//! anywhere before it brings the task back.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::jetstream::{AckKind, Message};
use deadelus_mesh::{clock::now_unix_ms, meters, names, objects, trace};
use deadelus_proto::{
    Aftermath, Assignment, Body, Check, Done, ErrorClass, Failure, News, TaskKey,
    limits::{INLINE_PAYLOAD_MAX_BYTES, INPUTS_MAX_BYTES, TASK_ACK_WAIT, TASK_DELIVERIES_MAX},
    pb,
};
use prost::Message as _;
use serde_json::Value;
use tracing::{Instrument as _, Span, field};

use crate::{
    Context,
    context::Store,
    hand,
    ledger::Go,
    report::Reporter,
    specialist::{Offer, Work},
    work::{self, Desk, unsure},
    worker::Worker,
};

impl Worker {
    /// Does what the message asks, reports, acknowledges.
    pub(crate) async fn handle(self: Arc<Self>, message: Message) {
        let deliveries = message.info().map_or(1, |info| info.delivered);
        let assignment = match parse(&message) {
            Ok(assignment) => assignment,
            Err(reason) => return self.bury(&message, &reason).await,
        };
        let arrived = Instant::now();
        let template = format!("task.{}", assignment.capability);
        let span = span(&assignment, deliveries);
        span.record(names::MESSAGING_BODY_SIZE, message.payload.len());
        if let Some(headers) = &message.headers {
            trace::set_parent(&span, headers);
            trace::link(&span, headers);
        }
        self.work_off(&message, assignment, u64::try_from(deliveries).unwrap_or(1))
            .instrument(span)
            .await;
        meters::processed(&template, arrived.elapsed());
    }

    async fn work_off(&self, message: &Message, assignment: Assignment, deliveries: u64) {
        let Some((_held, cancel)) = self.hand.take(&assignment.key) else {
            // Redelivered to the very worker that has it: the one in hand will be acknowledged.
            tracing::warn!(key = %assignment.key, "already in hand");
            return;
        };
        let begun = now_unix_ms();
        let key = assignment.key.clone();
        let cx = self.context(&assignment, cancel);
        let result = tokio::select! {
            result = self.perform(cx, assignment, deliveries, begun) => result,
            never = keep_alive(message) => match never {},
        };
        let own = Go { instance: self.reporter.instance.clone(), begun_unix_ms: begun };
        let (news, by) = match result {
            Ok((done, by)) => {
                trace_checks(&done.checks);
                (News::Done(done), by)
            }
            Err(failure) => {
                trace_checks(&failure.checks);
                Span::current().record(names::ERROR_TYPE, failure.class.as_str());
                tracing::warn!(%key, %failure, "failed");
                (News::Failed(failure), own)
            }
        };
        if let Err(failure) = self.reporter.report(&key, deliveries, &by, news).await {
            tracing::error!(%key, %failure, "left unacknowledged, to be delivered again");
            return;
        }
        if let Err(error) = message.ack().await {
            tracing::warn!(%key, %error, "the acknowledgement was lost; the task comes again");
        }
    }

    fn context(
        &self,
        assignment: &Assignment,
        cancel: tokio::sync::watch::Receiver<bool>,
    ) -> Context {
        let left = assignment.deadline_unix_ms.saturating_sub(now_unix_ms());
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        Context {
            key: assignment.key.clone(),
            target: assignment.target.clone(),
            deadline: Instant::now() + left,
            store: Store::Mesh(Arc::clone(&self.reporter)),
            cancel,
        }
    }

    /// In a task of its own, so that a panic of the work is a failed task and not a dead worker.
    async fn perform(
        &self,
        cx: Context,
        assignment: Assignment,
        deliveries: u64,
        begun_unix_ms: i64,
    ) -> Result<(Done, Go), Failure> {
        let offer = self.offer(&assignment)?;
        let changes = offer.descriptor.effect.changes();
        if deliveries >= TASK_DELIVERIES_MAX.unsigned_abs() {
            return Err(poison(deliveries, changes));
        }
        // A worker before this one may have begun.
        let before = |failure| if changes && deliveries > 1 { unsure(failure) } else { failure };
        let inputs = self.inputs(assignment.inputs).await.map_err(before)?;
        offer.inputs.check(&inputs).map_err(before)?;
        if cx.deadline <= Instant::now() {
            return Err(too_late(changes && deliveries > 1));
        }
        let is_wanted = deliveries == 1 && !assignment.again || self.is_wanted(&cx).await;
        let (specialist, ledger) = (self.specialist.clone(), self.ledger.clone());
        let reporter = Arc::clone(&self.reporter);
        let name = assignment.capability.clone();
        let working = tokio::spawn(
            async move {
                let Some(offer) = specialist.capabilities.get(&name) else {
                    return Err(not_offered(&name));
                };
                let (specialist, ledger, reporter) = (&*specialist, &ledger, &*reporter);
                let desk =
                    Desk { specialist, ledger, reporter, deliveries, begun_unix_ms, is_wanted };
                match &offer.work {
                    Work::Read(read) => {
                        let done = work::read(desk, read.as_ref(), &cx, &inputs).await;
                        done.map(|done| (done, desk.go()))
                    }
                    Work::Change(change) => work::change(desk, change.as_ref(), &cx, &inputs).await,
                }
            }
            .in_current_span(),
        );
        let (done, by) = match working.await {
            Ok(result) => result?,
            Err(panic) => return Err(panicked(&panic, changes)),
        };
        offer.outputs.warn_about(&done.outputs);
        let after = |failure| if changes { unsure(failure) } else { failure };
        let done = self.by_reference(done).await.map_err(after)?;
        Ok((done, by))
    }

    async fn is_wanted(&self, cx: &Context) -> bool {
        let Reporter { mesh, specialist, instance } = &*self.reporter;
        hand::is_wanted(mesh, specialist, instance, cx.key()).await
    }

    fn offer(&self, assignment: &Assignment) -> Result<&Offer, Failure> {
        let offer = self
            .specialist
            .capabilities
            .get(&assignment.capability)
            .ok_or_else(|| not_offered(&assignment.capability))?;
        if !self.specialist.knows(&assignment.target) {
            let text = format!("target {} is not configured here", assignment.target);
            let help = format!("add [targets.{}] to this specialist's file", assignment.target);
            return Err(Failure::new(ErrorClass::InvalidInput, text).help(help));
        }
        Ok(offer)
    }

    async fn inputs(&self, body: Body) -> Result<Value, Failure> {
        match body {
            Body::Inline(value) => Ok(value),
            Body::Stored(artefact) => {
                if artefact.size_bytes > INPUTS_MAX_BYTES as u64 {
                    return Err(too_many(artefact.size_bytes));
                }
                let bytes = Box::pin(objects::get(&self.reporter.mesh, &artefact))
                    .await
                    .map_err(|e| Failure::new(ErrorClass::Unavailable, format!("inputs: {e}")))?;
                if bytes.len() > INPUTS_MAX_BYTES {
                    return Err(too_many(bytes.len() as u64));
                }
                serde_json::from_slice(&bytes)
                    .map_err(|e| Failure::new(ErrorClass::InvalidInput, format!("inputs: {e}")))
            }
        }
    }

    /// Outputs over the inline limit travel as an artefact.
    async fn by_reference(&self, mut done: Done) -> Result<Done, Failure> {
        if let Body::Inline(value) = &done.outputs {
            let text = value.to_string();
            if text.len() > INLINE_PAYLOAD_MAX_BYTES {
                let mesh = &self.reporter.mesh;
                let stored = objects::put(mesh, "outputs.json", "application/json", text.into())
                    .await
                    .map_err(|e| Failure::new(ErrorClass::Unavailable, e.to_string()))?;
                done.outputs = Body::Stored(stored);
            }
        }
        Ok(done)
    }
}

fn parse(message: &Message) -> Result<Assignment, String> {
    let assignment = pb::TaskAssignment::decode(message.payload.clone())
        .map_err(|e| format!("not a TaskAssignment: {e}"))?;
    Assignment::try_from(assignment).map_err(|e| e.to_string())
}

/// Holds the delivery for as long as the work takes.
async fn keep_alive(message: &Message) -> Infallible {
    loop {
        tokio::time::sleep(TASK_ACK_WAIT / 3).await;
        if let Err(error) = message.ack_with(AckKind::Progress).await {
            tracing::debug!(%error, "an in-progress acknowledgement was lost");
        }
    }
}

fn span(assignment: &Assignment, deliveries: i64) -> Span {
    let TaskKey { workflow, task, direction, attempt } = &assignment.key;
    let span = tracing::info_span!(
        "process",
        otel.name = %format!("{} {}", direction.as_str(), assignment.capability),
        otel.kind = "consumer",
        { names::MESSAGING_SYSTEM } = "nats",
        { names::MESSAGING_OPERATION_NAME } = "process",
        { names::MESSAGING_OPERATION_TYPE } = "process",
        { names::WORKFLOW_ID } = %workflow,
        { names::MESSAGING_CONVERSATION_ID } = %workflow,
        { names::TASK } = %task,
        { names::ATTEMPT } = attempt,
        { names::MESSAGING_NATS_DELIVERIES } = deliveries,
        { names::CAPABILITY } = %assignment.capability,
        { names::TARGET } = %assignment.target,
        { names::UNDO } = (*direction == deadelus_proto::Direction::Undo),
        { names::MESSAGING_CONSUMER_GROUP_NAME } = assignment.capability.specialist().as_str(),
        { names::MESSAGING_BODY_SIZE } = field::Empty,
        { names::ERROR_TYPE } = field::Empty,
    );
    span
}

/// Every measured criterion as an event of the span.
fn trace_checks(checks: &[Check]) {
    for check in checks {
        tracing::info!(
            { names::CHECK_ID } = check.id,
            { names::CHECK_MEASURED } = check.measured,
            { names::CHECK_PASS } = check.pass,
            "check"
        );
    }
}

fn too_many(bytes: u64) -> Failure {
    let text = format!("the inputs have {bytes} bytes; at most {INPUTS_MAX_BYTES}");
    Failure::new(ErrorClass::InvalidInput, text)
}

fn not_offered(name: &deadelus_proto::CapabilityName) -> Failure {
    Failure::new(ErrorClass::Unsupported, format!("{name} is not offered by this replica"))
        .help("compare `deadelus specialists` with the plan; an old replica may still be running")
}

fn poison(deliveries: u64, changes: bool) -> Failure {
    let text = format!("given up at delivery {deliveries}: every worker before this one was lost");
    let class = if changes { ErrorClass::UnknownOutcome } else { ErrorClass::Unavailable };
    Failure::new(class, text)
}

fn too_late(may_have_begun: bool) -> Failure {
    let class = if may_have_begun { ErrorClass::UnknownOutcome } else { ErrorClass::Unavailable };
    Failure::new(class, "the deadline had passed when the task arrived")
}

fn panicked(panic: &tokio::task::JoinError, changes: bool) -> Failure {
    let text = format!("the capability panicked: {panic}");
    let mut failure = Failure::new(ErrorClass::Unsupported, text)
        .help("this is a defect of the specialist; its log has the place");
    if changes {
        failure.class = ErrorClass::UnknownOutcome;
        failure.aftermath = Aftermath::Unknown;
    }
    failure
}
