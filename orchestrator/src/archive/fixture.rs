//! Workflows that have ended: a plan that a person said no to, long ago.

use std::{sync::Arc, time::Duration};

use deadelus_core::{Chain, CheckedPlan, Entry, Gate, Input, Plan};
use deadelus_mesh::{Mesh, append::Appended, config::NatsConfig, connect, streams};
use deadelus_proto::{Capability, Effect, Idempotency, SpecialistCard, TargetCard, WorkflowId};
use deadelus_tests::nats::NatsServer;
use serde_json::json;

use crate::{
    config::{Keep, Retention},
    journal::Journal,
};

/// When everything was decided, in milliseconds since the epoch.
pub(super) const LONG_AGO_MS: i64 = 1_000;

/// At once, and at once.
pub(super) const AT_ONCE: Retention =
    Retention { keep_log: Keep::For { ms: 0 }, archive_for: Keep::For { ms: 0 } };

/// At once, and for ever.
pub(super) const FOR_EVER: Retention =
    Retention { keep_log: Keep::For { ms: 0 }, archive_for: Keep::Forever };

/// A server with everything, and a replica's journal.
pub(super) async fn journal() -> (NatsServer, Journal) {
    let server = NatsServer::start();
    let config = NatsConfig { url: server.url.clone(), ..NatsConfig::default() };
    let mesh: Mesh = connect(&config, "test").await.unwrap();
    streams::ensure(&mesh, 1).await.unwrap();
    (server, Journal::new(mesh, "one".to_owned()))
}

/// The start of a workflow, and the word that ends it.
pub(super) fn start_and_no(id: &WorkflowId) -> [Input; 2] {
    let plan = plan();
    let digest = plan.digest().clone();
    let (submitted_by, traceparent) = ("ada".to_owned(), String::new());
    let start = Input::Start {
        workflow: id.clone(),
        digest: digest.clone(),
        plan,
        submitted_by,
        traceparent,
        fork: None,
        shared: deadelus_core::Shared::default(),
    };
    let (by, reason) = ("grace".to_owned(), "no".to_owned());
    [start, Input::DecideGate { gate: Gate::Plan, approve: false, digest, by, reason }]
}

/// What follows from an input, as it is to be appended.
pub(super) fn decided(chain: &Chain, input: Input) -> Entry {
    let proposal = chain.propose(input, LONG_AGO_MS).unwrap().unwrap();
    let (at, events) = (proposal.at_unix_ms(), proposal.events().to_vec());
    chain.next(format!("d{}", chain.last_sequence()), "one".into(), "inbox".into(), at, events)
}

/// A workflow that has ended, in the log of a server.
pub(super) async fn ended(journal: &Journal, id: &str) -> Chain {
    let id: WorkflowId = id.parse().unwrap();
    let mut chain = Chain::new(id.clone());
    for input in start_and_no(&id) {
        let entry = decided(&chain, input);
        append(journal, &mut chain, entry).await;
    }
    chain
}

/// Appends it and reads it back.
pub(super) async fn append(journal: &Journal, chain: &mut Chain, entry: Entry) {
    let bytes = entry.bytes.clone();
    let append = journal.append(chain.id(), entry, chain.last_sequence()).unwrap();
    let Appended::At(sequence) = append.finish(journal.mesh()).await.unwrap() else {
        panic!("somebody else was faster");
    };
    let _ = chain.read(sequence, &bytes);
}

fn plan() -> Arc<CheckedPlan> {
    let text = "deadelus: 1\ntitle: Test\ntarget: shop\napproval: required\n\
                tasks: {a: {does: t.look, title: A}}";
    Arc::new(CheckedPlan::check(Plan::read(text).unwrap(), &[card()]).unwrap())
}

fn card() -> SpecialistCard {
    let look = Capability {
        name: "t.look".parse().unwrap(),
        role: "Looker".into(),
        version: "1".into(),
        summary: "Looks.".into(),
        inputs_schema: json!({"type": "object"}),
        outputs_schema: json!({"type": "object"}),
        effect: Effect::Read,
        idempotency: Idempotency::Natural,
        checks: vec![],
        undo: None,
        timeout: Duration::from_secs(1),
        locks: vec![],
        hazards: vec![],
    };
    let shop = TargetCard { name: "shop".parse().unwrap(), facts: Default::default() };
    let (specialist, version) = ("t".parse().unwrap(), "1".into());
    SpecialistCard { specialist, version, capabilities: vec![look], targets: vec![shop] }
}
