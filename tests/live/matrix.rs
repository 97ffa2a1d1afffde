//! The fault matrix of a request, generated from its plan: at every task everything that can go wrong between an
//! orchestrator and a specialist does. The end is all done, or every fingerprint as it was before.
//!
//! A gate is put before the task, so that the fault can be laid while nothing else moves; apart from
//! that the plan is the one that its sentence gives. The whole matrix is run by
//!
//! ```sh
//! cargo test -p deadelus-tests --test live -- --ignored --nocapture matrix
//! ```
//!
//! and leaves its tables in `target/fault-matrix-*.md`. With `DEADELUS_MATRIX_ENGINE=postgres` it is
//! run on PostgreSQL. One fault at each of some tasks is always run.

use std::{env, fmt::Write as _, fs, time::Instant};

use async_nats::Subscriber;
use deadelus_core::{
    CheckedPlan, Plan,
    plan::{GateRule, OnFailure},
};
use deadelus_proto::{
    Subject, WorkflowId,
    pb::{self, Direction, Ending, event::Kind, inbound::Message as Said},
};
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use futures_util::StreamExt as _;
use prost::Message as _;

use crate::{
    golden1, golden2, golden3, golden4,
    person::{PATIENCE, Person},
    quiet,
    scene::Scene,
    shop::Engine,
    story::Story,
};

/// What goes wrong at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The specialist says that it failed.
    Fail,
    /// Nobody is there when it is asked for.
    KillBefore,
    /// The specialist ends when the work is done and its word is out.
    KillAfter,
    /// The word that it is done reaches nobody; it is said again where it is kept.
    DropReply,
    /// The task is asked for three times.
    Duplicate,
}

const FAULTS: [Fault; 5] =
    [Fault::Fail, Fault::KillBefore, Fault::KillAfter, Fault::DropReply, Fault::Duplicate];

/// Where the whole matrix is run; SQLite, unless this variable says `postgres`.
const ENGINE: &str = "DEADELUS_MATRIX_ENGINE";

/// What a row says of a task that the plan itself skipped: no fault can meet it.
const SKIPPED: &str = "skipped";

/// One fault at one task, and what became of it.
struct Row {
    task: String,
    fault: Fault,
    first: &'static str,
    residue: usize,
    seconds: u64,
}

#[tokio::test]
async fn a_fault_at_each_change_ends_with_all_done_or_all_as_before() {
    let _others = quiet::among_others().await;
    let cells = [
        ("migrate", Fault::DropReply),
        ("release", Fault::Fail),
        ("drill", Fault::KillAfter),
        ("reconcile", Fault::KillBefore),
        ("publish", Fault::Duplicate),
    ];
    some_of::<golden4::Case>(Engine::Sqlite, &cells).await;
}

#[tokio::test]
async fn a_fault_at_each_change_of_subscriptions_ends_with_all_done_or_all_as_before() {
    let _others = quiet::among_others().await;
    let cells = [
        ("billing", Fault::KillAfter),
        ("catalogue", Fault::DropReply),
        ("publish-rights", Fault::KillBefore),
        ("release", Fault::Duplicate),
        ("webhooks", Fault::Fail),
        ("webhooks", Fault::KillAfter),
        ("commit", Fault::DropReply),
    ];
    some_of::<golden1::Case>(Engine::Sqlite, &cells).await;
}

#[tokio::test]
async fn a_fault_at_each_change_of_accounts_ends_with_all_done_or_all_as_before() {
    // Logging in is measured on the way.
    let _alone = quiet::alone().await;
    let cells = [
        ("policies", Fault::KillAfter),
        ("key", Fault::DropReply),
        ("report", Fault::KillBefore),
        ("enforce", Fault::Fail),
        ("accept", Fault::Duplicate),
    ];
    some_of::<golden3::Case>(Engine::Sqlite, &cells).await;
}

/// What fails in a round is taken back with its round, and the plan goes on.
#[tokio::test]
async fn a_fault_at_each_kind_of_step_of_a_slow_checkout_ends_with_all_done_or_all_as_before() {
    let _alone = quiet::alone().await;
    let cells = [
        ("measure0", Fault::KillAfter),
        ("index1", Fault::Fail),
        ("index1", Fault::KillAfter),
        ("compare1", Fault::DropReply),
        ("explain2", Fault::Fail),
    ];
    some_of::<golden2::Case>(Engine::Sqlite, &cells).await;
}

#[tokio::test]
async fn on_postgres_too_a_fault_ends_with_all_done_or_all_as_before() {
    let _others = quiet::among_others().await;
    let cells = [("migrate", Fault::KillAfter), ("release", Fault::Fail)];
    some_of::<golden4::Case>(Engine::Postgres, &cells).await;
}

#[tokio::test]
#[ignore = "all of it takes some minutes; the short round above is always run"]
async fn every_fault_at_every_task_ends_with_all_done_or_all_as_before() {
    let _alone = quiet::alone().await;
    all_of::<golden4::Case>().await;
}

#[tokio::test]
#[ignore = "all of it takes some minutes; the short round above is always run"]
async fn every_fault_at_every_task_of_subscriptions_ends_with_all_done_or_all_as_before() {
    let _alone = quiet::alone().await;
    all_of::<golden1::Case>().await;
}

#[tokio::test]
#[ignore = "all of it takes some minutes; the short round above is always run"]
async fn every_fault_at_every_task_of_accounts_ends_with_all_done_or_all_as_before() {
    let _alone = quiet::alone().await;
    all_of::<golden3::Case>().await;
}

#[tokio::test]
#[ignore = "all of it takes some minutes; the short round above is always run"]
async fn every_fault_at_every_task_of_a_slow_checkout_ends_with_all_done_or_all_as_before() {
    let _alone = quiet::alone().await;
    all_of::<golden2::Case>().await;
}

async fn some_of<S: Scene>(engine: Engine, cells: &[(&str, Fault)]) {
    let Some(mut ground) = Ground::<S>::of(engine).await else { return };
    for (task, fault) in cells {
        ground.suffer(task, *fault).await;
    }
}

async fn all_of<S: Scene>() {
    let mut table = String::from(
        "| task | fault | workflow | after its undo | residue | seconds |\n|---|---|---|---|---|---|\n",
    );
    let (engine, suffix) = match env::var(ENGINE).as_deref() {
        Ok("postgres") => (Engine::Postgres, "-postgres"),
        Ok("sqlite") | Err(_) => (Engine::Sqlite, ""),
        Ok(other) => panic!("{ENGINE}: {other:?} is neither sqlite nor postgres"),
    };
    let Some(mut ground) = Ground::<S>::of(engine).await else { return };
    let tasks: Vec<String> = ground.plan.tasks.keys().cloned().collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
    let _ = fs::create_dir_all(folder);
    for task in tasks {
        for fault in FAULTS {
            let Row { task, fault, first, residue, seconds } = ground.suffer(&task, fault).await;
            let line =
                format!("| {task} | {fault:?} | {first} | as before | {residue} | {seconds} |");
            eprintln!("{line}");
            writeln!(table, "{line}").unwrap();
            fs::write(format!("{folder}/fault-matrix-{}{suffix}.md", S::NAME), &table).unwrap();
            if first == SKIPPED {
                // What is not asked for cannot go wrong in any other way either.
                break;
            }
        }
    }
}

/// Where it happens: one shop and one mesh, used again and again, because each time everything is
/// to be as it was before.
struct Ground<S: Scene> {
    scene: S,
    fleet: Fleet,
    ada: Person,
    plan: Plan,
    rounds: u32,
}

impl<S: Scene> Ground<S> {
    async fn of(engine: Engine) -> Option<Self> {
        let scene = S::open("matrix", engine).await?;
        let fleet = scene.fleet();
        let ada = Person::at(&fleet).await;
        let proposal = scene.proposal(&ada).await;
        let plan = CheckedPlan::from_json(&proposal.plan_json).unwrap().plan().clone();
        Some(Self { scene, fleet, ada, plan, rounds: 0 })
    }

    /// One workflow with one fault, and its undo.
    async fn suffer(&mut self, task: &str, fault: Fault) -> Row {
        let begun = Instant::now();
        let before = self.scene.state().await;
        self.rounds += 1;
        let (id, digest) = self.gated(task).await;
        let stands = |story: &Story| stands_at(story, task) || story.ending().is_some();
        let story = self.ada.until(&id, "it stands at the gate or has ended", stands).await;
        let is_asked_for = stands_at(&story, task);
        if is_asked_for {
            self.lay(&id, &digest, task, fault).await;
        } else {
            assert_eq!(story.outcome(task), SKIPPED, "{task}\n{}", story.told());
        }
        S::agree(&self.ada, &id).await;
        let story = self.ada.until(&id, "it has ended", |story| story.ending().is_some()).await;
        let fails = fault == Fault::Fail && is_asked_for;
        let wanted = if fails && !self.may_fail(task) { Ending::Undone } else { Ending::Done };
        assert_eq!(story.ending(), Some(wanted), "{task} {fault:?}\n{}", story.told());
        if fails {
            assert_eq!(story.outcome(task), "failed", "{task}\n{}", story.told());
        }
        if wanted == Ending::Done {
            assert_eq!(self.ada.undo(&id).await, Vec::<String>::new());
            self.ada.until_ended(&id, Ending::Undone).await;
        }
        let first = match (is_asked_for, wanted, fails) {
            (false, _, _) => SKIPPED,
            (true, Ending::Done, true) => "went on without it",
            (true, Ending::Done, false) => "done",
            (true, _, _) => "taken back",
        };
        self.settled().await;
        let story = self.ada.story(&id).await;
        let after = self.scene.state().await;
        assert_eq!(after, before, "{task} {fault:?}\n{}", story.told());
        let residue = story.residue();
        let undeclared: Vec<&String> = residue.iter().filter(|r| !S::is_declared(r)).collect();
        assert!(undeclared.is_empty(), "{task} {fault:?}: {undeclared:?}");
        let seconds = begun.elapsed().as_secs();
        Row { task: task.to_owned(), fault, first, residue: residue.len(), seconds }
    }

    /// Whoever was killed with a word unsaid is asked again, long after the workflow has ended: what
    /// comes of that is part of this round, and must not meet the next one.
    async fn settled(&self) {
        loop {
            let tasks = deadelus_mesh::streams::TASKS;
            self.ada.until_stream(tasks, "is empty", |messages| messages == 0).await;
            self.ada.until_inbox_is_empty().await;
            if self.ada.messages(tasks).await == 0 {
                return;
            }
        }
    }

    /// Whether the plan goes on when this task fails: then its scope alone is taken back.
    fn may_fail(&self, task: &str) -> bool {
        let scope = self.plan.tasks[task].scope.as_ref();
        scope.is_some_and(|scope| self.plan.scopes[scope].on_failure == OnFailure::Continue)
    }

    /// Starts the plan with a gate before the task.
    async fn gated(&self, task: &str) -> (WorkflowId, String) {
        let mut plan = self.plan.clone();
        let gate = GateRule::Reason("a fault is laid here".to_owned());
        plan.tasks.get_mut(task).unwrap().gate = Some(gate);
        let plan = CheckedPlan::check(plan, &self.ada.cards().await).unwrap();
        let id: WorkflowId = format!("wf-matrix-{}", self.rounds).parse().unwrap();
        let digest = plan.digest().to_string();
        assert_eq!(self.ada.submit(&id, plan.json(), &digest).await, Vec::<String>::new());
        assert_eq!(self.ada.approve(&id, &digest).await, Vec::<String>::new());
        (id, digest)
    }

    /// Lays the fault, opens the gate, and puts right what a person would: whoever was killed is
    /// started again.
    async fn lay(&mut self, id: &WorkflowId, digest: &str, task: &str, fault: Fault) {
        let specialist = self.plan.tasks[task].does.split('.').next().unwrap().to_owned();
        let mut wire = Wire::tap(&self.ada, id, task).await;
        match fault {
            Fault::Fail => {
                self.fleet.kill(&specialist);
                self.open(id, digest, task).await;
                let (subject, assignment) = wire.assignment().await;
                self.say_failed(&specialist, &assignment).await;
                self.ada.purge(deadelus_mesh::streams::TASKS, &subject).await;
                self.fleet.restart(&specialist);
            }
            Fault::KillBefore => {
                self.fleet.kill(&specialist);
                self.open(id, digest, task).await;
                wire.assignment().await;
                self.fleet.restart(&specialist);
            }
            Fault::KillAfter => {
                self.done_unheard(id, digest, task, &specialist, &mut wire).await;
                self.fleet.kill(&specialist);
                self.fleet.restart(ORCHESTRATOR);
                self.fleet.restart(&specialist);
            }
            Fault::DropReply => {
                self.done_unheard(id, digest, task, &specialist, &mut wire).await;
                self.fleet.restart(ORCHESTRATOR);
            }
            Fault::Duplicate => {
                self.open(id, digest, task).await;
                let (subject, assignment) = wire.assignment().await;
                for _ in 0..2 {
                    self.ada.publish(subject.clone(), assignment.encode_to_vec()).await;
                }
            }
        }
    }

    /// The work is done while no orchestrator is there: who is asked first does not hear it, and the
    /// inbox has it. An effect begins only when it was answered: so it is asked for while nobody
    /// answers, and answered while it does not hear.
    async fn done_unheard(
        &mut self,
        id: &WorkflowId,
        digest: &str,
        task: &str,
        specialist: &str,
        wire: &mut Wire,
    ) {
        self.fleet.process(specialist).freeze();
        self.open(id, digest, task).await;
        wire.assignment().await;
        self.fleet.process(ORCHESTRATOR).freeze();
        self.fleet.process(specialist).thaw();
        let question = wire.question().await;
        if let Some(reply) = question {
            let mut answer = self.ada.mesh.client.subscribe(reply).await.unwrap();
            self.ada.mesh.client.flush().await.unwrap();
            self.fleet.process(specialist).freeze();
            self.fleet.process(ORCHESTRATOR).thaw();
            let answered = tokio::time::timeout(PATIENCE, answer.next()).await;
            answered.expect("it may begin").unwrap();
        }
        self.fleet.kill(ORCHESTRATOR);
        self.fleet.process(specialist).thaw();
        wire.done().await;
    }

    async fn open(&self, id: &WorkflowId, digest: &str, task: &str) {
        let decide = pb::DecideGate {
            gate: task.to_owned(),
            approve: true,
            plan_digest: digest.to_owned(),
            by: "grace".to_owned(),
            reason: String::new(),
        };
        assert_eq!(self.ada.say(id, Said::DecideGate(decide)).await, Vec::<String>::new());
    }

    /// In the name of a specialist that is not there.
    async fn say_failed(&self, specialist: &str, assignment: &pb::TaskAssignment) {
        let failure = pb::Failure {
            error_class: pb::ErrorClass::CheckFailed.into(),
            aftermath: pb::Aftermath::Untouched.into(),
            message: "the matrix says so".to_owned(),
            ..pb::Failure::default()
        };
        let report = pb::TaskReport {
            workflow_id: assignment.workflow_id.clone(),
            task_id: assignment.task_id.clone(),
            direction: assignment.direction,
            attempt: assignment.attempt,
            instance: format!("{specialist}-matrix"),
            deliveries: 1,
            news: Some(pb::task_report::News::Failed(failure)),
            ..pb::TaskReport::default()
        };
        let inbound = pb::Inbound {
            id: format!("matrix-{}", self.rounds),
            workflow_id: assignment.workflow_id.clone(),
            message: Some(Said::Report(report)),
            ..pb::Inbound::default()
        };
        let workflow = assignment.workflow_id.parse().unwrap();
        let from = specialist.parse().unwrap();
        let subject = self.ada.mesh.subjects.of(&Subject::In { from, workflow });
        self.ada.publish(subject, inbound.encode_to_vec()).await;
    }
}

fn stands_at(story: &Story, task: &str) -> bool {
    story.count(|e| matches!(e, Kind::GateOpened(gate) if gate.gate == task)) > 0
}

/// What is said about one task, heard beside the streams.
struct Wire {
    id: String,
    task: String,
    assignments: Subscriber,
    asked: Subscriber,
    stored: Subscriber,
}

impl Wire {
    async fn tap(ada: &Person, id: &WorkflowId, task: &str) -> Self {
        let listen = async |kind: &str| {
            let subject = ada.mesh.subjects.all(kind);
            ada.mesh.client.subscribe(subject).await.unwrap()
        };
        let (assignments, asked) = (listen("task").await, listen("ask").await);
        let stored = listen("in").await;
        ada.mesh.client.flush().await.unwrap();
        Self { id: id.to_string(), task: task.to_owned(), assignments, asked, stored }
    }

    /// The next time the task is asked for, and where.
    async fn assignment(&mut self) -> (String, pb::TaskAssignment) {
        let next = async {
            loop {
                let message = self.assignments.next().await.unwrap();
                let assignment = pb::TaskAssignment::decode(message.payload).unwrap();
                if assignment.workflow_id == self.id && assignment.task_id == self.task {
                    return (message.subject.to_string(), assignment);
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the task is asked for")
    }

    /// Where the answer to an effect's question is awaited; none for what only looks, which is done
    /// without one.
    async fn question(&mut self) -> Option<async_nats::Subject> {
        let next = async {
            loop {
                let message = self.asked.next().await.unwrap();
                let inbound = pb::Inbound::decode(message.payload).unwrap();
                let Some(Said::Report(report)) = inbound.message else { continue };
                if report.workflow_id != self.id || report.task_id != self.task {
                    continue;
                }
                match report.news {
                    Some(pb::task_report::News::UndoRecorded(_)) => return message.reply,
                    Some(pb::task_report::News::Done(_)) => return None,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("it asks or is done")
    }

    /// The word that it is done, on its way into the inbox.
    async fn done(&mut self) {
        let next = async {
            loop {
                let message = self.stored.next().await.unwrap();
                let inbound = pb::Inbound::decode(message.payload).unwrap();
                let Some(Said::Report(report)) = inbound.message else { continue };
                let mine = report.workflow_id == self.id && report.task_id == self.task;
                let done = matches!(report.news, Some(pb::task_report::News::Done(_)));
                if mine && done && report.direction == i32::from(Direction::Do) {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("the work is done");
    }
}
