//! Changes done, repeated, interrupted, found wanting and taken back, with the real ledger and the
//! real inbox.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use deadelus_mesh::{Mesh, config::NatsConfig, streams};
use deadelus_proto::{
    Aftermath, Check, Effect, ErrorClass, Failure, Idempotency, Undo, UndoClass, pb,
};
use deadelus_tests::nats::NatsServer;
use futures_util::StreamExt as _;
use prost::Message as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Desk, change};
use crate::{
    About, ChangeCapability, Context, Found, Measured, Prepared, Specialist, UndoPromise,
    ledger::{Entry, Held, Ledger},
    report::Reporter,
    specialist::{ErasedChange, Work},
};

/// The component: a lamp, and what happens when somebody touches it.
#[derive(Debug, Default)]
struct Lamp {
    lit: AtomicBool,
    touched: AtomicU32,
    dim: AtomicBool,
    jammed: AtomicBool,
    blackout: AtomicBool,
    /// Who touches it looks at it, and then stays there until it is let go.
    slow: AtomicBool,
    touching: Notify,
    let_go: Notify,
}

struct Switch {
    lamp: Arc<Lamp>,
    verb: &'static str,
    to: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl ChangeCapability for Switch {
    type Inputs = Nothing;
    type Outputs = Nothing;
    type Before = bool;

    fn about(&self) -> About {
        About {
            verb: self.verb,
            role: "Light",
            summary: "Turns the lamp on or off",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[("as_wanted", "the lamp is as it should be")],
            undo: Some(UndoPromise { verb: "off", class: UndoClass::Exact }),
            timeout: Duration::from_secs(5),
            locks: &[],
        }
    }

    async fn prepare(&self, _: &Context, _: &Nothing) -> Result<Prepared<bool>, Failure> {
        let before = self.lamp.lit.load(Ordering::SeqCst);
        let undo = self.to.then(|| Undo {
            capability: "light.off".parse().unwrap(),
            inputs: json!({}),
            class: UndoClass::Exact,
            residue: vec![],
        });
        Ok(Prepared { before, undo })
    }

    async fn perform(
        &self,
        _: &Context,
        _: &Nothing,
        _: &bool,
    ) -> Result<Measured<Nothing>, Failure> {
        if self.lamp.blackout.load(Ordering::SeqCst) {
            return Err(Failure::new(ErrorClass::Unavailable, "no power"));
        }
        if !self.to && self.lamp.jammed.load(Ordering::SeqCst) {
            return Err(Failure::new(ErrorClass::UndoFailed, "the switch is jammed"));
        }
        self.lamp.touched.fetch_add(1, Ordering::SeqCst);
        self.lamp.lit.store(self.to, Ordering::SeqCst);
        let measured = self.measure();
        if self.lamp.slow.swap(false, Ordering::SeqCst) {
            self.lamp.touching.notify_one();
            self.lamp.let_go.notified().await;
        }
        Ok(measured)
    }

    async fn reconcile(
        &self,
        _: &Context,
        _: &Nothing,
        _: &bool,
    ) -> Result<Found<Nothing>, Failure> {
        if self.lamp.lit.load(Ordering::SeqCst) == self.to {
            return Ok(Found::Done(self.measure()));
        }
        Ok(Found::NotBegun)
    }
}

impl Switch {
    fn measure(&self) -> Measured<Nothing> {
        let bright = !(self.to && self.lamp.dim.load(Ordering::SeqCst));
        let lit = self.lamp.lit.load(Ordering::SeqCst);
        Measured::new(Nothing {}, vec![Check::equal("as_wanted", lit == self.to && bright, true)])
    }
}

struct Room {
    lamp: Arc<Lamp>,
    specialist: Specialist,
    ledger: Ledger,
    reporter: Reporter,
    /// What the orchestrator was told of, and whether it waits for anything.
    heard: Arc<Mutex<Vec<pb::TaskReport>>>,
    is_over: Arc<AtomicBool>,
    _server: NatsServer,
}

/// Says yes to everything, or that nobody waits for it any more.
async fn orchestrate(mesh: Mesh, heard: Arc<Mutex<Vec<pb::TaskReport>>>, is_over: Arc<AtomicBool>) {
    let mut asked = mesh.client.subscribe(mesh.subjects.all("ask")).await.unwrap();
    mesh.client.flush().await.unwrap();
    tokio::spawn(async move {
        while let Some(question) = asked.next().await {
            let inbound = pb::Inbound::decode(question.payload).unwrap();
            let Some(pb::inbound::Message::Report(report)) = inbound.message else { continue };
            heard.lock().unwrap().push(report);
            let given_up = is_over.load(Ordering::SeqCst);
            let answer = pb::Answer { accepted: !given_up, given_up, problems: vec![] };
            let answer = answer.encode_to_vec().into();
            mesh.client.publish(question.reply.unwrap(), answer).await.unwrap();
        }
    });
}

impl Room {
    async fn make() -> Self {
        let server = NatsServer::start();
        let config = NatsConfig { url: server.url.clone(), ..NatsConfig::default() };
        let mesh = deadelus_mesh::connect(&config, "light-test").await.unwrap();
        streams::ensure(&mesh, 1).await.unwrap();
        let lamp = Arc::new(Lamp::default());
        let switch = |verb, to| Switch { lamp: Arc::clone(&lamp), verb, to };
        let specialist =
            Specialist::new("light", "0").change(switch("on", true)).change(switch("off", false));
        let reporter = Reporter {
            mesh: mesh.clone(),
            specialist: specialist.name().clone(),
            instance: "light-1".to_owned(),
        };
        let ledger = Ledger::open(&mesh).await.unwrap();
        let (heard, is_over) = (Arc::default(), Arc::default());
        orchestrate(mesh, Arc::clone(&heard), Arc::clone(&is_over)).await;
        Self { lamp, specialist, ledger, reporter, heard, is_over, _server: server }
    }

    async fn on(&self, task: &str) -> Result<deadelus_proto::Done, Failure> {
        self.on_with(task, json!({})).await
    }

    async fn on_with(&self, task: &str, inputs: Value) -> Result<deadelus_proto::Done, Failure> {
        let mut cx = Context::detached("hall");
        cx.key.task = task.parse().unwrap();
        change(self.desk(), self.work(), &cx, &inputs).await.map(|(done, _)| done)
    }

    fn desk(&self) -> Desk<'_> {
        let (specialist, ledger, reporter) = (&self.specialist, &self.ledger, &self.reporter);
        let (deliveries, begun_unix_ms, is_wanted) = (1, 1, true);
        Desk { specialist, ledger, reporter, deliveries, begun_unix_ms, is_wanted }
    }

    fn work(&self) -> &dyn ErasedChange {
        match &self.specialist.capabilities[&"light.on".parse().unwrap()].work {
            Work::Change(work) => work.as_ref(),
            Work::Read(_) => unreachable!("a switch changes something"),
        }
    }

    fn lit(&self) -> bool {
        self.lamp.lit.load(Ordering::SeqCst)
    }

    fn touched(&self) -> u32 {
        self.lamp.touched.load(Ordering::SeqCst)
    }

    async fn forget_the_outcome(&self, key: &str) {
        let Held { entry, revision } = self.ledger.read(key).await.unwrap().unwrap();
        let entry = Entry { done: None, ..entry };
        self.ledger.write(key, entry, revision).await.unwrap().unwrap();
    }

    /// How many undo records of the task the orchestrator was told of.
    fn undos_recorded(&self, task: &str) -> usize {
        let is_undo = |report: &&pb::TaskReport| {
            let news = report.news.as_ref();
            matches!(news, Some(pb::task_report::News::UndoRecorded(_))) && report.task_id == task
        };
        self.heard.lock().unwrap().iter().filter(is_undo).count()
    }
}

#[tokio::test]
async fn the_way_back_is_told_before_and_a_repetition_touches_nothing() {
    let room = Room::make().await;
    let done = room.on("a").await.unwrap();
    assert!(!done.reconciled && room.lit());
    assert_eq!(room.undos_recorded("a"), 1);
    let again = room.on("a").await.unwrap();
    assert!(again.reconciled);
    assert_eq!(room.touched(), 1, "the effect happened once");
}

#[tokio::test]
async fn what_is_found_finished_is_told_in_the_name_of_who_did_it() {
    let room = Room::make().await;
    let mut cx = Context::detached("hall");
    cx.key.task = "a".parse().unwrap();
    let (_, first) = change(room.desk(), room.work(), &cx, &json!({})).await.unwrap();
    let later = Desk { begun_unix_ms: 9, deliveries: 2, ..room.desk() };
    let (again, by) = change(later, room.work(), &cx, &json!({})).await.unwrap();
    assert!(again.reconciled && by == first, "{by:?}");
    assert_eq!(first.begun_unix_ms, 1);
}

#[tokio::test]
async fn an_effect_whose_outcome_was_lost_is_found_and_not_done_again() {
    let room = Room::make().await;
    room.on("a").await.unwrap();
    // What a worker leaves that dies between the effect and the outcome.
    let key = "light.detached.a.do";
    room.forget_the_outcome(key).await;
    let found = room.on("a").await.unwrap();
    assert!(found.reconciled);
    assert_eq!(room.touched(), 1);
    assert_eq!(room.undos_recorded("a"), 2, "the way back is told again, it may be lost too");
}

#[tokio::test]
async fn what_had_not_begun_is_done_by_the_next() {
    let room = Room::make().await;
    room.on("a").await.unwrap();
    let key = "light.detached.a.do";
    room.forget_the_outcome(key).await;
    room.lamp.lit.store(false, Ordering::SeqCst);
    assert!(!room.on("a").await.unwrap().reconciled);
    assert!(room.lit());
}

#[tokio::test]
async fn done_but_not_good_enough_has_undone_itself() {
    let room = Room::make().await;
    room.lamp.dim.store(true, Ordering::SeqCst);
    let failure = room.on("a").await.unwrap_err();
    assert_eq!((failure.class, failure.aftermath), (ErrorClass::CheckFailed, Aftermath::TakenBack));
    assert!(!failure.checks.is_empty(), "what was measured is attached");
    assert!(!room.lit());
    room.lamp.dim.store(false, Ordering::SeqCst);
    assert!(!room.on("a").await.unwrap().reconciled, "the next attempt begins afresh");
}

#[tokio::test]
async fn an_undo_that_fails_says_so() {
    let room = Room::make().await;
    room.lamp.dim.store(true, Ordering::SeqCst);
    room.lamp.jammed.store(true, Ordering::SeqCst);
    let failure = room.on("a").await.unwrap_err();
    assert_eq!((failure.class, failure.aftermath), (ErrorClass::UndoFailed, Aftermath::Partial));
    assert!(failure.message.contains("jammed"), "{failure}");
    assert!(room.lit(), "it still stands, and the report says so");
}

#[tokio::test]
async fn a_failure_that_touched_nothing_leaves_nothing() {
    let room = Room::make().await;
    room.lamp.blackout.store(true, Ordering::SeqCst);
    let failure = room.on("a").await.unwrap_err();
    assert_eq!((failure.class, failure.aftermath), (ErrorClass::Unavailable, Aftermath::Untouched));
    assert_eq!(room.ledger.read("light.detached.a.do").await.unwrap(), None);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_does_not_begin() {
    let room = Room::make().await;
    room.is_over.store(true, Ordering::SeqCst);
    let failure = room.on("a").await.unwrap_err();
    assert_eq!((failure.class, failure.aftermath), (ErrorClass::Denied, Aftermath::Untouched));
    assert_eq!((room.lit(), room.touched()), (false, 0));
    assert_eq!(room.ledger.read("light.detached.a.do").await.unwrap(), None);
    // The next attempt begins afresh.
    room.is_over.store(false, Ordering::SeqCst);
    room.on("a").await.unwrap();
    assert!(room.lit());
}

#[tokio::test]
async fn a_second_copy_that_nobody_waits_for_does_not_begin() {
    let room = Room::make().await;
    let desk = Desk { is_wanted: false, ..room.desk() };
    let cx = Context::detached("hall");
    let failure = change(desk, room.work(), &cx, &json!({})).await.unwrap_err();
    assert_eq!((failure.class, room.touched()), (ErrorClass::Denied, 0));
}

#[tokio::test]
async fn the_same_key_with_other_inputs_is_a_conflict() {
    let room = Room::make().await;
    room.on("a").await.unwrap();
    let failure = room.on_with("a", json!({"brighter": true})).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Conflict);
    assert_eq!(room.touched(), 1);
}

#[tokio::test]
async fn two_workers_at_once_leave_the_effect_in_the_world() {
    let room = Room::make().await;
    let (one, other) = tokio::join!(room.on("a"), room.on("a"));
    assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
    assert!(room.lit());
}

#[tokio::test]
async fn an_undo_that_was_done_is_done_again_for_an_effect_that_landed_late() {
    let room = Room::make().await;
    let off = |attempt| {
        let mut cx = Context::detached("hall");
        cx.key.direction = deadelus_proto::Direction::Undo;
        cx.key.attempt = attempt;
        cx
    };
    let Work::Change(work) = &room.specialist.capabilities[&"light.off".parse().unwrap()].work
    else {
        unreachable!("a switch changes something")
    };
    room.on("a").await.unwrap();
    change(room.desk(), work.as_ref(), &off(1), &json!({})).await.unwrap();
    assert!(!room.lit());
    room.lamp.lit.store(true, Ordering::SeqCst);
    let (again, _) = change(room.desk(), work.as_ref(), &off(1), &json!({})).await.unwrap();
    assert!(again.reconciled && room.lit(), "the same attempt, delivered twice, is one");
    change(room.desk(), work.as_ref(), &off(2), &json!({})).await.unwrap();
    assert!(!room.lit(), "a new attempt takes back what is there now");
}

#[tokio::test]
async fn a_slow_worker_leaves_what_a_later_attempt_has_taken_up() {
    let room = Room::make().await;
    room.lamp.dim.store(true, Ordering::SeqCst);
    room.lamp.slow.store(true, Ordering::SeqCst);
    let later = async {
        room.lamp.touching.notified().await;
        room.lamp.dim.store(false, Ordering::SeqCst);
        let done = room.on("a").await;
        room.lamp.let_go.notify_one();
        done
    };
    let (slow, later) = tokio::join!(room.on("a"), later);
    assert!(later.unwrap().reconciled, "it found the lamp lit");
    let failure = slow.unwrap_err();
    let said = (failure.class, failure.aftermath);
    assert_eq!(said, (ErrorClass::UnknownOutcome, Aftermath::Unknown), "{failure}");
    assert!(room.lit(), "what the later attempt reported still stands");
    assert!(room.on("a").await.unwrap().reconciled, "and the ledger still has it as done");
}

#[tokio::test]
async fn who_has_done_it_well_is_not_taken_back_by_who_took_it_up() {
    let room = Room::make().await;
    room.lamp.slow.store(true, Ordering::SeqCst);
    let later = async {
        room.lamp.touching.notified().await;
        room.lamp.dim.store(true, Ordering::SeqCst);
        room.lamp.slow.store(true, Ordering::SeqCst);
        // It finds the lamp lit and dim, touches it, and is slow, too.
        let both = async {
            room.lamp.touching.notified().await;
            room.lamp.let_go.notify_one();
        };
        let (done, ()) = tokio::join!(room.on("a"), both);
        done
    };
    let slow = async {
        let done = room.on("a").await;
        room.lamp.let_go.notify_one();
        done
    };
    let (slow, later) = tokio::join!(slow, later);
    assert!(!slow.unwrap().reconciled);
    assert_eq!(later.unwrap_err().class, ErrorClass::UnknownOutcome);
    assert!(room.lit(), "what was reported as done still stands");
}
