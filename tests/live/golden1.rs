//! The first golden workflow, end to end: "add a subscription payment system with recurring billing"
//! becomes a year rehearsed, tables, prices, rights, a release, a document, and months that are lived
//! through on the running service; and all of it can be taken back, but for what a provider and a
//! ledger never forget.

mod outsider;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use deadelus_mesh::objects;
use deadelus_proto::{
    Artefact, WorkflowId,
    pb::{self, Ending, event::Kind, inbound::Message as Said},
};
use deadelus_tests::{fleet::Fleet, process::command, programs::program};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    customers::Customers,
    person::Person,
    provider::Provider,
    quiet,
    scene::{self, Scene},
    shop::{Engine, SOURCE, Shop},
    story::Story,
};

/// As somebody wrote it to us.
const WORDS: &str = "I need to add a subscription payment system with recurring billing";

/// The one thing that the words leave open.
const V4: [(&str, &str); 1] = [("revision", "v4")];

/// What is served before there is anything to go back to.
const FIRST: &str = r"
deadelus: 1
title: Let the first revision be served
target: shop
approval: none
tasks:
  first: { does: deployment.release, title: Release v2, inputs: { revision: v2 } }
";

/// What the provider signs its events with.
const SECRET: &str = "whsec_golden1";

/// What everybody may do before: the blueprint's own, without what is about subscriptions.
const RIGHTS: &str = r#"@id("everybody-looks")
permit (principal, action == Action::"listProducts", resource);
@id("customers-order")
permit (principal in Role::"customer", action == Action::"placeOrder", resource);
@id("owners-read")
permit (principal, action in [Action::"readOrder", Action::"readCheckout"], resource)
when { resource.owner == principal };
@id("oneself")
permit (principal, action in [Action::"readUser", Action::"updateUser"], resource)
when { resource == principal };
"#;

#[tokio::test]
async fn on_sqlite_subscriptions_come_into_service_and_go_again() {
    let _others = quiet::among_others().await;
    let case = Case::open("sqlite", Engine::Sqlite).await.unwrap();
    case.comes_and_goes().await;
}

#[tokio::test]
async fn on_postgres_subscriptions_come_into_service_and_go_again() {
    let _others = quiet::among_others().await;
    let Some(case) = Case::open("postgres", Engine::Postgres).await else { return };
    case.comes_and_goes().await;
}

/// A tenth of the requests go to the new revision first, and then half; both are processes behind a
/// proxy.
#[tokio::test]
async fn behind_a_proxy_subscriptions_come_by_shares_and_go_again() {
    let _others = quiet::among_others().await;
    let open = |settings: &str| Shop::behind_proxy("shares", Engine::Sqlite, settings);
    let case = Case::with(open).unwrap();
    let fleet = case.fleet();
    let ada = Person::at(&fleet).await;
    let first = ada.start("wf-first", FIRST).await;
    ada.until_ended(&first, Ending::Done).await;
    assert_eq!(case.shop.revision(), "v2");
    let before = case.state().await;
    let customers = Customers::come(case.shop.port());
    let id = approved(&ada, "wf-golden1", &[("revision", "v4"), ("canary", "true")]).await;
    committed(&ada, &id).await;
    let story = ada.until_ended(&id, Ending::Done).await;
    case.assert_in_service(&story).await;
    assert_eq!(shares(&ada, &story).await, [10, 50, 100]);
    let stopped = &story.outputs("commit")["stopped"];
    assert_eq!(stopped, &serde_json::json!(["v2-0"]), "{}", story.told());
    case.assert_goes(&ada, &id, &before).await;
    let (served, refused) = customers.leave();
    assert!(served > 0 && refused == 0, "{refused} refused, {served} served");
}

/// A price that already says something else is not replaced behind anybody's back: nothing of the
/// plan begins.
#[tokio::test]
async fn a_price_that_somebody_else_sells_stops_it_before_anything_is_changed() {
    let _others = quiet::among_others().await;
    let case = Case::open("taken", Engine::Sqlite).await.unwrap();
    case.provider.post("products", "id=old&name=Old");
    let price = "product=old&currency=eur&unit_amount=1&lookup_key=pro_monthly";
    case.provider.post("prices", price);
    let before = case.state().await;
    let fleet = case.fleet();
    let ada = Person::at(&fleet).await;
    let id = approved(&ada, "wf-golden1", &V4).await;
    let story = ada.until_ended(&id, Ending::Undone).await;
    assert_eq!(story.outcome("prices"), "failed", "{}", story.told());
    assert!(story.failure("prices").message.contains("pro_monthly"), "{}", story.told());
    for task in ["billing", "migrate", "catalogue", "publish-rights", "release", "publish"] {
        assert_ne!(story.outcome(task), "done", "{task}\n{}", story.told());
    }
    assert_eq!(case.state().await, before, "{}", story.told());
}

/// A shop at v2, a provider, the documents of its API and its policies.
pub(crate) struct Case {
    shop: Shop,
    provider: Provider,
    folder: TempDir,
}

/// What must be the same again.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    schema: BTreeSet<String>,
    revision: String,
    /// The pointer of the public document.
    published: Option<String>,
    policies: String,
    /// What can be bought: its name and its amount.
    sold: Vec<(String, i64)>,
    /// Who pays again and again, and how the provider counts time for them.
    subscriptions: usize,
    clocks: usize,
    /// What customers have paid.
    paid: i64,
}

impl Scene for Case {
    type State = State;
    const NAME: &'static str = "subscriptions";

    async fn open(test: &str, engine: Engine) -> Option<Self> {
        let case = Self::with(|settings| Shop::open(test, engine, 500, settings))?;
        case.shop.release("v2");
        Some(case)
    }

    fn fleet(&self) -> Fleet {
        let (service, folder) = (self.shop.base(), self.folder.path().display());
        let targets = self.shop.targets("");
        let api = format!("[targets.shop]\nfolder = \"{folder}\"\nbase_url = \"{service}\"\n");
        let testing = format!(
            "[targets.shop.service]\nbase_url = \"{service}\"\ntoken = {:?}\n",
            self.token("support", &[])
        );
        let security = format!("[targets.shop.roots]\nsource = {SOURCE:?}\n");
        let payments = format!(
            "[targets.shop]\nbase_url = {:?}\napi_key = \"sk_test_golden1\"\n\
             webhook_secrets = [{SECRET:?}]\nservice_url = \"{service}\"\n\
             service_token = {:?}\ntakes_faults = true\n",
            self.provider.url(),
            self.token("billing", &[])
        );
        Fleet::of(&[
            ("db", &targets.db),
            ("deployment", &targets.deployment),
            ("api", &api),
            ("auth", &self.auth()),
            ("testing", &testing),
            ("security", &security),
            ("payments", &payments),
        ])
    }

    async fn state(&self) -> State {
        // The table in which migrations are remembered is no part of the shop.
        let schema = self.shop.database.schema().await.into_iter();
        let schema = schema.filter(|line| !line.contains("deadelus")).collect();
        let pointer = self.folder.path().join("published/public.json");
        let products = self.provider.lists("products");
        let active: BTreeSet<&str> = products
            .iter()
            .filter(|product| product["active"] == true)
            .map(|product| product["id"].as_str().unwrap())
            .collect();
        let sold = |price: &Value| {
            let key = price["lookup_key"].as_str()?.to_owned();
            let sold = price["active"] == true && active.contains(price["product"].as_str()?);
            sold.then_some((key, price["unit_amount"].as_i64()?))
        };
        let mut sold: Vec<_> = self.provider.lists("prices").iter().filter_map(sold).collect();
        sold.sort();
        let paid = self.provider.lists("payment_intents");
        State {
            schema,
            revision: self.shop.revision(),
            published: fs::read_to_string(pointer).ok(),
            policies: fs::read_to_string(self.policies()).unwrap(),
            sold,
            subscriptions: self.provider.lists("subscriptions").len(),
            clocks: self.provider.lists("test_helpers/test_clocks").len(),
            paid: paid.iter().map(|one| one["amount_received"].as_i64().unwrap()).sum(),
        }
    }

    async fn proposal(&self, ada: &Person) -> pb::PlanProposal {
        proposal(ada, &V4).await
    }

    async fn agree(ada: &Person, id: &WorkflowId) {
        committed(ada, id).await;
    }

    fn is_declared(residue: &str) -> bool {
        kind(residue).is_some()
    }
}

impl Case {
    /// Around a shop with these lines in its configuration.
    fn with(open: impl FnOnce(&str) -> Option<Shop>) -> Option<Self> {
        let folder = TempDir::with_prefix("subscriptions-").unwrap();
        let provider = Provider::start(folder.path());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let words = ["key", "--kid", "first", "--private"];
        let public = shop_says(&words, &folder.path().join("key"));
        fs::write(folder.path().join("jwks.json"), format!("{{\"keys\":[{public}]}}")).unwrap();
        let settings = format!(
            "provider_url = {:?}\nprovider_key = \"sk_test_shop\"\nwebhook_secret = {SECRET:?}\n\
             [auth]\nsigning_key = {:?}\nkeys = {:?}\npolicies = {:?}\n",
            provider.url(),
            path("key"),
            path("jwks.json"),
            path("policies.cedar")
        );
        let shop = open(&settings)?;
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/shop/openapi.yaml");
        fs::copy(document, folder.path().join("openapi.yaml")).unwrap();
        let case = Self { shop, provider, folder };
        fs::write(case.policies(), RIGHTS).unwrap();
        Some(case)
    }

    /// The file that services read their policies from.
    fn policies(&self) -> PathBuf {
        self.folder.path().join("policies.cedar")
    }

    fn auth(&self) -> String {
        format!(
            "[targets.shop]\nfolder = {:?}\npolicies = {:?}\n\
             [targets.shop.probe]\nbase_url = {:?}\nexpired = {:?}\nwrong_audience = {:?}\n\
             [targets.shop.probe.tokens]\nsupport = {:?}\ncustomer = {:?}\n",
            self.folder.path(),
            self.policies(),
            self.shop.base(),
            self.token("support", &["--lifetime-s", "-60"]),
            self.token("support", &["--audience", "bank"]),
            self.token("support", &[]),
            self.token("customer", &[]),
        )
    }

    /// Of somebody in this role; good, if no more is said.
    fn token(&self, role: &str, more: &[&str]) -> String {
        let email = format!("{role}@example.test");
        let words = ["token", "--email", &email, "--role", role];
        let lasts = if more.is_empty() { &["--lifetime-s", "7200"][..] } else { more };
        shop_says(&[&words, lasts, &["--private"]].concat(), &self.folder.path().join("key"))
    }

    /// There and back, with customers in the shop all the while.
    async fn comes_and_goes(&self) {
        let (before, dump) = (self.state().await, self.shop.database.dump());
        let fleet = self.fleet();
        let ada = Person::at(&fleet).await;
        let customers = Customers::come(self.shop.port());
        let id = approved(&ada, "wf-golden1", &V4).await;
        committed(&ada, &id).await;
        let story = ada.until_ended(&id, Ending::Done).await;
        self.assert_in_service(&story).await;
        if dump.is_some() {
            assert!(self.shop.database.dump() != dump, "pg_dump does not see the new tables");
        }
        self.assert_goes(&ada, &id, &before).await;
        assert!(self.shop.database.dump() == dump, "pg_dump sees a difference");
        let (served, refused) = customers.leave();
        assert!(served > 0 && refused == 0, "{refused} refused, {served} served");
    }

    async fn assert_in_service(&self, story: &Story) {
        for task in [
            "diff",
            "analyse",
            "billing",
            "migrate",
            "catalogue",
            "publish-rights",
            "release",
            "publish",
            "contract",
            "routes",
            "probe",
            "webhooks",
            "reconcile",
            "commit",
        ] {
            assert_eq!(story.outcome(task), "done", "{task}\n{}", story.told());
        }
        let now = self.state().await;
        assert_eq!(now.revision, "v4");
        assert!(now.published.is_some() && now.policies.contains("customers-subscribe"));
        let sold = [("pro_monthly".to_owned(), 2_500), ("pro_yearly".to_owned(), 25_000)];
        assert_eq!(now.sold, sold);
        // By the calendar: a beginning and twelve months; a beginning and one year.
        let billed = &story.outputs("billing")["billed"];
        let billed = [&billed[0]["invoices"], &billed[1]["invoices"]];
        assert_eq!(billed, [13, 2], "{}", story.told());
        self.assert_lived_through();
    }

    /// As the service and the provider tell it, each by itself: who stayed paid for a beginning and
    /// three months, who left for a beginning and one.
    fn assert_lived_through(&self) {
        let authorization = format!("authorization: Bearer {}\r\n", self.token("support", &[]));
        let listed = self.shop.get_with("/subscriptions", &authorization);
        assert_eq!(self.shop.get("/subscriptions")["error"], "a token is needed");
        let invoices = |state: &str| -> Vec<&str> {
            let of_state = |one: &&Value| one["state"] == state;
            let all = listed.as_array().unwrap().iter().filter(of_state);
            let all = all.flat_map(|one| one["invoices"].as_array().unwrap());
            all.map(|invoice| invoice["id"].as_str().unwrap()).collect()
        };
        let (stayed, left) = (invoices("active"), invoices("canceled"));
        assert_eq!((stayed.len(), left.len()), (4, 2), "{listed}");
        let there = self.provider.lists("invoices");
        let there: BTreeSet<&str> = there.iter().map(|one| one["id"].as_str().unwrap()).collect();
        let here: BTreeSet<&str> = stayed.into_iter().chain(left).collect();
        assert_eq!(here, there, "{listed}");
    }

    async fn assert_goes(&self, ada: &Person, id: &WorkflowId, before: &State) {
        assert_eq!(ada.undo(id).await, Vec::<String>::new());
        let story = ada.until_ended(id, Ending::Undone).await;
        assert_eq!(self.state().await, *before, "{}", story.told());
        // What cannot be taken back is told, and nothing else is there.
        let kinds: Vec<&str> = story.residue().iter().filter_map(|line| kind(line)).collect();
        let residue = story.residue();
        assert_eq!(kinds.len(), residue.len(), "{residue:?}");
        let count = |kind: &str| kinds.iter().filter(|one| **one == kind).count();
        let counted = ["record", "price", "product", "rows"].map(count);
        assert_eq!(counted, [2, 2, 1, 3], "{residue:?}");
        for price in self.provider.lists("prices").iter().filter(|one| one["product"] == "pro") {
            let id = price["id"].as_str().unwrap();
            assert!(residue.iter().any(|line| line.contains(id)), "{residue:?}");
        }
    }
}

/// What the shop's program says, of the private key at this place.
fn shop_says(words: &[&str], key: &Path) -> String {
    let said = command(&program("deadelus-shop")).args(words).arg(key).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// What a way back may leave behind, by its kind; none for everything else.
fn kind(residue: &str) -> Option<&'static str> {
    let record = residue.starts_with("the service keeps its record of sub_");
    let archived = |what: &str| residue.starts_with(what) && residue.ends_with("stays, archived");
    match () {
        () if record && residue.ends_with("which has ended") => Some("record"),
        () if archived("price ") => Some("price"),
        () if archived("product pro") => Some("product"),
        () if residue.starts_with("rows are in artefact") => Some("rows"),
        () => None,
    }
}

/// Asks in the words of the request. Which revision it is cannot be guessed.
async fn proposal(ada: &Person, params: &[(&str, &str)]) -> pb::PlanProposal {
    scene::assert_is_asked_for(ada, WORDS, "revision").await;
    scene::proposed(ada, "subscriptions", WORDS, params).await
}

/// Approves what comes.
async fn approved(ada: &Person, id: &str, params: &[(&str, &str)]) -> WorkflowId {
    scene::begun(ada, id, &proposal(ada, params).await).await
}

/// What the new revision got of all requests, step by step, by the release's own evidence.
async fn shares(ada: &Person, story: &Story) -> Vec<u64> {
    let evidence = story.events().find_map(|event| match event {
        Kind::TaskDone(e) if e.task_id == "release" => e.done.as_ref()?.artefacts.first().cloned(),
        _ => None,
    });
    let evidence = Artefact::try_from(evidence.unwrap()).unwrap();
    let bytes = objects::get(&ada.mesh, &evidence).await.unwrap();
    let seeing: Value = serde_json::from_slice(&bytes).unwrap();
    let share = |step: &Value| {
        let servers = step["routes"]["servers"].as_array().unwrap().iter();
        let weight = |server: &Value| server["weight"].as_u64().unwrap();
        let all: u64 = servers.clone().map(weight).sum();
        let new = servers.filter(|server| server["name"] == "v4-0").map(weight);
        new.sum::<u64>() * 100 / all
    };
    seeing["steps"].as_array().unwrap().iter().map(share).collect()
}

/// Waits until everything is proved and says that it may stay: what cannot be taken back asks for it.
async fn committed(ada: &Person, id: &WorkflowId) {
    let asked = |event: &Kind| matches!(event, Kind::GateOpened(gate) if gate.gate == "commit");
    let is_so = |story: &Story| story.count(asked) > 0 || story.ending().is_some();
    let story = ada.until(id, "it is asked whether it may stay", is_so).await;
    let answered = |event: &Kind| matches!(event, Kind::GateDecided(g) if g.gate == "commit");
    if story.ending().is_some() || story.count(answered) > 0 {
        return;
    }
    let digest = story.events().find_map(|event| match event {
        Kind::Accepted(accepted) => Some(accepted.plan_digest.clone()),
        _ => None,
    });
    let decide = pb::DecideGate {
        gate: "commit".to_owned(),
        approve: true,
        plan_digest: digest.unwrap(),
        by: "grace".to_owned(),
        reason: String::new(),
    };
    assert_eq!(ada.say(id, Said::DecideGate(decide)).await, Vec::<String>::new());
}
