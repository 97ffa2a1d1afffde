//! The inbox: pulled per partition, parsed once, handed to the workflow's driver. What cannot be
//! parsed goes to DEAD with the reason, and never comes again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_nats::jetstream::{Message, consumer::PullConsumer};
use deadelus_core::{Input, Problems};
use deadelus_mesh::{Mesh, MeshError, dead, streams};
use deadelus_proto::{
    Report, Sha256, SpecialistName, Subject, WorkflowId,
    limits::PARTITIONS,
    pb::{self, inbound::Message as Said},
};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::task::JoinSet;

use crate::{
    answer,
    hub::{Hub, Letter, Mail},
    plans::Plans,
};

/// Messages asked for at once, per partition.
const PULL_BATCH: usize = 128;
/// After a pull failed, while the server is away.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);
/// Whose name a person's messages carry.
const CLIENT: &str = "client";

/// Everything the inbox needs to hand a message on.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    pub(crate) mesh: Mesh,
    pub(crate) hub: Arc<Hub>,
    pub(crate) plans: Plans,
}

/// Why a message is not handed to a driver.
enum Refused {
    /// It is not one of ours, and never will be.
    Malformed(String),
    /// It is, and a person gets to know why not.
    Problems(Vec<String>),
}

impl Inbox {
    /// Pulls all partitions, until the returned tasks are dropped.
    pub(crate) async fn pull_all(self) -> Result<JoinSet<Infallible>, MeshError> {
        let mut pulls = JoinSet::new();
        for partition in 0..PARTITIONS {
            let consumer = streams::inbox_consumer(&self.mesh, partition).await?;
            pulls.spawn(self.clone().pull(consumer));
        }
        Ok(pulls)
    }

    async fn pull(self, consumer: PullConsumer) -> Infallible {
        loop {
            match consumer.stream().max_messages_per_batch(PULL_BATCH).messages().await {
                Ok(mut messages) => {
                    while let Some(message) = messages.next().await {
                        match message {
                            Ok(message) => self.hand_on(message).await,
                            Err(error) => tracing::debug!(%error, "pulling the inbox"),
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot pull the inbox; trying again"),
            }
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    async fn hand_on(&self, message: Message) {
        let (from, workflow, inbound) = match self.parse(&message) {
            Ok(parsed) => parsed,
            Err(reason) => return self.bury(&message, &reason).await,
        };
        let reply_to = inbound.reply_to.clone();
        match self.read(&from, &workflow, inbound) {
            Ok((id, input)) => {
                let mail = Mail { message, from, id, reply_to, input };
                self.hub.deliver(&workflow, Letter::Mail(Box::new(mail))).await;
            }
            Err(Refused::Malformed(reason)) => self.bury(&message, &reason).await,
            Err(Refused::Problems(problems)) => {
                tracing::info!(%workflow, ?problems, "refused");
                answer::send(&self.mesh, &reply_to, problems).await;
                if let Err(error) = message.ack().await {
                    tracing::debug!(%error, "a refused message may come again");
                }
            }
        }
    }

    fn parse(
        &self,
        message: &Message,
    ) -> Result<(SpecialistName, WorkflowId, pb::Inbound), String> {
        let subject = self.mesh.subjects.parse(&message.subject).map_err(|e| e.to_string())?;
        let Subject::In { from, workflow } = subject else {
            return Err(format!("{} is no inbox subject", message.subject));
        };
        let inbound = pb::Inbound::decode(message.payload.clone())
            .map_err(|e| format!("not an Inbound: {e}"))?;
        if inbound.workflow_id != workflow.as_str() {
            return Err(format!("workflow {:?} under another subject", inbound.workflow_id));
        }
        Ok((from, workflow, inbound))
    }

    /// What the message says; a person's word only from a person, a report only from a specialist.
    fn read(
        &self,
        from: &SpecialistName,
        workflow: &WorkflowId,
        inbound: pb::Inbound,
    ) -> Result<(String, Input), Refused> {
        let said = inbound.message.ok_or_else(|| malformed(&"an empty message"))?;
        let by_a_person = !matches!(said, Said::Report(_));
        if by_a_person != (from.as_str() == CLIENT) {
            return Err(Refused::Malformed(format!("{from} may not say this")));
        }
        let input = match said {
            Said::Report(report) => {
                let report = Report::try_from(report).map_err(|e| malformed(&e))?;
                if report.key.workflow != *workflow {
                    return Err(malformed(&"a report of another workflow"));
                }
                Input::Report(report)
            }
            Said::Start(start) => self.start(workflow, start)?,
            Said::DecideGate(decide) => Input::DecideGate {
                gate: decide.gate.parse().map_err(|e| problem(&e))?,
                approve: decide.approve,
                digest: decide.plan_digest.parse().map_err(|e| problem(&e))?,
                by: decide.by,
                reason: decide.reason,
            },
            Said::Cancel(cancel) => Input::Cancel { by: cancel.by, reason: cancel.reason },
            Said::Undo(undo) => Input::Undo { by: undo.by, reason: undo.reason },
            Said::Retry(retry) => Input::RetryStuck { by: retry.by, reason: retry.reason },
            Said::Resolve(resolve) => Input::ResolveStuck {
                task: resolve.task_id.parse().map_err(|e| problem(&e))?,
                by: resolve.by,
                reason: resolve.reason,
            },
        };
        Ok((inbound.id, input))
    }

    fn start(&self, workflow: &WorkflowId, start: pb::StartWorkflow) -> Result<Input, Refused> {
        if !self.hub.has_room() {
            return Err(problem(&"too many workflows are open; try again when some have ended"));
        }
        let digest: Sha256 = start.plan_digest.parse().map_err(|e| problem(&e))?;
        // What was agreed on must still be true of the specialists that are there now.
        let plan = self.plans.check(&start.plan_json, &digest).map_err(|all| in_words(&all))?;
        if *plan.digest() != digest {
            let now = plan.digest();
            let text = format!(
                "the plan is {now} here and {digest} there: a specialist has changed; plan again"
            );
            return Err(problem(&text));
        }
        Ok(Input::Start {
            workflow: workflow.clone(),
            plan,
            digest,
            submitted_by: start.submitted_by,
            traceparent: String::new(),
        })
    }

    async fn bury(&self, message: &Message, reason: &str) {
        if let Ok(name) = "orchestrator.inbox".parse() {
            dead::bury(&self.mesh, message, name, reason).await;
        }
    }
}

fn malformed(problem: &dyn std::fmt::Display) -> Refused {
    Refused::Malformed(problem.to_string())
}

fn problem(problem: &dyn std::fmt::Display) -> Refused {
    Refused::Problems(vec![problem.to_string()])
}

fn in_words(problems: &Problems) -> Refused {
    Refused::Problems(problems.iter().map(ToString::to_string).collect())
}
