//! The inbox: pulled per partition, parsed once, brought to the workflow's desk. What cannot be
//! parsed goes to DEAD with the reason, and never comes again.

use std::{sync::Arc, time::Duration};

use deadelus_core::{Fork, Input, Problems, Shared};
use deadelus_mesh::{
    Mesh, MeshError,
    clock::now_unix_ms,
    dead,
    pull::{Pull, Pulled},
    streams,
};
use deadelus_proto::{
    Report, Sha256, SpecialistName, Subject, WorkflowId,
    pb::{self, inbound::Message as Said},
};
use prost::Message as _;
use tokio::task::JoinSet;

use crate::{
    hub::{Hub, Parcel},
    letter::{Delivery, Letter, Ticket},
    plans::Plans,
    slots::Wishes,
    spans,
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
    /// A start that has waited for longer is refused: what it began may have been forgotten since.
    pub(crate) start_max_age_ms: Option<i64>,
    /// What workflows share that begin now.
    pub(crate) shared: Shared,
    /// Where desks say what they have and want of it.
    pub(crate) wishes: Wishes,
}

/// Of which workflow, from whom, where an answer is waited for, the sender's id of it, and what it
/// says.
type Read = (WorkflowId, SpecialistName, String, String, Input);

/// Why a message is not brought to a desk.
enum Refused {
    /// It is not one of ours, and never will be.
    Malformed(String),
    /// It is, and a person gets to know why not.
    Problems(Vec<String>),
}

impl Inbox {
    /// Takes a partition's inbox over and pulls it for as long as `listening` lives.
    ///
    /// # Errors
    /// [`MeshError`] when its consumer cannot be had.
    pub(crate) async fn pull(
        &self,
        partition: u16,
        listening: &mut JoinSet<()>,
    ) -> Result<(), MeshError> {
        let consumer = streams::take_inbox(&self.mesh, partition).await?;
        let pull = Pull::open(self.mesh.clone(), &consumer).await?;
        listening.spawn(self.clone().pull_from(pull));
        Ok(())
    }

    async fn pull_from(self, mut pull: Pull) {
        loop {
            let coming = pull.coming();
            if coming <= PULL_BATCH / 2 {
                pull.ask(PULL_BATCH - coming).await;
            }
            match tokio::time::timeout_at(pull.lapses_at(), pull.next()).await {
                Ok(Pulled::Message(message)) => {
                    self.hand_on(Delivery::Stored(message), 0).await;
                }
                Ok(Pulled::Nobody) => {
                    tracing::warn!("cannot pull the inbox; trying again");
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
                Ok(Pulled::Over) | Err(_) => {}
            }
        }
    }

    /// Brings a message to its desk; answers or buries what cannot be brought.
    pub(crate) async fn hand_on(&self, delivery: Delivery, races: u32) {
        match self.letter(&delivery).await {
            Ok((workflow, from, reply_to, id, input)) => {
                let redelivered = delivery.stored().is_some_and(|(_, deliveries)| deliveries > 1);
                let asked = delivery.stored().is_none();
                let span = spans::decide(&workflow, &input, &id, &delivery);
                let ticket = Ticket { delivery, reply_to, span, races };
                let letter = Letter { ticket, from, id, input, redelivered, asked };
                self.hub.deliver(Parcel::Letter(workflow, Box::new(letter))).await;
            }
            Err((_, Refused::Malformed(reason))) => self.bury(delivery, reason).await,
            Err((reply_to, Refused::Problems(problems))) => {
                tracing::info!(subject = %delivery.subject(), ?problems, "refused");
                delivery.finish(&self.mesh, &reply_to, problems).await;
            }
        }
    }

    /// The same once more, after a lost race; not by the caller, who may be its desk.
    pub(crate) fn hand_in_again(&self, ticket: Ticket) {
        let inbox = self.clone();
        tokio::spawn(async move { inbox.hand_on(ticket.delivery, ticket.races).await });
    }

    async fn letter(&self, delivery: &Delivery) -> Result<Read, (String, Refused)> {
        let malformed = |reason: String| (String::new(), Refused::Malformed(reason));
        let (from, workflow, inbound) = self.parse(delivery).map_err(malformed)?;
        let reply_to = inbound.reply_to.clone();
        match self.read(&from, &workflow, inbound).await {
            Ok((_, Input::Start { .. })) if self.is_too_old(delivery) => {
                let text = "this start is so old that its workflow may have been forgotten since; \
                            send it again under another id";
                Err((reply_to, problem(&text)))
            }
            Ok((id, input)) => Ok((workflow, from, reply_to, id, input)),
            Err(refused) => Err((reply_to, refused)),
        }
    }

    fn is_too_old(&self, delivery: &Delivery) -> bool {
        let age_ms = |stored: i64| now_unix_ms().saturating_sub(stored);
        let age_ms = delivery.stored_unix_ms().map(age_ms);
        age_ms.zip(self.start_max_age_ms).is_some_and(|(age, most)| age > most)
    }

    fn parse(
        &self,
        delivery: &Delivery,
    ) -> Result<(SpecialistName, WorkflowId, pb::Inbound), String> {
        let subject = delivery.subject();
        let parsed = self.mesh.subjects.parse(subject).map_err(|e| e.to_string())?;
        let (Subject::In { from, workflow } | Subject::Ask { from, workflow }) = parsed else {
            return Err(format!("{subject} is no subject of an inbox"));
        };
        let inbound = pb::Inbound::decode(delivery.payload().clone())
            .map_err(|e| format!("not an Inbound: {e}"))?;
        if inbound.workflow_id != workflow.as_str() {
            return Err(format!("workflow {:?} under another subject", inbound.workflow_id));
        }
        Ok((from, workflow, inbound))
    }

    /// What the message says; a person's word only from a person, a report only from a specialist.
    async fn read(
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
                Input::Report(Box::new(report))
            }
            Said::Start(start) => self.start(workflow, start, None).await?,
            Said::Fork(mut fork) => {
                let start = fork.start.take().ok_or_else(|| malformed(&"a fork of no plan"))?;
                let fork = Fork::try_from(fork).map_err(|e| problem(&e))?;
                self.start(workflow, start, Some(fork)).await?
            }
            Said::DecideGate(decide) => Input::DecideGate {
                gate: decide.gate.parse().map_err(|e| problem(&e))?,
                approve: decide.approve,
                digest: decide.plan_digest.parse().map_err(|e| problem(&e))?,
                by: decide.by,
                reason: decide.reason,
            },
            Said::Delegate(delegate) => Input::DelegateGate {
                gate: delegate.gate.parse().map_err(|e| problem(&e))?,
                to: delegate.to,
                by: delegate.by,
                reason: delegate.reason,
            },
            Said::Cancel(cancel) => Input::Cancel { by: cancel.by, reason: cancel.reason },
            Said::Undo(undo) => Input::Undo { by: undo.by, reason: undo.reason },
            Said::Retry(retry) => Input::RetryStuck { by: retry.by, reason: retry.reason },
            Said::Resolve(resolve) => Input::ResolveStuck {
                task: resolve.task_id.parse().map_err(|e| problem(&e))?,
                by: resolve.by,
                reason: resolve.reason,
            },
            Said::Pause(pause) => Input::Pause { by: pause.by, reason: pause.reason },
            Said::Resume(resume) => Input::Resume { by: resume.by, reason: resume.reason },
            Said::RetryTask(retry) => Input::RetryTask {
                task: retry.task_id.parse().map_err(|e| problem(&e))?,
                by: retry.by,
                reason: retry.reason,
            },
            Said::SkipTask(skip) => Input::SkipTask {
                task: skip.task_id.parse().map_err(|e| problem(&e))?,
                by: skip.by,
                reason: skip.reason,
            },
        };
        Ok((inbound.id, input))
    }

    async fn start(
        &self,
        workflow: &WorkflowId,
        start: pb::StartWorkflow,
        fork: Option<Fork>,
    ) -> Result<Input, Refused> {
        if let Some(full) = self.hub.is_full() {
            return Err(problem(&full));
        }
        let digest: Sha256 = start.plan_digest.parse().map_err(|e| problem(&e))?;
        // What was agreed on must still be true of the specialists that are there now.
        let judged = self.plans.check(start.plan_json, &digest).await;
        let plan = judged.map_err(|all| in_words(&all))?;
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
            fork,
            shared: self.shared.clone(),
        })
    }

    async fn bury(&self, delivery: Delivery, reason: String) {
        match delivery {
            Delivery::Stored(message) => {
                if let Ok(name) = "orchestrator.inbox".parse() {
                    dead::bury(&self.mesh, &message, name, &reason).await;
                }
            }
            // Its sender is there to be told.
            Delivery::Asked(_) => {
                deadelus_mesh::meters::refused("buried");
                tracing::warn!(subject = %delivery.subject(), reason, "refused");
                delivery.finish(&self.mesh, "", vec![reason]).await;
            }
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
