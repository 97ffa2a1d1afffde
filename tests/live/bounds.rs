//! As much as the mesh says it carries: the longest plan, and payloads that are too large to travel
//! in a message.

use std::fmt::Write as _;

use deadelus_mesh::objects;
use deadelus_proto::{
    Artefact, Subject,
    limits::{INLINE_PAYLOAD_MAX_BYTES, PLAN_TASKS_MAX},
    pb::{self, Ending, event::Kind, payload::Body},
};
use deadelus_tests::fleet::Fleet;
use futures_util::StreamExt as _;
use prost::Message as _;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    person::Person,
    quiet,
    shop::{Database, Engine},
};

const HEAD: &str = "deadelus: 1\ntitle: Much\ntarget: shop\napproval: none\ntasks:\n";

#[tokio::test]
async fn the_longest_plan_is_carried_out_and_a_longer_one_refused() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(100);
    let fleet = Fleet::of(&[("db", &database.target("shop"))]);
    let ada = Person::at(&fleet).await;
    let plan = |tasks: usize| {
        let mut plan = HEAD.to_owned();
        for n in 0..tasks {
            let inputs = r#"{statements: ["SELECT 1"]}"#;
            let _ = writeln!(plan, "  t{n}: {{does: db.lint, title: Read, inputs: {inputs}}}");
        }
        plan
    };
    let problems = ada.check(&plan(PLAN_TASKS_MAX + 1)).await.unwrap_err().to_string();
    assert!(problems.contains("at most 2000"), "{problems}");
    let id = ada.start("wf-long", &plan(PLAN_TASKS_MAX)).await;
    let story = ada.until_ended(&id, Ending::Done).await;
    let done = story.count(|event| matches!(event, Kind::TaskDone(_)));
    assert_eq!(done, PLAN_TASKS_MAX);
}

#[tokio::test]
async fn what_is_too_large_for_a_message_travels_by_reference() {
    let _others = quiet::among_others().await;
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(100);
    let file = Connection::open(home.path().join("shop.db")).unwrap();
    let table = |n| format!("CREATE TABLE {}_{n} (id INTEGER, text TEXT);", "much".repeat(25));
    let tables = (0..1_500).map(table);
    file.execute_batch(&tables.collect::<String>()).unwrap();
    drop(file);
    let fleet = Fleet::of(&[("db", &database.target("shop"))]);
    let ada = Person::at(&fleet).await;
    let subject = ada.mesh.subjects.of(&Subject::Task("db.lint".parse().unwrap()));
    let mut assigned = ada.mesh.client.subscribe(subject).await.unwrap();
    ada.mesh.client.flush().await.unwrap();
    let statement = format!("SELECT 1 -- {}", "much ".repeat(INLINE_PAYLOAD_MAX_BYTES / 4));
    let plan = format!(
        "{HEAD}  look: {{does: db.inspect, title: Look}}\n  read: {{does: db.lint, title: Read, \
         needs: [look], inputs: {{statements: [\"{statement}\"]}}}}\n"
    );
    let id = ada.start("wf-large", &plan).await;
    let story = ada.until_ended(&id, Ending::Done).await;

    let assignment = assigned.next().await.unwrap().payload;
    assert!(assignment.len() < INLINE_PAYLOAD_MAX_BYTES, "{} bytes", assignment.len());
    let inputs = pb::TaskAssignment::decode(assignment).unwrap().inputs;
    assert!(stored(&ada, inputs).await.contains(&statement));
    let outputs = story.events().find_map(|event| match event {
        Kind::TaskDone(e) if e.task_id == "look" => e.done.as_ref()?.outputs.clone(),
        _ => None,
    });
    assert!(stored(&ada, outputs).await.contains("much_1499"));
}

/// The text that a payload refers to.
async fn stored(ada: &Person, payload: Option<pb::Payload>) -> String {
    let Some(Body::Reference(reference)) = payload.and_then(|payload| payload.body) else {
        panic!("it travelled in the message");
    };
    assert!(reference.size_bytes > INLINE_PAYLOAD_MAX_BYTES as u64, "{reference:?}");
    let artefact = Artefact::try_from(reference).unwrap();
    let bytes = objects::get(&ada.mesh, &artefact).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}
