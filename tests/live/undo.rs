//! Taking back: recorded before anything is touched, complete when a person says stop, and right
//! for news that comes too late.

use std::collections::BTreeSet;

use deadelus_proto::{
    Subject, WorkflowId,
    pb::{self, Ending, event::Kind},
};
use deadelus_tests::fleet::Fleet;
use prost::Message;
use tempfile::TempDir;

use crate::{
    person::Person,
    plans::ONE_INDEX,
    quiet,
    shop::{Database, Engine},
};

#[tokio::test]
async fn the_way_back_is_in_the_log_before_anything_is_touched() {
    let _others = quiet::among_others().await;
    let Rig { fleet: _fleet, ada, database, before, _home } = Rig::new().await;
    let somebody = database.lock();
    let id = ada.start("wf-way-back", ONE_INDEX).await;
    let story = ada.until(&id, "the way back is recorded", has_way_back).await;
    // Nobody can have written meanwhile: the lock is ours.
    assert_eq!(database.schema().await, before, "{}", story.told());
    let undo = story.events().find_map(|event| match event {
        Kind::UndoRecorded(e) => e.undo.clone(),
        _ => None,
    });
    let undo = undo.unwrap();
    assert_eq!(undo.capability, "db.drop_index");
    drop(somebody);

    ada.until_ended(&id, Ending::Done).await;
    assert_ne!(database.schema().await, before);
    assert_eq!(ada.undo(&id).await, Vec::<String>::new());
    let story = ada.until_ended(&id, Ending::Undone).await;
    assert!(story.taken_back("index"), "{}", story.told());
    assert_eq!(database.schema().await, before);
}

#[tokio::test]
async fn a_person_who_cancels_in_the_middle_gets_everything_back() {
    let _others = quiet::among_others().await;
    let Rig { fleet: _fleet, ada, database, before, _home } = Rig::new().await;
    let plan = ONE_INDEX.to_owned()
        + "  second:\n    does: db.create_index\n    title: A second\n    needs: [hold]\n    \
           inputs: { table: order_line, columns: [product_id] }\n  hold:\n    does: db.inspect\n    \
           title: Wait for a person\n    needs: [index]\n    gate: somebody has to look\n";
    let id = ada.start("wf-cancel", &plan).await;
    let waits = |e: &Kind| matches!(e, Kind::GateOpened(gate) if gate.gate == "hold");
    ada.until(&id, "it waits", |story| story.outcome("index") == "done" && story.count(waits) == 1)
        .await;
    let somebody = database.lock();
    let look = pb::DecideGate {
        gate: "hold".to_owned(),
        approve: true,
        plan_digest: ada.check(&plan).await.unwrap().digest().to_string(),
        by: "grace".to_owned(),
        reason: String::new(),
    };
    let answer = ada.say(&id, pb::inbound::Message::DecideGate(look)).await;
    assert_eq!(answer, Vec::<String>::new());
    let begun = |e: &Kind| matches!(e, Kind::UndoRecorded(undo) if undo.task_id == "second");
    ada.until(&id, "the second is under way", |story| story.count(begun) == 1).await;

    assert_eq!(ada.cancel(&id).await, Vec::<String>::new());
    drop(somebody);
    let story = ada.until_ended(&id, Ending::Cancelled).await;
    assert!(story.taken_back("index"), "{}", story.told());
    assert_eq!(database.schema().await, before, "{}", story.told());
}

#[tokio::test]
async fn news_of_what_is_over_or_never_was_changes_nothing() {
    let _others = quiet::among_others().await;
    let Rig { fleet: _fleet, ada, database, before, _home } = Rig::new().await;
    let id = ada.start("wf-late", ONE_INDEX).await;
    let story = ada.until_ended(&id, Ending::Done).await;
    let kept: BTreeSet<String> = database.schema().await;

    let again = story.report_again(&id, |task| task == "index");
    ada.report("db", &id, again.clone()).await;
    let unknown: WorkflowId = "wf-of-nobody".parse().unwrap();
    ada.report(
        "db",
        &unknown,
        pb::TaskReport { workflow_id: unknown.to_string(), ..again.clone() },
    )
    .await;
    ada.report("db", &id, pb::TaskReport { attempt: 9, ..again }).await;
    ada.until_inbox_is_empty().await;

    assert_eq!(ada.story(&id).await.decisions, story.decisions);
    assert_eq!(ada.story(&unknown).await.decisions, vec![]);
    assert_eq!(database.schema().await, kept);
    assert_eq!(ada.undo(&id).await, Vec::<String>::new());
    ada.until_ended(&id, Ending::Undone).await;
    assert_eq!(database.schema().await, before);
}

/// A small shop's database with its specialist.
struct Rig {
    fleet: Fleet,
    ada: Person,
    database: Database,
    before: BTreeSet<String>,
    _home: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let home = TempDir::with_prefix("shop-").unwrap();
        let database = Database::make("", Engine::Sqlite, &home).unwrap();
        database.seed(500);
        let before = database.schema().await;
        let fleet = Fleet::of(&[("db", &(database.target("shop") + "lock_timeout_ms = 20000\n"))]);
        let ada = Person::at(&fleet).await;
        Self { fleet, ada, database, before, _home: home }
    }
}

fn has_way_back(story: &crate::story::Story) -> bool {
    story.count(|event| matches!(event, Kind::UndoRecorded(_))) == 1
}

impl Person {
    /// Says of a task what only its specialist may say.
    pub(crate) async fn report(&self, from: &str, id: &WorkflowId, report: pb::TaskReport) {
        let inbound = pb::Inbound {
            id: format!("test-{}", fastrand::u64(..)),
            workflow_id: id.to_string(),
            reply_to: String::new(),
            message: Some(pb::inbound::Message::Report(report)),
        };
        let from = from.parse().unwrap();
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow: id.clone() });
        self.publish(subject, inbound.encode_to_vec()).await;
    }
}
