//! One workflow's driver: one letter at a time, and for each the same order.
//!
//! Decide on a copy, append the decision, make the copy the state, dispatch, acknowledge: the order
//! stands in [`Driver::mail`] and [`Driver::decide`], and nowhere else. Nothing is done that the log
//! does not have; what was decided and not dispatched is found again by reading the state.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use deadelus_core::{Chain, Command, Input, Status};
use deadelus_mesh::{clock::now_unix_ms, meters};
use deadelus_proto::{TaskKey, WorkflowId, pb};
use tokio::{sync::mpsc, time};
use tracing::Instrument as _;

use crate::{
    answer, dispatch,
    hub::{Letter, Mail},
    journal::{Journal, Written},
    projection, spans, telling,
};

/// A task that was asked for and that no worker has spoken of for this long is sent again. Longer
/// than a restart, shorter than a person's patience; the stream drops what it still remembers.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How often a driver looks for such tasks.
const REDRIVE_EVERY: Duration = Duration::from_secs(10);
/// A workflow that has ended is kept in memory this long, for late letters.
const LINGER: Duration = Duration::from_secs(5);
/// Races lost in a row before a letter is left to come again.
const RACES_MAX: u32 = 16;
/// Between two looks at a log that cannot be read.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Drives one workflow.
#[derive(Debug)]
pub(crate) struct Driver {
    journal: Journal,
    id: WorkflowId,
    log: Chain,
    /// When an attempt was last sent or spoken of.
    heard: BTreeMap<TaskKey, Instant>,
    shown: Option<(String, String)>,
}

/// What became of an input.
enum Decided {
    /// The log has it.
    Yes,
    /// It changes nothing: said before, or too late to matter.
    NoNews,
    /// A person may not do this now; why not.
    Refused(String),
    /// It could not be found out; the letter must come again.
    Unknown,
}

impl Driver {
    pub(crate) fn new(journal: Journal, id: WorkflowId) -> Self {
        let log = Chain::new(id.clone());
        Self { journal, id, log, heard: BTreeMap::new(), shown: None }
    }

    /// Reads the log, then takes letters until the workflow has ended and nobody writes any more.
    pub(crate) async fn run(mut self, mut letters: mpsc::Receiver<Letter>) {
        self.reload().await;
        self.dispatch_outstanding().await;
        let mut redrive = time::interval(REDRIVE_EVERY);
        redrive.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        redrive.reset();
        loop {
            let alarm = self.alarm();
            tokio::select! {
                letter = letters.recv() => match letter {
                    Some(letter) => Box::pin(self.take(letter)).await,
                    None => return,
                },
                () = sleep_until(alarm) => self.tick().await,
                _ = redrive.tick(), if self.is_open() => self.redrive().await,
                () = time::sleep(LINGER), if !self.is_open() => {
                    // What was written in this very moment is still taken.
                    letters.close();
                }
            }
        }
    }

    async fn take(&mut self, letter: Letter) {
        match letter {
            Letter::Mail(mail) => self.mail(*mail).await,
            Letter::Beat(key, answer) => {
                // A worker that no longer waits for the answer asks again.
                let _ = answer.send(self.verdict(&key));
            }
            // Reading the log has taken it up already.
            Letter::TakeUp => {}
        }
    }

    async fn mail(&mut self, mail: Mail) {
        let Mail { message, from, id, reply_to, input } = mail;
        let span = spans::decide(&self.id, &input, &id, &message);
        let redelivered = message.info().is_ok_and(|info| info.delivered > 1);
        let decided = match self.may_speak(&from, &input) {
            Ok(()) => {
                let input = span.in_scope(|| in_trace(input));
                self.decide(input, &id).instrument(span.clone()).await
            }
            Err(reason) => {
                tracing::warn!(workflow = %self.id, %from, reason, "not its to report");
                Decided::NoNews
            }
        };
        let problems = match decided {
            // Unacknowledged, it comes again when its time is over.
            Decided::Unknown => return,
            Decided::Yes => vec![],
            Decided::NoNews => {
                // Perhaps the one who decided it died before dispatching.
                if redelivered {
                    self.dispatch_outstanding().instrument(span).await;
                }
                vec![]
            }
            Decided::Refused(problem) => vec![problem],
        };
        answer::send(self.journal.mesh(), &reply_to, problems).await;
        if let Err(error) = message.ack().await {
            tracing::debug!(%error, "an acknowledgement was lost; the message comes again");
        }
    }

    /// Decides, appends, adopts, dispatches.
    async fn decide(&mut self, input: Input, cause: &str) -> Decided {
        for _ in 0..RACES_MAX {
            if let Some(gap) = self.log.gap() {
                return Decided::Refused(format!("the log of this workflow is damaged: {gap}"));
            }
            let before = self.log.outstanding();
            let was_stuck = self.is_stuck();
            let proposal = match self.log.propose(input.clone(), now_unix_ms()) {
                Ok(Some(proposal)) => proposal,
                Ok(None) => return Decided::NoNews,
                Err(refusal) => return Decided::Refused(refusal.to_string()),
            };
            let events = proposal.events().to_vec();
            match self.journal.write(&self.id, &mut self.log, cause, proposal).await {
                Ok(Written::Accepted) => {
                    if let Some(workflow) = self.log.workflow() {
                        telling::of(workflow, &events, was_stuck);
                    }
                    self.adopted(&before).await;
                    return Decided::Yes;
                }
                Ok(Written::Lost) => {
                    meters::append_conflict();
                    tracing::info!(workflow = %self.id, cause, "lost a race; deciding again");
                    self.reload().await;
                }
                Err(error) => {
                    tracing::warn!(workflow = %self.id, cause, %error, "could not append");
                    self.reload().await;
                    return Decided::Unknown;
                }
            }
        }
        Decided::Unknown
    }

    /// The decision is true: show it, and do what it asks for beyond what was asked before.
    async fn adopted(&mut self, before: &[Command]) {
        self.show().await;
        let new: Vec<TaskKey> = self
            .log
            .outstanding()
            .into_iter()
            .filter(|command| !before.contains(command))
            .filter_map(dispatched)
            .collect();
        self.dispatch(new).await;
    }

    async fn dispatch_outstanding(&mut self) {
        let all = self.log.outstanding().into_iter().filter_map(dispatched).collect();
        self.dispatch(all).await;
    }

    async fn dispatch(&mut self, keys: Vec<TaskKey>) {
        let Some(workflow) = self.log.workflow() else { return };
        let mesh = self.journal.mesh();
        let sent = futures_util::future::join_all(
            keys.iter().map(|key| dispatch::send(mesh, workflow, key)),
        );
        let results = sent.await;
        for (key, result) in keys.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    self.heard.insert(key, Instant::now());
                }
                Err(error) => tracing::warn!(%key, error, "not sent; it will be sent again"),
            }
        }
    }

    /// Sends again what nobody has spoken of for long: no lost message can hang a workflow.
    async fn redrive(&mut self) {
        let in_flight: Vec<TaskKey> =
            self.log.outstanding().into_iter().filter_map(dispatched).collect();
        self.heard.retain(|key, _| in_flight.contains(key));
        let silent =
            |key: &TaskKey| self.heard.get(key).is_none_or(|heard| heard.elapsed() >= SILENT_FOR);
        let silent: Vec<TaskKey> = in_flight.into_iter().filter(silent).collect();
        if !silent.is_empty() {
            tracing::info!(workflow = %self.id, tasks = silent.len(), "sent again: nobody spoke of them");
            meters::redriven(silent.len());
            self.dispatch(silent).await;
        }
    }

    async fn tick(&mut self) {
        match self.decide(Input::Tick, "timer").await {
            Decided::Yes | Decided::NoNews => {}
            Decided::Refused(_) | Decided::Unknown => time::sleep(PAUSE_AFTER_FAILURE).await,
        }
    }

    /// Reads the log until it can be read.
    async fn reload(&mut self) {
        loop {
            match self.journal.read(&self.id).await {
                Ok(log) => {
                    self.log = log;
                    self.show().await;
                    return;
                }
                Err(error) => {
                    tracing::warn!(workflow = %self.id, %error, "cannot read the log; trying again");
                    time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Keeps the list true; written again only when a line of it would read differently.
    async fn show(&mut self) {
        let Some(summary) = projection::summary(&self.id, &self.log) else { return };
        let line = projection::line(&summary);
        if self.shown.as_ref() == Some(&line) {
            return;
        }
        match projection::put(&self.journal, &summary).await {
            Ok(()) => self.shown = Some(line),
            Err(error) => tracing::warn!(workflow = %self.id, %error, "the list is behind"),
        }
    }

    fn verdict(&mut self, key: &TaskKey) -> pb::Verdict {
        self.heard.insert(key.clone(), Instant::now());
        self.log.workflow().map_or(pb::Verdict::Continue, |workflow| workflow.verdict(key).into())
    }

    /// A specialist reports its own tasks only.
    fn may_speak(
        &self,
        from: &deadelus_proto::SpecialistName,
        input: &Input,
    ) -> Result<(), String> {
        let (Input::Report(report), Some(workflow)) = (input, self.log.workflow()) else {
            return Ok(());
        };
        let task = workflow.plan().task(&report.key.task);
        match task {
            Some(task) if task.does.specialist() == from => Ok(()),
            Some(task) => Err(format!("{} belongs to {}", task.id, task.does.specialist())),
            None => Err(format!("there is no task {}", report.key.task)),
        }
    }

    fn is_stuck(&self) -> bool {
        self.log.workflow().is_some_and(|workflow| workflow.status() == Status::Stuck)
    }

    fn is_open(&self) -> bool {
        self.log.workflow().is_some_and(|workflow| workflow.ended().is_none())
    }

    /// When the next timer of the workflow is due.
    fn alarm(&self) -> Option<i64> {
        self.log.outstanding().into_iter().filter_map(woken).min()
    }
}

/// A workflow's trace begins where it is accepted; every replica and every retry continues it.
fn in_trace(mut input: Input) -> Input {
    if let Input::Start { workflow, plan, traceparent, .. } = &mut input {
        *traceparent = spans::root(workflow, &plan.plan().title);
    }
    input
}

async fn sleep_until(alarm: Option<i64>) {
    match alarm {
        Some(at) => {
            let left = u64::try_from(at.saturating_sub(now_unix_ms())).unwrap_or(0);
            time::sleep(Duration::from_millis(left)).await;
        }
        None => std::future::pending().await,
    }
}

fn dispatched(command: Command) -> Option<TaskKey> {
    match command {
        Command::Dispatch(key) => Some(key),
        Command::WakeAt(_) => None,
    }
}

fn woken(command: Command) -> Option<i64> {
    match command {
        Command::WakeAt(at) => Some(at),
        Command::Dispatch(_) => None,
    }
}
