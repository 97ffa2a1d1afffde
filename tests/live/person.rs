//! What a person does at the mesh: ask, look, approve, cancel, undo. Over the wire, as the command
//! line does it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use deadelus_core::plan::{CheckedPlan, Plan, Problems};
use deadelus_mesh::{Mesh, append, archive, config::NatsConfig, connect, streams};
use deadelus_proto::{
    SpecialistCard, Subject, WorkflowId,
    pb::{self, Ending, inbound::Message as Said, plan_answer::Result as Planned},
    subject::Api,
};
use deadelus_tests::fleet::Fleet;
use futures_util::StreamExt;
use prost::Message;

use crate::story::Story;

/// Between two looks at a log.
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// An answer that takes longer is lost: answers are best effort.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A restart of everything at the worst moment costs an acknowledgement's wait of 15 s, twice.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody with access to the mesh.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) mesh: Mesh,
}

impl Person {
    pub(crate) async fn at(fleet: &Fleet) -> Self {
        let config = NatsConfig { url: fleet.nats.url.clone(), ..NatsConfig::default() };
        Self::with(&config).await
    }

    /// Somebody with a credential.
    pub(crate) async fn with(config: &NatsConfig) -> Self {
        Self { mesh: connect(config, "test-person").await.unwrap() }
    }

    /// Asks in words for a plan.
    pub(crate) async fn ask(&self, words: &str, params: &[(&str, &str)]) -> Planned {
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (request, target) = (words.to_owned(), "shop".to_owned());
        let request = pb::PlanRequest { request, target, params, ..pb::PlanRequest::default() };
        let subject = self.mesh.subjects.of(&Subject::Api(Api::Plan));
        let bytes = request.encode_to_vec().into();
        let answer = self.mesh.client.request(subject, bytes).await.unwrap();
        pb::PlanAnswer::decode(answer.payload).unwrap().result.unwrap()
    }

    /// A plan of one's own, judged as the command line judges it before it is sent.
    pub(crate) async fn check(&self, plan: &str) -> Result<CheckedPlan, Problems> {
        CheckedPlan::check(Plan::read(plan)?, &self.cards().await)
    }

    /// Starts a plan of one's own, which must be sound.
    pub(crate) async fn start(&self, id: &str, plan: &str) -> WorkflowId {
        let plan = self.check(plan).await.unwrap_or_else(|e| panic!("{e}"));
        let id = id.parse().unwrap();
        let answer = self.submit(&id, plan.json(), plan.digest().as_str()).await;
        assert_eq!(answer, Vec::<String>::new());
        id
    }

    /// Starts a plan; the problems with it, if any.
    pub(crate) async fn submit(&self, id: &WorkflowId, json: &str, digest: &str) -> Vec<String> {
        self.say(id, start(json, digest)).await
    }

    /// Asks for a sound plan of one's own to be started, whoever reads it when.
    pub(crate) async fn leave_a_start(&self, id: &str, plan: &str) -> WorkflowId {
        let plan = self.check(plan).await.unwrap_or_else(|e| panic!("{e}"));
        let id = id.parse().unwrap();
        self.write(&id, "", start(plan.json(), plan.digest().as_str())).await;
        id
    }

    pub(crate) async fn approve(&self, id: &WorkflowId, digest: &str) -> Vec<String> {
        let decide = pb::DecideGate {
            gate: "plan".to_owned(),
            approve: true,
            plan_digest: digest.to_owned(),
            by: "grace".to_owned(),
            reason: String::new(),
        };
        self.say(id, Said::DecideGate(decide)).await
    }

    pub(crate) async fn undo(&self, id: &WorkflowId) -> Vec<String> {
        let undo = pb::UndoWorkflow { by: "ada".to_owned(), reason: "it was a test".to_owned() };
        self.say(id, Said::Undo(undo)).await
    }

    pub(crate) async fn cancel(&self, id: &WorkflowId) -> Vec<String> {
        let cancel = pb::CancelWorkflow { by: "ada".to_owned(), reason: "never mind".to_owned() };
        self.say(id, Said::Cancel(cancel)).await
    }

    /// Says something to the orchestrator and waits for what it has against it.
    pub(crate) async fn say(&self, id: &WorkflowId, said: Said) -> Vec<String> {
        let reply_to = self.mesh.client.new_inbox();
        let mut answers = self.mesh.client.subscribe(reply_to.clone()).await.unwrap();
        self.write(id, &reply_to, said).await;
        let answer = tokio::time::timeout(ANSWER_MAX, answers.next()).await;
        let answer = answer.expect("an orchestrator answers").unwrap();
        let answer = pb::Answer::decode(answer.payload).unwrap();
        assert_eq!(answer.accepted, answer.problems.is_empty(), "{answer:?}");
        answer.problems
    }

    async fn write(&self, id: &WorkflowId, reply_to: &str, said: Said) {
        let inbound = pb::Inbound {
            id: format!("{id}-{reply_to}"),
            workflow_id: id.to_string(),
            reply_to: reply_to.to_owned(),
            message: Some(said),
        };
        let from = "client".parse().unwrap();
        let subject = self.mesh.subjects.of(&Subject::In { from, workflow: id.clone() });
        self.publish(subject, inbound.encode_to_vec()).await;
    }

    /// Puts bytes into a stream.
    pub(crate) async fn publish(&self, subject: String, bytes: Vec<u8>) {
        self.mesh.jetstream.publish(subject, bytes.into()).await.unwrap().await.unwrap();
    }

    /// Takes everything of a subject out of a stream, as if it had never been sent.
    pub(crate) async fn purge(&self, stream: &str, subject: &str) {
        let stream = streams::stream(&self.mesh, stream).await.unwrap();
        stream.purge().filter(subject).await.unwrap();
    }

    /// Waits until the orchestrator has dealt with everything that was said to it.
    pub(crate) async fn until_inbox_is_empty(&self) {
        self.until_stream(streams::INBOX, "is empty", |messages| messages == 0).await;
    }

    /// Waits until a stream holds so many messages.
    pub(crate) async fn until_stream(&self, name: &str, what: &str, is_so: impl Fn(u64) -> bool) {
        let begun = Instant::now();
        loop {
            let messages = self.messages(name).await;
            if is_so(messages) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} never {what}: it holds {messages}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// How many messages a stream holds.
    pub(crate) async fn messages(&self, name: &str) -> u64 {
        let name = self.mesh.subjects.resource(name);
        let mut stream = self.mesh.jetstream.get_stream(&name).await.unwrap();
        stream.info().await.unwrap().state.messages
    }

    /// Waits until the list shows so many workflows in this state.
    pub(crate) async fn until_listed(&self, state: &str, wanted: usize) {
        let bucket = streams::bucket(&self.mesh, streams::WORKFLOWS).await.unwrap();
        let begun = Instant::now();
        loop {
            let mut keys = bucket.keys().await.unwrap();
            let mut found = 0;
            while let Some(key) = keys.next().await {
                // One that is being moved is under another key.
                let Some(bytes) = bucket.get(key.unwrap()).await.unwrap() else { continue };
                found += usize::from(pb::WorkflowSummary::decode(bytes).unwrap().status == state);
            }
            if found == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{found} instead of {wanted} are {state}");
            tokio::time::sleep(POLL).await;
        }
    }

    pub(crate) async fn cards(&self) -> Vec<SpecialistCard> {
        let bucket = streams::bucket(&self.mesh, streams::CARDS).await.unwrap();
        let mut cards = BTreeMap::new();
        let mut keys = bucket.keys().await.unwrap();
        while let Some(key) = keys.next().await {
            let key = key.unwrap();
            let bytes = bucket.get(&key).await.unwrap().unwrap();
            let card = pb::SpecialistCard::decode(bytes).unwrap();
            cards.insert(key, SpecialistCard::try_from(card).unwrap());
        }
        cards.into_values().collect()
    }

    /// The log as it is now, wherever it is kept.
    pub(crate) async fn story(&self, id: &WorkflowId) -> Story {
        // While a server is away there is nothing to read, and whoever asks, asks again.
        let read = archive::read(&self.mesh, id, 0).await.unwrap_or_default();
        let decisions = read.into_iter().map(|(_, bytes)| pb::Decision::decode(bytes).unwrap());
        Story { decisions: decisions.collect() }
    }

    /// Waits until the log says so.
    pub(crate) async fn until(
        &self,
        id: &WorkflowId,
        what: &str,
        mut is_so: impl FnMut(&Story) -> bool,
    ) -> Story {
        let begun = Instant::now();
        let subject = self.mesh.subjects.of(&Subject::Log(id.clone()));
        let mut seen = 0;
        loop {
            if let Ok(Some((last, _))) = append::last(&self.mesh, &subject).await
                && last != seen
            {
                seen = last;
                let story = self.story(id).await;
                if is_so(&story) {
                    return story;
                }
            }
            if begun.elapsed() > PATIENCE {
                panic!("{id}: never so: {what}\n{}", self.story(id).await.told());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it has ended in this way.
    pub(crate) async fn until_ended(&self, id: &WorkflowId, ending: Ending) -> Story {
        let story = self.until(id, "it has ended", |story| story.ending().is_some()).await;
        assert_eq!(story.ending(), Some(ending), "{id}\n{}", story.told());
        story
    }
}

fn start(json: &str, digest: &str) -> Said {
    Said::Start(pb::StartWorkflow {
        plan_json: json.to_owned().into(),
        plan_digest: digest.to_owned(),
        submitted_by: "ada".to_owned(),
    })
}
