//! The desks of some partitions, in one task: facts are brought to them and their acts carried out.
//!
//! Many workflows are at work at once and each waits for its own append only. What a desk decides is
//! the desk's; nothing is decided here.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadelus_core::{Chain, Entry, Input};
use deadelus_mesh::{
    MeshError,
    append::{Append, Appended, Next},
    clock::now_unix_ms,
    life::Shutdown,
    meters,
    pipeline::{Answer, Pipeline},
};
use deadelus_proto::{TaskKey, WorkflowId};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tracing::{Instrument as _, Span};

use crate::{
    desk::{Act, Desk, Fact, Moment, Sending},
    dispatch,
    hub::Parcel,
    inbox::Inbox,
    journal::Journal,
    letter::{Letter, Ticket},
    projection, spans, telling,
};

/// Parcels taken from the channel at once.
const PARCELS_AT_ONCE: usize = 256;
/// With nothing to wait for, a shard looks at its clock this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Never the same twice, whichever shard asks.
static NONCE: AtomicU64 = AtomicU64::new(1);

/// Some partitions' desks.
#[derive(Debug)]
pub(crate) struct Shard {
    journal: Journal,
    inbox: Inbox,
    pipeline: Pipeline<Asked>,
    seats: HashMap<WorkflowId, Seat>,
    /// Workflows that have a seat in this process.
    open: Arc<AtomicUsize>,
    /// What takes longer than handing something to the connection.
    slow: JoinSet<(WorkflowId, Slow)>,
    timers: BinaryHeap<Reverse<(i64, WorkflowId)>>,
    /// Partitions to be cleared.
    closing: Vec<(u16, oneshot::Sender<()>)>,
}

#[derive(Debug)]
struct Seat {
    desk: Desk<Ticket>,
    append: Option<Append>,
    /// When a timer of it is set for.
    timer: Option<i64>,
}

/// What was published.
#[derive(Debug)]
enum Asked {
    Append(WorkflowId),
    Send(TaskKey),
    Show(WorkflowId),
}

/// What has come of something slow.
#[derive(Debug)]
enum Slow {
    Read(Box<Chain>),
    Appended(Result<Appended, MeshError>),
    Sent(TaskKey, Result<(), String>),
}

impl Shard {
    pub(crate) async fn open(
        journal: Journal,
        inbox: Inbox,
        open: Arc<AtomicUsize>,
    ) -> Result<Self, MeshError> {
        let pipeline = Pipeline::open(journal.mesh().clone()).await?;
        let (seats, slow, timers) = (HashMap::new(), JoinSet::new(), BinaryHeap::new());
        let closing = vec![];
        Ok(Self { journal, inbox, pipeline, seats, open, slow, timers, closing })
    }

    /// Works until the process is asked to stop; then until the appends under way are over.
    pub(crate) async fn run(mut self, mut parcels: mpsc::Receiver<Parcel>, shutdown: Shutdown) {
        let mut brought = Vec::with_capacity(PARCELS_AT_ONCE);
        let alarm = tokio::time::sleep(LOOK_EVERY);
        tokio::pin!(alarm);
        let mut reconnects = self.journal.mesh().reconnects();
        let stop = shutdown.requested();
        tokio::pin!(stop);
        let mut stopping = false;
        while !stopping || self.seats.values().any(|seat| seat.desk.is_appending()) {
            tokio::select! {
                _ = parcels.recv_many(&mut brought, PARCELS_AT_ONCE), if !stopping => {
                    for parcel in brought.drain(..) {
                        self.parcel(parcel).await;
                    }
                }
                (asked, answer) = self.pipeline.next() => self.answered(asked, answer).await,
                Some(done) = self.slow.join_next() => match done {
                    Ok((workflow, done)) => self.done(workflow, done).await,
                    Err(error) => tracing::error!(%error, "a task of the shard panicked"),
                },
                () = reconnects.next() => self.reconnected().await,
                () = &mut alarm => self.time().await,
                () = &mut stop, if !stopping => stopping = true,
            }
            self.close();
            let due = self.due();
            if due < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(due);
            }
        }
    }

    async fn parcel(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Letter(workflow, mut letter) => {
                self.take_seat(&workflow, Some(&letter.input)).await;
                let Letter { input, ticket, .. } = &mut *letter;
                ticket.span.in_scope(|| begin_trace(input));
                self.fact(&workflow, Fact::Letter(*letter)).await;
            }
            Parcel::Beat(key, answer) => {
                // Nobody drives it here: perhaps elsewhere.
                let Some(seat) = self.seats.get_mut(&key.workflow) else { return };
                let _: Vec<_> = seat.desk.on(Fact::Beat(key.clone()), moment());
                // A worker that no longer waits for the answer asks again.
                let _ = answer.send(seat.desk.verdict(&key));
            }
            Parcel::Slots(key, word) => {
                let workflow = key.workflow.clone();
                self.fact(&workflow, Fact::Slots(key, word)).await;
            }
            Parcel::TakeUp(workflow) => self.take_seat(&workflow, None).await,
            Parcel::Close(partition, closed) => self.closing.push((partition, closed)),
        }
    }

    async fn answered(&mut self, asked: Asked, answer: Answer) {
        match (asked, answer) {
            (Asked::Append(workflow), answer) => self.append_answered(workflow, answer).await,
            (Asked::Send(key), Answer::Stored(_)) => {
                let workflow = key.workflow.clone();
                self.fact(&workflow, Fact::Sent(key)).await;
            }
            (Asked::Send(key), answer) => {
                tracing::warn!(%key, ?answer, "not sent; it will be sent again");
            }
            (Asked::Show(workflow), Answer::Stored(_)) => {
                self.fact(&workflow, Fact::Shown(true)).await;
            }
            (Asked::Show(workflow), answer) => {
                tracing::warn!(%workflow, ?answer, "the list is behind");
                self.fact(&workflow, Fact::Shown(false)).await;
            }
        }
    }

    async fn append_answered(&mut self, workflow: WorkflowId, answer: Answer) {
        let Some(seat) = self.seats.get_mut(&workflow) else { return };
        let Some(mut append) = seat.append.take() else { return };
        match append.answered(answer) {
            Ok(Next::Over(appended)) => self.fact(&workflow, Fact::Appended(Ok(appended))).await,
            Err(error) => self.fact(&workflow, Fact::Appended(Err(error))).await,
            Ok(next @ (Next::LookUp | Next::Again { .. })) => {
                let mesh = self.journal.mesh().clone();
                self.slow.spawn(async move {
                    let over = append.carry_on(&mesh, next).await;
                    (workflow, Slow::Appended(over))
                });
            }
        }
    }

    async fn done(&mut self, workflow: WorkflowId, done: Slow) {
        match done {
            Slow::Read(chain) => self.fact(&workflow, Fact::Read(chain)).await,
            Slow::Appended(over) => self.fact(&workflow, Fact::Appended(over)).await,
            Slow::Sent(key, Ok(())) => self.fact(&workflow, Fact::Sent(key)).await,
            Slow::Sent(key, Err(error)) => {
                tracing::warn!(%key, error, "not sent; it will be sent again");
            }
        }
    }

    async fn reconnected(&mut self) {
        self.pipeline.expire_all();
        let open: Vec<WorkflowId> = self.seats.keys().cloned().collect();
        for workflow in open {
            self.fact(&workflow, Fact::Reconnected).await;
        }
        self.time().await;
    }

    async fn time(&mut self) {
        while let Some((asked, answer)) = self.pipeline.expired() {
            self.answered(asked, answer).await;
        }
        let now = moment();
        while let Some(Reverse((at, _))) = self.timers.peek()
            && *at <= now.unix_ms
            && let Some(Reverse((at, workflow))) = self.timers.pop()
        {
            let Some(seat) = self.seats.get_mut(&workflow) else { continue };
            // Set anew since, for an earlier moment.
            if seat.timer != Some(at) {
                continue;
            }
            seat.timer = None;
            if seat.desk.may_be_cleared(now) {
                self.seats.remove(&workflow);
                self.open.fetch_sub(1, Ordering::Relaxed);
            } else {
                self.fact(&workflow, Fact::Time).await;
            }
        }
    }

    /// Clears the partitions that no append is under way in any more.
    fn close(&mut self) {
        let mut closing = std::mem::take(&mut self.closing);
        closing.retain(|(partition, closed)| {
            let ours = |workflow: &WorkflowId| workflow.partition() == *partition;
            if closed.is_closed() {
                return false;
            }
            if self.seats.iter().any(|(id, seat)| ours(id) && seat.desk.is_appending()) {
                return true;
            }
            let before = self.seats.len();
            for id in self.seats.keys().filter(|id| ours(id)) {
                self.inbox.wishes.are_elsewhere(id);
            }
            self.seats.retain(|id, _| !ours(id));
            self.open.fetch_sub(before - self.seats.len(), Ordering::Relaxed);
            false
        });
        self.closing = closing;
    }

    /// When the next timer is due.
    fn due(&self) -> Instant {
        let now = Instant::now();
        let timer = self.timers.peek().map_or(now + LOOK_EVERY, |Reverse((at, _))| {
            let left = at.saturating_sub(now_unix_ms());
            now + Duration::from_millis(u64::try_from(left).unwrap_or(0))
        });
        self.pipeline.expires_at().map_or(timer, |expires| expires.min(timer))
    }

    async fn take_seat(&mut self, workflow: &WorkflowId, first: Option<&Input>) {
        if self.seats.contains_key(workflow) {
            return;
        }
        let mut desk = Desk::new(self.journal.owner(), workflow.clone());
        let acts = desk.open(first, moment());
        self.open.fetch_add(1, Ordering::Relaxed);
        self.seats.insert(workflow.clone(), Seat { desk, append: None, timer: None });
        self.carry_out(workflow, acts).await;
    }

    async fn fact(&mut self, workflow: &WorkflowId, fact: Fact<Ticket>) {
        let Some(seat) = self.seats.get_mut(workflow) else { return };
        let acts = seat.desk.on(fact, moment());
        self.carry_out(workflow, acts).await;
    }

    async fn carry_out(&mut self, workflow: &WorkflowId, acts: Vec<Act<Ticket>>) {
        for act in acts {
            self.act(workflow, act).await;
        }
        self.set_timer(workflow);
    }

    async fn act(&mut self, workflow: &WorkflowId, act: Act<Ticket>) {
        match act {
            Act::Read(empty) => {
                let (journal, id) = (self.journal.clone(), workflow.clone());
                self.slow.spawn(async move {
                    let chain = journal.read_until_done(&empty).await;
                    (id, Slow::Read(Box::new(chain)))
                });
            }
            Act::Append { entry, expected } => self.append(workflow, entry, expected).await,
            Act::Tell { events, was_stuck } => {
                if let Some(workflow) = self.workflow(workflow) {
                    telling::of(workflow, &events, was_stuck);
                }
            }
            Act::Show(summary) => {
                let (subject, headers, bytes) = projection::line_of(&self.journal, &summary);
                let asked = Asked::Show(workflow.clone());
                self.pipeline.publish(subject, headers, bytes, asked).await;
            }
            Act::Claim(word, claims) => self.inbox.wishes.are(workflow, word, claims),
            Act::Send(key, sending) => self.send(key, sending).await,
            Act::Finish(ticket, problems) => ticket.finish(self.journal.mesh(), problems).await,
            Act::GivenUp(ticket) => ticket.give_up(self.journal.mesh()).await,
            Act::Again(mut ticket) if ticket.may_race_again() => {
                meters::append_conflict();
                ticket.races += 1;
                tracing::info!(%workflow, races = ticket.races, "lost a race; deciding again");
                self.inbox.hand_in_again(ticket);
            }
            Act::Again(ticket) | Act::Leave(ticket) => drop(ticket),
        }
    }

    async fn append(&mut self, workflow: &WorkflowId, entry: Entry, expected: u64) {
        let Some(seat) = self.seats.get_mut(workflow) else { return };
        let span = seat.desk.in_hand().map_or_else(Span::none, |ticket| ticket.span.clone());
        let append = span.in_scope(|| self.journal.append(workflow, entry, expected));
        match append {
            Ok(append) => {
                let (subject, headers, bytes) = append.message();
                seat.append = Some(append);
                let asked = Asked::Append(workflow.clone());
                self.pipeline.publish(subject, headers, bytes, asked).await;
            }
            Err(error) => {
                let id = workflow.clone();
                self.slow.spawn(async move { (id, Slow::Appended(Err(error))) });
            }
        }
    }

    async fn send(&mut self, key: TaskKey, sending: Sending) {
        let Some(workflow) = self.workflow(&key.workflow) else { return };
        let mesh = self.journal.mesh();
        match dispatch::message(mesh, workflow, &key, sending) {
            Ok(dispatch::Message::Ready { subject, headers, bytes }) => match sending {
                Sending::First => self.pipeline.hand_over(subject, headers, bytes).await,
                Sending::Once | Sending::Again => {
                    self.pipeline.publish(subject, headers, bytes, Asked::Send(key)).await;
                }
            },
            Ok(dispatch::Message::Large(large)) => {
                let mesh = mesh.clone();
                let span = large.span.clone();
                self.slow.spawn(
                    async move {
                        let sent = Box::pin(large.send(&mesh)).await;
                        (key.workflow.clone(), Slow::Sent(key, sent))
                    }
                    .instrument(span),
                );
            }
            Err(error) => tracing::warn!(%key, error, "not sent; it will be sent again"),
        }
    }

    fn workflow(&self, id: &WorkflowId) -> Option<&deadelus_core::Workflow> {
        self.seats.get(id).and_then(|seat| seat.desk.workflow())
    }

    fn set_timer(&mut self, workflow: &WorkflowId) {
        let Some(seat) = self.seats.get_mut(workflow) else { return };
        let at = seat.desk.wake_at();
        if seat.timer.is_none_or(|set| at < set) {
            seat.timer = Some(at);
            self.timers.push(Reverse((at, workflow.clone())));
        }
    }
}

fn moment() -> Moment {
    Moment { unix_ms: now_unix_ms(), nonce: NONCE.fetch_add(1, Ordering::Relaxed) }
}

/// A workflow's trace begins where it is accepted; every replica and every retry continues it.
fn begin_trace(input: &mut Input) {
    if let Input::Start { workflow, plan, traceparent, .. } = input {
        *traceparent = spans::root(workflow, &plan.plan().title);
    }
}
