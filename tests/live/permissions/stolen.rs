//! Whoever has stolen a credential: what the server refuses, and what the orchestrator does where the
//! server cannot know better.

use std::collections::BTreeSet;

use async_nats::HeaderMap;
use deadelus_mesh::{Mesh, archive, objects, permissions, streams};
use deadelus_proto::{
    Role, Subject, Subjects, WorkflowId,
    limits::MESSAGE_MAX_BYTES,
    pb::{self, Ending, event::Kind},
    role::{Permit, covers},
};
use deadelus_tests::fleet::ORCHESTRATOR;
use prost::Message as _;

use super::rig::Rig;
use crate::{person::Person, plans::ONE_INDEX, quiet};

/// No stream or consumer is anybody's to list, change or take away, whatever the lists say.
const NEVER: [&str; 16] = [
    "STREAM.DELETE.DEADELUS_V1_LOG",
    "STREAM.UPDATE.DEADELUS_V1_LOG",
    "STREAM.SNAPSHOT.DEADELUS_V1_LOG",
    "STREAM.RESTORE.DEADELUS_V1_LOG",
    "STREAM.MSG.DELETE.DEADELUS_V1_LOG",
    "STREAM.DELETE.KV_DEADELUS_V1_LEDGER_DB",
    "STREAM.PURGE.KV_DEADELUS_V1_LEDGER_DB",
    "STREAM.CREATE.MINE",
    "STREAM.NAMES",
    "STREAM.LIST",
    "CONSUMER.NAMES.DEADELUS_V1_TASKS",
    "CONSUMER.DURABLE.CREATE.DEADELUS_V1_TASKS.mine",
    "DIRECT.GET.KV_DEADELUS_V1_CARDS",
    "DIRECT.GET.KV_DEADELUS_V1_CARDS.$KV.DEADELUS_V1_CARDS.db",
    "INFO",
    "META.LEADER.STEPDOWN",
];

/// Where everything could be heard.
const WIDE: [&str; 9] = [
    ">",
    "*.>",
    "deadelus.v1.>",
    "deadelus.v1.task.db.*",
    "deadelus.v1.in.*.*.*",
    "_INBOX.>",
    "$KV.>",
    "$O.>",
    "$JS.>",
];

#[tokio::test]
async fn no_credential_may_use_what_belongs_to_another_role() {
    let _others = quiet::among_others().await;
    let rig = Rig::with(&["db"]);
    let subjects = Subjects::default();
    let all: Vec<_> = Role::all().iter().map(|role| permissions::of(role, &subjects)).collect();
    let says: BTreeSet<String> = all.iter().flat_map(|one| literals(&one.publish)).collect();
    let hears: BTreeSet<String> = all.iter().flat_map(|one| literals(&one.subscribe)).collect();
    let never = NEVER.map(|what| format!("$JS.API.{what}"));
    let wide = WIDE.map(str::to_owned);
    for (role, own) in Role::all().iter().zip(&all) {
        let thief = rig.thief(role).await;
        let may =
            |permits: &[Permit], subject: &str| permits.iter().any(|p| covers(&p.subject, subject));
        let mut tried = 0;
        for subject in says.iter().chain(&never).filter(|s| !may(&own.publish, s)) {
            thief.client.publish(subject.clone(), "forged".into()).await.unwrap();
            tried += 1;
        }
        for subject in hears.iter().chain(&wide).filter(|s| !may(&own.subscribe, s)) {
            thief.client.subscribe(subject.clone()).await.unwrap();
            tried += 1;
        }
        thief.client.flush().await.unwrap();
        let name = rig.public_key(role);
        rig.until_refused(&name, tried).await;
        let refused: Vec<String> =
            rig.refused().into_iter().filter(|line| line.contains(&name)).collect();
        let missing: Vec<&String> = says
            .iter()
            .chain(&never)
            .filter(|s| !may(&own.publish, s))
            .filter(|s| !refused.iter().any(|line| line.contains(&format!("{s:?}"))))
            .collect();
        assert!(tried > 100 && missing.is_empty(), "{role}: {missing:?}");
    }
}

/// Subjects as one would use them.
fn literals(permits: &[Permit]) -> Vec<String> {
    permits.iter().map(|permit| permit.subject.replace(['*', '>'], "x")).collect()
}

#[tokio::test]
async fn what_a_thief_says_in_its_own_name_changes_nothing_of_others() {
    let _others = quiet::among_others().await;
    let mut rig = Rig::with(&["db", "api"]);
    let before = rig.database.schema().await;
    let ada = Person::with(&rig.config(&Role::Operator)).await;
    let api = Person::with(&rig.config(&"api".parse().unwrap())).await;
    rig.fleet.kill("db");
    let id = ada.start("wf-forged", ONE_INDEX).await;
    let asked = |e: &Kind| matches!(e, Kind::TaskRequested(asked) if asked.task_id == "look");
    ada.until(&id, "it is asked for", |story| story.count(asked) == 1).await;

    api.report("api", &id, forged(&id)).await;
    rig.fleet.process(ORCHESTRATOR).until_it_says("not its to report");
    for said in [gate(), pb::inbound::Message::Cancel(pb::CancelWorkflow::default())] {
        api.put_in(&id, "", said).await;
    }
    rig.fleet.process(ORCHESTRATOR).until_it_says("api may not say this");
    let junk = [vec![], vec![0xff; 9], vec![0x0a; MESSAGE_MAX_BYTES]];
    for bytes in junk {
        api.publish(api.inbox(&id), bytes).await;
    }
    too_large_for_the_stream(&api, &id).await;
    has_others_write_the_log(&api, &id).await;
    rig.fleet.process(ORCHESTRATOR).until_it_says("nobody waits for answers there");

    rig.fleet.restart("db");
    let story = ada.until_ended(&id, Ending::Done).await;
    let by_thief = |e: &Kind| matches!(e, Kind::TaskDone(done) if done.instance == "forged");
    assert_eq!(story.count(by_thief), 0, "{}", story.told());
    let log = archive::read(&ada.mesh, &id, 0).await.unwrap();
    assert!(log.iter().any(|(_, bytes)| bytes.is_empty()), "the server was made to write there");
    // Its own report once more, and one of a try that never was.
    let db = Person::with(&rig.config(&"db".parse().unwrap())).await;
    let again = story.report_again(&id, |task| task == "index");
    db.report("db", &id, again.clone()).await;
    db.report("db", &id, pb::TaskReport { attempt: 9, ..again }).await;
    assert_eq!(ada.undo(&id).await, Vec::<String>::new());
    let story = ada.until_ended(&id, Ending::Undone).await;
    assert_eq!(rig.database.schema().await, before, "{}", story.told());
    let (code, said) = rig.types(&Role::Viewer, &["audit", "wf-forged"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = rig.types(&Role::Viewer, &["dead", "list"]);
    assert!(code == 0 && said.contains("api may not say this"), "{code} {said}");
    assert_eq!(rig.refused(), Vec::<String>::new(), "all of it was a specialist's to say");
}

#[tokio::test]
async fn a_thief_reads_and_empties_nothing_shared() {
    let _others = quiet::among_others().await;
    let rig = Rig::with(&["db", "api"]);
    let [db, api] = ["db", "api"].map(|name| name.parse::<Role>().unwrap());
    let (own, thief) = (rig.thief(&db).await, rig.thief(&api).await);
    let stored = objects::put(&own, "x", "text/plain", "evidence".into()).await.unwrap();

    // One message with this header empties a stream that takes it.
    let mut all = HeaderMap::new();
    all.insert("Nats-Rollup", "all");
    let card = streams::key_subject(&thief, streams::CARDS, "api");
    let chunk = format!("$O.{}.C.mine", thief.subjects.resource(streams::ARTEFACTS));
    for subject in [card, chunk] {
        let sent = thief.jetstream.publish_with_headers(subject, all.clone(), "x".into()).await;
        let error = sent.unwrap().await.unwrap_err().to_string();
        assert!(error.contains("rollup"), "{error}");
    }
    assert_eq!(objects::get(&thief, &stored).await.unwrap(), "evidence");

    let whole = stored.sha256.to_string();
    let to_db = format!("{}.x", db.replies(&thief.subjects));
    let to_itself = format!("{}.x", api.replies(&thief.subjects));
    let log = thief.subjects.of(&Subject::Log("wf".parse().unwrap()));
    let everything = format!("{}.>", api.replies(&thief.subjects));
    let cases = [
        (&whole, &to_db, "the asker's own"),
        (&whole, &log, "the asker's own"),
        (&whole, &everything, "the asker's own"),
        (&whole[..12].to_owned(), &to_itself, "no SHA-256"),
        (&"*".to_owned(), &to_itself, "no SHA-256"),
    ];
    for (sha256, deliver_to, wanted) in cases {
        let lent = borrow(&thief, sha256, deliver_to).await;
        assert!(lent.problem.contains(wanted), "{sha256} to {deliver_to}: {lent:?}");
    }
    let unknown = borrow(&thief, &"0".repeat(64), &to_itself).await;
    assert!(unknown.missing && unknown.problem.is_empty(), "{unknown:?}");
    assert_eq!(rig.refused(), Vec::<String>::new());
}

async fn borrow(thief: &Mesh, sha256: &str, deliver_to: &str) -> pb::Lent {
    let wanted = pb::Borrow { sha256: sha256.to_owned(), deliver_to: deliver_to.to_owned() };
    let subject = thief.subjects.of(&Subject::Artefact("api".parse().unwrap()));
    let answer = thief.client.request(subject, wanted.encode_to_vec().into()).await.unwrap();
    pb::Lent::decode(answer.payload).unwrap()
}

/// Work that was never done.
fn forged(id: &WorkflowId) -> pb::TaskReport {
    let check = pb::Check { id: "forged".to_owned(), pass: true, ..pb::Check::default() };
    let outputs = pb::Payload {
        content_type: "application/json".to_owned(),
        body: Some(pb::payload::Body::Inline(b"{}".to_vec().into())),
    };
    let done = pb::Done { outputs: Some(outputs), checks: vec![check], ..pb::Done::default() };
    pb::TaskReport {
        workflow_id: id.to_string(),
        task_id: "look".to_owned(),
        direction: pb::Direction::Do.into(),
        attempt: 1,
        instance: "forged".to_owned(),
        news: Some(pb::task_report::News::Done(done)),
        ..pb::TaskReport::default()
    }
}

fn gate() -> pb::inbound::Message {
    pb::inbound::Message::DecideGate(pb::DecideGate {
        gate: "plan".to_owned(),
        approve: true,
        plan_digest: "0".repeat(64),
        by: "grace".to_owned(),
        reason: String::new(),
    })
}

async fn too_large_for_the_stream(api: &Person, id: &WorkflowId) {
    for size in [MESSAGE_MAX_BYTES + 100_000, 2 * 1024 * 1024] {
        let sent =
            async { api.mesh.jetstream.publish(api.inbox(id), vec![0; size].into()).await?.await };
        assert!(sent.await.is_err(), "{size} bytes");
    }
}

/// Names the log as the place of an answer: to the orchestrator in both ways, and to the server.
async fn has_others_write_the_log(api: &Person, id: &WorkflowId) {
    let log = api.mesh.subjects.of(&Subject::Log(id.clone()));
    api.put_in(id, &log, pb::inbound::Message::Report(forged(id))).await;
    let inbound = pb::Inbound {
        id: "asked".to_owned(),
        workflow_id: id.to_string(),
        reply_to: String::new(),
        message: Some(pb::inbound::Message::Report(forged(id))),
    };
    let ask = Subject::Ask { from: "api".parse().unwrap(), workflow: id.clone() };
    let (ask, client) = (api.mesh.subjects.of(&ask), &api.mesh.client);
    for subject in [ask, api.inbox(id)] {
        let bytes = inbound.encode_to_vec().into();
        client.publish_with_reply(subject, log.clone(), bytes).await.unwrap();
    }
    client.flush().await.unwrap();
}

impl Person {
    /// The inbox as a thief of api's credential may use it.
    fn inbox(&self, id: &WorkflowId) -> String {
        let from = "api".parse().unwrap();
        self.mesh.subjects.of(&Subject::In { from, workflow: id.clone() })
    }

    async fn put_in(&self, id: &WorkflowId, reply_to: &str, said: pb::inbound::Message) {
        let inbound = pb::Inbound {
            id: format!("thief-{}", fastrand::u64(..)),
            workflow_id: id.to_string(),
            reply_to: reply_to.to_owned(),
            message: Some(said),
        };
        self.publish(self.inbox(id), inbound.encode_to_vec()).await;
    }
}
