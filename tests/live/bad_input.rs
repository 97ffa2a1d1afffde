//! What the mesh gets on bad days: plans without sense, junk, messages under a false name. Each is
//! answered or buried with its reason, nobody falls, and what comes afterwards is done.

use std::collections::BTreeMap;

use deadelus_core::CheckedPlan;
use deadelus_mesh::streams;
use deadelus_proto::{
    Subject, WorkflowId,
    limits::{MESSAGE_MAX_BYTES, PARTITIONS, PLAN_MAX_BYTES},
    pb::{self, Ending, event::Kind, plan_answer::Result as Planned},
};
use deadelus_tests::fleet::{Fleet, ORCHESTRATOR};
use futures_util::StreamExt;
use prost::Message;
use tempfile::TempDir;

use crate::{
    person::{PATIENCE, Person},
    plans::ONE_INDEX,
    quiet,
    shop::{Database, Engine},
};

/// No message of ours: neither protobuf of any kind nor text.
const JUNK: [u8; 5] = [0xff, 0x00, 0xfe, 0x07, 0x80];

#[tokio::test]
async fn a_plan_without_sense_is_refused_with_every_place() {
    let _others = quiet::among_others().await;
    let (_home, fleet) = small_shop();
    let ada = Person::at(&fleet).await;
    let swap = |from: &str, to: &str| ONE_INDEX.replace(from, to);
    let deep = |levels| format!("name: {}1{}", "[".repeat(levels), "]".repeat(levels));
    let cases: [(String, &[&str]); 10] = [
        ("{ no plan".to_owned(), &["line 1"]),
        (String::new(), &["deadelus"]),
        (swap("title: Look\n", "titel: Look\n"), &["tasks.look", "titel"]),
        (swap("    title: Look\n", "    title: Look\n    needs: [see]\n"), &["circle", "look"]),
        (swap("db.create_index", "db.create_indexx"), &["tasks.index.does", "create_indexx"]),
        (swap("target: shop", "target: shopp"), &["shopp"]),
        (swap("table: order_line", "tabel: order_line"), &["tasks.index", "tabel"]),
        (swap("name: line_by_order", &deep(100)), &["tasks.index", "nested deeper"]),
        (swap("name: line_by_order", &deep(1_000)), &["brackets are open at once"]),
        ("#".repeat(PLAN_MAX_BYTES + 1), &["bytes"]),
    ];
    for (plan, parts) in cases {
        let shown: String = plan.chars().take(300).collect();
        let problems = ada.check(&plan).await.expect_err(&shown).to_string();
        for part in parts {
            assert!(problems.contains(part), "{part:?} is not in {problems:?} of {shown}");
        }
    }
}

#[tokio::test]
async fn the_orchestrator_does_not_trust_who_sends_a_plan() {
    let _others = quiet::among_others().await;
    let (_home, fleet) = small_shop();
    let ada = Person::at(&fleet).await;
    let plan = ada.check(ONE_INDEX).await.unwrap();
    let (json, digest) = (plan.json(), plan.digest().as_str());
    // A capability that looks harmless in the plan and is not what the specialist offers.
    let softened = json.replace("\"reversible\"", "\"read\"");
    let soft_digest = CheckedPlan::from_json(softened.as_bytes()).unwrap().digest().to_string();
    assert_ne!(digest, soft_digest);
    let cases = [
        ("{", digest, ""),
        ("{}", digest, "plan"),
        (json, &"0".repeat(64), "plan again"),
        (json, "no digest", ""),
        (&softened, &soft_digest, "plan again"),
    ];
    for (n, (json, digest, part)) in cases.into_iter().enumerate() {
        let id: WorkflowId = format!("wf-bad-{n}").parse().unwrap();
        let problems = ada.submit(&id, json, digest).await.join("\n");
        assert!(!problems.is_empty() && problems.contains(part), "{n}: {problems:?}");
        assert!(ada.story(&id).await.decisions.is_empty(), "{n}");
    }
    let nobody: WorkflowId = "wf-nobody".parse().unwrap();
    assert_ne!(ada.undo(&nobody).await, Vec::<String>::new());
    assert_ne!(ada.cancel(&nobody).await, Vec::<String>::new());
    assert_ne!(ada.approve(&nobody, digest).await, Vec::<String>::new());
    let id = ada.start("wf-good", ONE_INDEX).await;
    assert_ne!(ada.approve(&id, digest).await, Vec::<String>::new(), "nothing waits for it");
    ada.until_ended(&id, Ending::Done).await;
}

#[tokio::test]
async fn words_without_a_plan_get_the_reason() {
    type Params = &'static [(&'static str, &'static str)];
    let _others = quiet::among_others().await;
    let (_home, fleet) = small_shop();
    let ada = Person::at(&fleet).await;
    let slow = "checkout is slow and times out";
    let huge = "slow ".repeat(100_000);
    let cases: [(&str, Params, &str); 4] = [
        ("write me a poem", &[], "no blueprint fits"),
        (slow, &[("colour", "red")], "colour"),
        (slow, &[("runs", "many")], "runs"),
        // Nobody here measures or releases.
        (&huge, &[], "performance"),
    ];
    for (words, params, part) in cases {
        let shown: String = words.chars().take(60).collect();
        match ada.ask(words, params).await {
            Planned::NoPlan(no) => {
                assert!(no.problems.iter().any(|p| p.contains(part)), "{shown}: {no:?}");
            }
            other => panic!("{shown}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn junk_on_every_subject_is_buried_and_the_next_workflow_runs() {
    let _others = quiet::among_others().await;
    let (_home, mut fleet) = small_shop();
    let ada = Person::at(&fleet).await;
    let of = |subject: &str| format!("{}.{subject}", deadelus_proto::subject::DEFAULT_PREFIX);
    let mine: WorkflowId = "wf-junk".parse().unwrap();
    let (here, elsewhere) = (mine.partition(), (mine.partition() + 1) % PARTITIONS);
    let buried = [
        of("task.db.inspect"),
        of("task.db.no_such_thing"),
        of(&format!("in.client.{here}.wf-junk")),
        of(&format!("in.client.{elsewhere}.wf-junk")),
        of(&format!("in.db.{here}.wf-junk")),
        of(&format!("in.nobody.{here}.wf-junk")),
    ];
    for subject in &buried {
        ada.publish(subject.clone(), JUNK.to_vec()).await;
        ada.publish(subject.clone(), vec![]).await;
    }
    ada.publish(buried[2].clone(), JUNK.repeat(MESSAGE_MAX_BYTES / JUNK.len() / 2)).await;
    for subject in ["log.0.wf-nobody", &format!("log.{here}.wf-junk"), "dead.no.body"] {
        ada.publish(of(subject), JUNK.to_vec()).await;
    }
    let core =
        ["live.db.wf-junk.task", "worker.db.db-1", "worker.db", "api.plan", "api.x", "card.db"];
    for subject in core {
        ada.mesh.client.publish(of(subject), JUNK.to_vec().into()).await.unwrap();
        let reply = ada.mesh.client.new_inbox();
        let sent = ada.mesh.client.publish_with_reply(of(subject), reply, vec![].into());
        sent.await.unwrap();
    }
    ada.until_inbox_is_empty().await;
    ada.until_stream(streams::TASKS, "is empty", |messages| messages == 0).await;

    let letters = ada.dead_letters().await;
    for subject in &buried {
        let reasons = letters.get(subject).unwrap_or_else(|| panic!("{subject}: {letters:?}"));
        assert!(
            reasons.len() >= 2 && reasons.iter().all(|r| !r.is_empty()),
            "{subject}: {reasons:?}"
        );
    }
    for name in [ORCHESTRATOR, "db"] {
        assert!(fleet.process(name).runs(), "{name}");
    }
    // Junk in its log: an orchestrator says so instead of guessing what was decided.
    let plan = ada.check(ONE_INDEX).await.unwrap();
    let refused = ada.submit(&mine, plan.json(), plan.digest().as_str()).await;
    assert_ne!(refused, Vec::<String>::new());
    let id = ada.start("wf-after", ONE_INDEX).await;
    ada.until_ended(&id, Ending::Done).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_where_it_is_sent() {
    let _others = quiet::among_others().await;
    let (_home, fleet) = small_shop();
    let ada = Person::at(&fleet).await;
    let id: WorkflowId = "wf-large".parse().unwrap();
    let subject = Subject::In { from: "client".parse().unwrap(), workflow: id.clone() };
    let subject = ada.mesh.subjects.of(&subject);
    for size in [MESSAGE_MAX_BYTES + 100_000, 2 * 1024 * 1024] {
        let sent = async {
            ada.mesh.jetstream.publish(subject.clone(), vec![0; size].into()).await?.await
        };
        let refused = sent.await.expect_err("too large").to_string();
        assert!(!refused.is_empty());
    }
    let id = ada.start("wf-after", ONE_INDEX).await;
    ada.until_ended(&id, Ending::Done).await;
}

#[tokio::test]
async fn nobody_speaks_for_another_specialist() {
    let _others = quiet::among_others().await;
    let (_home, mut fleet) = small_shop();
    let ada = Person::at(&fleet).await;
    fleet.kill("db");
    let id = ada.start("wf-forged", ONE_INDEX).await;
    let asked = |e: &Kind| matches!(e, Kind::TaskRequested(asked) if asked.task_id == "look");
    ada.until(&id, "it is asked for", |story| story.count(asked) == 1).await;
    let check = pb::Check { id: "forged".to_owned(), pass: true, ..pb::Check::default() };
    let outputs = pb::Payload {
        content_type: "application/json".to_owned(),
        body: Some(pb::payload::Body::Inline(b"{}".to_vec().into())),
    };
    let done = pb::Done { outputs: Some(outputs), checks: vec![check], ..pb::Done::default() };
    let report = pb::TaskReport {
        workflow_id: id.to_string(),
        task_id: "look".to_owned(),
        direction: pb::Direction::Do.into(),
        attempt: 1,
        instance: "db-forged".to_owned(),
        news: Some(pb::task_report::News::Done(done)),
        ..pb::TaskReport::default()
    };
    for from in ["performance", "orchestrator", "client"] {
        ada.report(from, &id, report.clone()).await;
    }
    ada.until_inbox_is_empty().await;
    let story = ada.story(&id).await;
    assert_eq!(story.outcome("look"), "", "{}", story.told());

    fleet.restart("db");
    let story = ada.until_ended(&id, Ending::Done).await;
    let forged = |e: &Kind| matches!(e, Kind::TaskDone(done) if done.instance == "db-forged");
    assert_eq!(story.count(forged), 0, "{}", story.told());
}

/// A mesh with a db specialist for a shop of a few hundred lines.
fn small_shop() -> (TempDir, Fleet) {
    let home = TempDir::with_prefix("shop-").unwrap();
    let database = Database::make("", Engine::Sqlite, &home).unwrap();
    database.seed(500);
    let fleet = Fleet::of(&[("db", &database.target("shop"))]);
    (home, fleet)
}

impl Person {
    /// The reasons in the dead letters, by the subject of what was buried.
    async fn dead_letters(&self) -> BTreeMap<String, Vec<String>> {
        let name = self.mesh.subjects.resource(streams::DEAD);
        let mut stream = self.mesh.jetstream.get_stream(&name).await.unwrap();
        let count = stream.info().await.unwrap().state.messages;
        let count = usize::try_from(count).unwrap();
        let consumer = stream
            .create_consumer(async_nats::jetstream::consumer::pull::Config::default())
            .await
            .unwrap();
        let mut messages =
            consumer.fetch().max_messages(count).expires(PATIENCE).messages().await.unwrap();
        let mut letters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for _ in 0..count {
            let message = messages.next().await.unwrap().unwrap();
            if let Ok(letter) = pb::DeadLetter::decode(message.payload.clone()) {
                letters.entry(letter.subject).or_default().push(letter.reason);
            }
        }
        letters
    }
}
