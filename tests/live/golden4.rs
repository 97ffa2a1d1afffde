//! The fourth golden workflow, end to end: "the planning is done for the new payment endpoint"
//! becomes a document, a table, a release and a drill with a provider that goes wrong; and all of
//! it can be taken back, but for refunds in the provider's books.

use std::{collections::BTreeSet, fs, path::PathBuf};

use deadelus_proto::{
    WorkflowId,
    pb::{self, Ending},
};
use deadelus_tests::fleet::Fleet;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::{report, verdicts},
    customers::Customers,
    person::Person,
    provider::Provider,
    quiet,
    scene::{self, Scene},
    shop::{Engine, SOURCE, Shop},
    story::Story,
};

/// As somebody wrote it to us.
const WORDS: &str = "The planning is done for the new payment processing endpoint";

/// How many of the drill's keys there are: one for each fault, and one for the crowd.
const DRILLED: usize = 5;

#[tokio::test]
async fn on_sqlite_the_endpoint_comes_into_service_and_goes_again() {
    let _others = quiet::among_others().await;
    let case = Case::open("sqlite", Engine::Sqlite).await.unwrap();
    case.comes_and_goes().await;
}

#[tokio::test]
async fn on_postgres_the_endpoint_comes_into_service_and_goes_again() {
    let _others = quiet::among_others().await;
    let Some(case) = Case::open("postgres", Engine::Postgres).await else { return };
    case.comes_and_goes().await;
}

/// Whatever is killed while it works, one key is one payment.
#[tokio::test]
async fn whoever_is_killed_the_endpoint_comes_into_service_and_goes_again() {
    let _others = quiet::among_others().await;
    let case = Case::open("killed", Engine::Sqlite).await.unwrap();
    let before = case.state().await;
    let mut fleet = case.fleet();
    let ada = Person::at(&fleet).await;
    let id = case.approved(&ada).await;
    for (task, victim) in
        [("migrate", "db"), ("release", "deployment"), ("drill", "payments"), ("publish", "api")]
    {
        let asked = move |story: &Story| {
            let of = |e: &pb::event::Kind| matches!(e, pb::event::Kind::TaskRequested(t) if t.task_id == task);
            story.count(of) > 0
        };
        ada.until(&id, "its task is asked for", asked).await;
        fleet.kill(victim);
        fleet.restart(victim);
    }
    let story = ada.until_ended(&id, Ending::Done).await;
    case.assert_in_service(&story).await;
    case.assert_goes(&ada, &id, &before).await;
}

/// Nobody can pay while the provider is away, so nothing of it stays.
#[tokio::test]
async fn an_endpoint_without_a_provider_is_taken_back_whole() {
    let _others = quiet::among_others().await;
    let mut case = Case::open("away", Engine::Sqlite).await.unwrap();
    let before = case.state().await;
    let fleet = case.fleet();
    let ada = Person::at(&fleet).await;
    case.provider.ends();
    let id = case.approved(&ada).await;
    let story = ada.until_ended(&id, Ending::Undone).await;
    for task in ["migrate", "release"] {
        assert!(story.taken_back(task), "{task}\n{}", story.told());
    }
    assert_eq!(case.state().await, before, "{}", story.told());
}

/// A weakness in the sources stops it before anything is changed, and says where.
#[tokio::test]
async fn sources_with_a_known_weakness_are_not_released() {
    let _others = quiet::among_others().await;
    let mut case = Case::open("weak", Engine::Sqlite).await.unwrap();
    case.source = case.folder.path().join("weak");
    fs::create_dir(&case.source).unwrap();
    let weak = "import requests\nrequests.post(provider, json=order, verify=False)\n";
    fs::write(case.source.join("pay.py"), weak).unwrap();
    let before = case.state().await;
    let fleet = case.fleet();
    let ada = Person::at(&fleet).await;
    let id = case.approved(&ada).await;
    let story = ada.until_ended(&id, Ending::Undone).await;
    let message = &story.failure("code").message;
    assert!(message.contains("no_new_weakness: 1") && message.contains("pay.py:2"), "{message}");
    assert_eq!(story.outcome("migrate"), "", "{}", story.told());
    assert_eq!(case.state().await, before);
}

/// A shop at v2, a provider, and the documents of its API.
pub(crate) struct Case {
    shop: Shop,
    provider: Provider,
    folder: TempDir,
    /// What is said to be released.
    source: PathBuf,
}

/// What must be the same again.
#[derive(Debug, PartialEq)]
pub(crate) struct Fingerprints {
    schema: BTreeSet<String>,
    revision: String,
    /// The pointer of the public document.
    published: Option<String>,
    /// What customers have paid and not got back.
    paid: i64,
}

impl Scene for Case {
    type State = Fingerprints;
    const NAME: &'static str = "payment-endpoint";

    async fn open(test: &str, engine: Engine) -> Option<Self> {
        let folder = TempDir::with_prefix("payments-").unwrap();
        let provider = Provider::start(folder.path());
        let settings =
            format!("provider_url = {:?}\nprovider_key = \"sk_test_shop\"\n", provider.url());
        let shop = Shop::open(test, engine, 500, &settings)?;
        shop.release("v2");
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/shop/openapi.yaml");
        fs::copy(document, folder.path().join("openapi.yaml")).unwrap();
        Some(Self { shop, provider, folder, source: SOURCE.into() })
    }

    fn fleet(&self) -> Fleet {
        let (service, folder) = (self.shop.base(), self.folder.path().display());
        let targets = self.shop.targets("");
        let api = format!("[targets.shop]\nfolder = \"{folder}\"\nbase_url = \"{service}\"\n");
        let testing = format!("[targets.shop.service]\nbase_url = \"{service}\"\n");
        let security = format!("[targets.shop.roots]\nsource = {:?}\n", self.source);
        let payments = format!(
            "[targets.shop]\nbase_url = {:?}\napi_key = \"sk_test_drill\"\n\
             service_url = \"{service}\"\ntakes_faults = true\n",
            self.provider.url()
        );
        Fleet::of(&[
            ("db", &targets.db),
            ("deployment", &targets.deployment),
            ("api", &api),
            ("testing", &testing),
            ("security", &security),
            ("payments", &payments),
        ])
    }

    async fn state(&self) -> Fingerprints {
        // The table in which migrations are remembered is no part of the shop.
        let schema = self.shop.database.schema().await.into_iter();
        let schema = schema.filter(|line| !line.contains("deadelus")).collect();
        let pointer = self.folder.path().join("published/public.json");
        let received = |p: &Value| p["amount_received"].as_i64().unwrap();
        let refunds: Vec<Value> = self.provider.lists("refunds");
        let refunded: i64 = refunds.iter().map(|r| r["amount"].as_i64().unwrap()).sum();
        Fingerprints {
            schema,
            revision: self.shop.revision(),
            published: fs::read_to_string(pointer).ok(),
            paid: self.made().iter().map(received).sum::<i64>() - refunded,
        }
    }

    /// Asks in the words of the request. Which revision it is cannot be guessed.
    async fn proposal(&self, ada: &Person) -> pb::PlanProposal {
        scene::assert_is_asked_for(ada, WORDS, "revision").await;
        scene::proposed(ada, "payment-endpoint", WORDS, &[("revision", "v3")]).await
    }

    /// Refunds, and rows that were read out.
    fn is_declared(residue: &str) -> bool {
        residue.contains("is refunded") || residue.contains("rows are in artefact")
    }
}

impl Case {
    /// Approves what the words give.
    async fn approved(&self, ada: &Person) -> WorkflowId {
        scene::begun(ada, "wf-golden4", &self.proposal(ada).await).await
    }

    /// There and back, with customers in the shop all the while.
    async fn comes_and_goes(&self) {
        let before = self.state().await;
        let fleet = self.fleet();
        let ada = Person::at(&fleet).await;
        let customers = Customers::come(self.shop.port());
        let id = self.approved(&ada).await;
        let story = ada.until_ended(&id, Ending::Done).await;
        self.assert_in_service(&story).await;
        let told = report(&fleet, &id);
        assert_eq!(verdicts(&told), ["met"], "{told:#}");
        assert_eq!(told["deviations"], serde_json::json!([]), "{told:#}");
        self.assert_goes(&ada, &id, &before).await;
        let told = report(&fleet, &id);
        assert_eq!(verdicts(&told), ["met", "taken_back"], "{told:#}");
        assert_ne!(told["residue"], serde_json::json!([]), "{told:#}");
        let (served, refused) = customers.leave();
        assert!(served > 0 && refused == 0, "{refused} refused, {served} served");
    }

    async fn assert_in_service(&self, story: &Story) {
        for task in ["diff", "migrate", "release", "contract", "drill", "reconcile", "publish"] {
            assert_eq!(story.outcome(task), "done", "{task}\n{}", story.told());
        }
        let now = self.state().await;
        assert_eq!(now.revision, "v3");
        assert!(now.published.is_some());
        assert_eq!(self.shop.get("/payments").as_array().map(Vec::len), Some(DRILLED));
        // As the provider itself tells it: one payment for each key, whatever went wrong.
        let made = self.made();
        let keys: BTreeSet<&str> =
            made.iter().filter_map(|p| p["metadata"]["payment_key"].as_str()).collect();
        assert_eq!((made.len(), keys.len()), (DRILLED, DRILLED), "{made:?}");
    }

    async fn assert_goes(&self, ada: &Person, id: &WorkflowId, before: &Fingerprints) {
        assert_eq!(ada.undo(id).await, Vec::<String>::new());
        let story = ada.until_ended(id, Ending::Undone).await;
        assert_eq!(self.state().await, *before, "{}", story.told());
        // What cannot be taken back is told, and nothing else is there.
        let residue = story.residue();
        let told =
            |made: &Value| residue.iter().any(|line| line.contains(made["id"].as_str().unwrap()));
        let made = self.made();
        assert!(made.len() == DRILLED && made.iter().all(told), "{residue:?} {made:?}");
    }

    /// Every payment that the provider has.
    fn made(&self) -> Vec<Value> {
        self.provider.lists("payment_intents")
    }
}
