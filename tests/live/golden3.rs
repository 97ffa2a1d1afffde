//! The third golden workflow, end to end: "I have a backend plan for user authentication", from the
//! plan file and its change-set in `docs/plans`. Policies, a table, a key, the document and two
//! releases come into service, and all of it can be taken back, but for the accounts that were
//! made meanwhile: their rows are read out.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
};

use deadelus_core::plan::{CheckedPlan, Plan, Task};
use deadelus_proto::{
    WorkflowId,
    pb::{self, Ending},
};
use deadelus_tests::{fleet::Fleet, oracles::oracle, process::command, programs::program};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::Script,
    person::Person,
    quiet,
    scene::{self, Scene},
    shop::{Engine, SOURCE, Shop},
    story::Story,
};

/// As somebody wrote it to us.
const WORDS: &str = "I have a backend plan for user authentication";

/// The plan and what belongs to it.
const CHANGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/plans/user-authentication");

/// As it is today: everybody may do everything.
const OPEN: &str = "@id(\"open\") permit(principal, action, resource);\n";

/// Its scripts test the bodies too; what is understood of them is the status.
const REALWORLD: &str = r#"
deadelus: 1
title: The RealWorld project's own requests about accounts
target: shop
approval: none
tasks:
  conduit:
    does: testing.replay
    title: Register, log in, look, change
    inputs:
      collection: { file: Conduit.postman_collection.json }
      folder: Auth
      address_variable: APIURL
      ignore_scripts: true
      variables: { EMAIL: eve@example.test, USERNAME: eve, PASSWORD: a-test-and-nothing-else }
      captures: { token: { request: Auth / Login and Remember Token, pointer: /user/token } }
"#;

/// Tokens are made before the service is changed, and tried minutes later.
const TOKEN_LIFETIME: &str = "7200";

/// What the file leaves open, by the names that it is asked under, and the answers.
const ANSWERS: [(&str, &str); 6] = [
    ("target", "shop"),
    ("params.login_p95_ms", "800"),
    ("tasks.key.inputs.overlap_s", "3600"),
    ("success", "probe: What must be refused is refused; budget: Logging in keeps its budget"),
    ("constraints", "narrowing: Nothing is newly allowed; diff: Nobody breaks but by the waiver"),
    ("prerequisites", "rehearse: The way back was rehearsed"),
];

#[tokio::test]
async fn on_sqlite_a_plan_that_says_too_little_is_asked_about_and_comes_and_goes() {
    let _alone = quiet::alone().await;
    let case = Case::open("sqlite", Engine::Sqlite).await.unwrap();
    case.comes_and_goes().await;
}

#[tokio::test]
async fn on_postgres_a_plan_that_says_too_little_is_asked_about_and_comes_and_goes() {
    let _alone = quiet::alone().await;
    let Some(case) = Case::open("accounts", Engine::Postgres).await else { return };
    case.comes_and_goes().await;
}

/// That orders ask for a token breaks their callers: nobody does that in passing.
#[tokio::test]
async fn without_its_waiver_the_breaking_change_is_refused() {
    let _others = quiet::among_others().await;
    let case = Case::open("waiver", Engine::Sqlite).await.unwrap();
    let plan = case.plan().replace("      waivers: ${ params.waivers }\n", "");
    assert_ne!(plan, case.plan());
    let message = case.is_refused(&plan, "diff").await;
    assert!(message.contains("no_breaking_change: 1, wanted == 0"), "{message}");
}

#[tokio::test]
async fn policies_that_allow_more_than_before_are_refused_with_an_example() {
    let _others = quiet::among_others().await;
    let case = Case::open("wider", Engine::Sqlite).await.unwrap();
    let file = case.change.path().join("policies.cedar");
    let narrow = fs::read_to_string(&file).unwrap();
    fs::write(case.served.path().join("policies.cedar"), &narrow).unwrap();
    // Every customer sees every order.
    let wide = narrow.replace(") when { resource.owner == principal };", ");");
    assert_ne!(wide, narrow);
    fs::write(&file, wide).unwrap();
    let message = case.is_refused(&case.plan(), "narrowing").await;
    assert!(message.contains("unlisted_widening: 2, wanted == 0"), "{message}");
    assert!(message.contains("Action::\"read"), "{message}");
}

/// Policies that pass every judge and still forget somebody: the release that refuses nobody tells,
/// and the one that refuses does not come.
#[tokio::test]
async fn who_would_be_refused_what_is_theirs_is_seen_before_anybody_is_refused() {
    let _others = quiet::among_others().await;
    let case = Case::open("forgotten", Engine::Sqlite).await.unwrap();
    let file = case.change.path().join("policies.cedar");
    let policies = fs::read_to_string(&file).unwrap();
    // One's own account, of the one customer that the cases are about.
    let (before, oneself) = policies.split_once("@id(\"oneself\")").unwrap();
    let ann = "principal == User::\"ann@example.test\"";
    let oneself = oneself.replacen("principal in Role::\"customer\"", ann, 1);
    assert!(oneself.contains(ann));
    fs::write(&file, format!("{before}@id(\"oneself\"){oneself}")).unwrap();
    let before = case.state().await;
    let fleet = case.fleet();
    let ada = Person::at(&fleet).await;
    let id = approved(&ada, "wf-golden3", &case.plan()).await;
    let story = ada.until_ended(&id, Ending::Undone).await;
    let message = &story.failure("logged").message;
    assert!(message.contains("/internal/decisions"), "{message}");
    assert_eq!(story.outcome("report"), "done");
    assert_eq!(story.outcome("enforce"), "", "{}", story.told());
    assert_eq!(case.state().await, before);
}

/// A shop at v2 that asks nobody who they are, and the change in its folder.
pub(crate) struct Case {
    shop: Shop,
    /// The change-set, with the document of today and the public key.
    change: TempDir,
    /// What the shop reads and the auth specialist writes, and the private key.
    served: TempDir,
}

/// What must be the same again.
#[derive(Debug, PartialEq)]
pub(crate) struct Fingerprints {
    schema: BTreeSet<String>,
    revision: String,
    /// The pointer of the public document.
    published: Option<String>,
    policies: Option<String>,
    keys: Option<String>,
}

impl Scene for Case {
    type State = Fingerprints;
    const NAME: &'static str = "accounts";

    async fn open(test: &str, engine: Engine) -> Option<Self> {
        let (change, served) =
            (TempDir::with_prefix("change-").unwrap(), TempDir::with_prefix("served-").unwrap());
        for file in fs::read_dir(CHANGE).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), change.path().join(file.file_name())).unwrap();
        }
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/shop/openapi.yaml");
        fs::copy(document, change.path().join("openapi.yaml")).unwrap();
        let public = shop_says(&["key", "--kid", "first", "--private"], &served.path().join("key"));
        fs::write(change.path().join("key.public.json"), public).unwrap();
        fs::write(served.path().join("policies.cedar"), OPEN).unwrap();
        let path = |name: &str| served.path().join(name).display().to_string();
        let settings = format!(
            "[auth]\nsigning_key = {:?}\nkeys = {:?}\npolicies = {:?}\n",
            path("key"),
            path("jwks.json"),
            path("policies.cedar")
        );
        let shop = Shop::open(test, engine, 500, &settings)?;
        shop.release("v2");
        Some(Self { shop, change, served })
    }

    fn fleet(&self) -> Fleet {
        let (service, change) = (self.shop.base(), self.change.path().display());
        let targets = self.shop.targets("");
        let api = format!("[targets.shop]\nfolder = \"{change}\"\nbase_url = \"{service}\"\n");
        let testing = format!(
            "[targets.shop]\ndocuments = \"{change}\"\n\
             [targets.shop.service]\nbase_url = \"{service}\"\nmay_write = true\n"
        );
        let security =
            format!("[targets.shop.roots]\nchange = \"{change}\"\nsource = {SOURCE:?}\n");
        Fleet::of(&[
            ("db", &targets.db),
            ("deployment", &targets.deployment),
            ("api", &api),
            ("testing", &testing),
            ("security", &security),
            ("auth", &self.auth()),
            ("performance", &self.performance()),
        ])
    }

    async fn state(&self) -> Fingerprints {
        // The table in which migrations are remembered is no part of the shop.
        let schema = self.shop.database.schema().await.into_iter();
        let schema = schema.filter(|line| !line.contains("deadelus")).collect();
        let read = |path: PathBuf| fs::read_to_string(path).ok();
        Fingerprints {
            schema,
            revision: self.shop.revision(),
            published: read(self.change.path().join("published/public.json")),
            policies: read(self.served.path().join("policies.cedar")),
            keys: read(self.served.path().join("jwks.json")),
        }
    }

    /// Asks in the words of the request. Which revisions there are cannot be guessed.
    async fn proposal(&self, ada: &Person) -> pb::PlanProposal {
        scene::assert_is_asked_for(ada, WORDS, "enforcing").await;
        let revisions = [("report_only", "auth-report"), ("enforcing", "auth-enforce")];
        let proposal = scene::proposed(ada, "user-authentication", WORDS, &revisions).await;
        // The file of the same change is its twin.
        let file = fs::read_to_string(Path::new(CHANGE).join("plan.yaml")).unwrap();
        let file = Plan::read(&file).unwrap();
        let proposed = CheckedPlan::from_json(&proposal.plan_json).unwrap().plan().clone();
        assert_eq!(file.params["migrations"], proposed.params["migrations"]);
        assert_eq!(file.tasks.len(), proposed.tasks.len());
        for (id, task) in file.tasks {
            let twin = Task { title: task.title.clone(), ..proposed.tasks[&id].clone() };
            assert_eq!(twin, task, "{id}");
        }
        proposal
    }

    fn is_declared(residue: &str) -> bool {
        residue.contains("account") && residue.contains("artefact")
    }
}

impl Case {
    fn auth(&self) -> String {
        let served = |name: &str| self.served.path().join(name).display().to_string();
        let owner = self.owner("/orders/1");
        let token = |email: &str, role: &str, audience: &str, lifetime: &str| {
            let words = ["token", "--email", email, "--role", role, "--audience", audience];
            let words = [&words[..], &["--lifetime-s", lifetime, "--private"]].concat();
            shop_says(&words, &self.served.path().join("key"))
        };
        let lasting = |email: &str, role: &str| token(email, role, "shop", TOKEN_LIFETIME);
        format!(
            "[targets.shop]\nfolder = {:?}\npolicies = {:?}\nkeys = {:?}\n\
             [targets.shop.probe]\nbase_url = {:?}\nexpired = {:?}\nwrong_audience = {:?}\n\
             [targets.shop.probe.tokens]\nowner = {:?}\nsupport = {:?}\n",
            self.change.path().display().to_string(),
            served("policies.cedar"),
            served("jwks.json"),
            self.shop.base(),
            token(&owner, "customer", "shop", "-60"),
            token(&owner, "customer", "bank", TOKEN_LIFETIME),
            lasting(&owner, "customer"),
            lasting("sue@example.test", "support"),
        )
    }

    fn performance(&self) -> String {
        let base = self.shop.base();
        format!(
            r#"
[targets.shop]
base_url = "{base}"
counters_url = "{base}/internal/counters"
rate_per_s = 4
duration_s = 1
warmup_s = 0.25
runs = 3

[[targets.shop.scenario]]
name = "login"
method = "POST"
path = "/users/login"
body = {{ user = {{ email = "ada@example.test", password = "a-test-and-nothing-else" }} }}
role = "read"
"#
        )
    }

    /// The plan as it stands in the folder.
    pub(crate) fn plan(&self) -> String {
        fs::read_to_string(self.change.path().join("plan.yaml")).unwrap()
    }

    fn owner(&self, order: &str) -> String {
        self.shop.get(order)["customer"].as_str().unwrap().to_owned()
    }

    /// There and back, from a file that leaves much open.
    async fn comes_and_goes(&self) {
        let before = self.state().await;
        assert_eq!(get(self.shop.port(), "/orders/1"), 200);
        let fleet = self.fleet();
        let id = self.asked_about_and_run(&fleet);
        let ada = Person::at(&fleet).await;
        let story = ada.until_ended(&id, Ending::Done).await;
        self.assert_in_service(&story).await;
        self.assert_passes_what_others_wrote(&ada).await;
        assert_eq!(ada.undo(&id).await, Vec::<String>::new());
        let story = ada.until_ended(&id, Ending::Undone).await;
        assert_eq!(self.state().await, before, "{}", story.told());
        assert_eq!(get(self.shop.port(), "/orders/1"), 200);
        // What cannot be taken back is told, and nothing else is there.
        let residue = story.residue();
        let accounts = |line: &String| <Self as Scene>::is_declared(line);
        assert!(residue.len() == 1 && residue.iter().all(accounts), "{residue:?}");
    }

    /// As somebody at the command line, with a file that leaves open what [`ANSWERS`] says.
    fn asked_about_and_run(&self, fleet: &Fleet) -> WorkflowId {
        let plan = self.plan();
        let (head, rest) = plan.split_once("\nsuccess:").unwrap();
        let (_, tasks) = rest.split_once("\ntasks:").unwrap();
        let thin = format!("{head}\ntasks:{tasks}")
            .replace("target: shop\n", "")
            .replace("login_p95_ms: 800", "login_p95_ms:")
            .replace("      overlap_s: 3600\n", "");
        let file = self.served.path().join("thin.yaml");
        fs::write(&file, thin).unwrap();
        let home = self.served.path().join("cli");
        let script = Script { home, url: fleet.nats.url.clone() };
        let (code, said) = script.run(&["run", "--file", file.to_str().unwrap(), "--yes"]);
        assert_eq!(code, 10, "{said}");
        for (name, _) in ANSWERS {
            assert!(said.contains(&format!("\n  - {name}: ")), "{name}: {said}");
        }
        let draft = said.split("deadelus answer ").nth(1).unwrap().split(' ').next().unwrap();
        for (place, (name, answer)) in ANSWERS.into_iter().enumerate() {
            let (code, said) = script.run(&["answer", draft, &format!("{name}={answer}")]);
            let open = place + 1 < ANSWERS.len();
            assert_eq!(code, if open { 10 } else { 0 }, "{name}: {said}");
        }
        let (code, said) = script.run(&["run", "--draft", draft, "--yes", "-o", "json"]);
        assert_eq!(code, 0, "{said}");
        let mut documents = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
        let begun = documents.next().unwrap().unwrap();
        begun["workflow"].as_str().unwrap().parse().unwrap()
    }

    /// A plan that ends at one of its judges, and nothing was touched. What the judge says.
    async fn is_refused(&self, plan: &str, judge: &str) -> String {
        let before = self.state().await;
        let fleet = self.fleet();
        let ada = Person::at(&fleet).await;
        let id = approved(&ada, "wf-golden3", plan).await;
        let story = ada.until_ended(&id, Ending::Undone).await;
        assert_eq!(story.outcome("migrate"), "", "{}", story.told());
        assert_eq!(self.state().await, before);
        story.failure(judge).message.clone()
    }

    /// The part of the RealWorld project's collection that is about accounts.
    async fn assert_passes_what_others_wrote(&self, ada: &Person) {
        let Some(realworld) = oracle("realworld") else { return };
        let name = "Conduit.postman_collection.json";
        fs::copy(realworld.join(name), self.change.path().join(name)).unwrap();
        let id = ada.start("wf-realworld", REALWORLD).await;
        let story = ada.until_ended(&id, Ending::Done).await;
        assert_eq!(story.outputs("conduit")["requests"], 5, "{}", story.told());
    }

    async fn assert_in_service(&self, story: &Story) {
        for task in ["diff", "narrowing", "migrate", "policies", "key", "report", "logged"] {
            assert_eq!(story.outcome(task), "done", "{task}\n{}", story.told());
        }
        for task in ["enforce", "probe", "accept", "budget", "publish"] {
            assert_eq!(story.outcome(task), "done", "{task}\n{}", story.told());
        }
        let now = self.state().await;
        assert_eq!(now.revision, "auth-enforce");
        assert!(now.published.is_some() && now.keys.is_some());
        let policies = fs::read_to_string(self.change.path().join("policies.cedar")).unwrap();
        assert_eq!(now.policies, Some(policies));
        // As anybody sees it.
        assert_eq!(get(self.shop.port(), "/orders/1"), 401);
        assert_eq!(get(self.shop.port(), "/products"), 200);
    }
}

/// What the shop's program says when it is not serving.
fn shop_says(words: &[&str], private: &Path) -> String {
    let said = command(&program("deadelus-shop")).args(words).arg(private).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// The status that somebody gets who is not known.
fn get(port: u16, path: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Starts a plan of one's own and approves it.
async fn approved(ada: &Person, id: &str, plan: &str) -> WorkflowId {
    let digest = ada.check(plan).await.unwrap_or_else(|e| panic!("{e}")).digest().to_string();
    let id = ada.start(id, plan).await;
    assert_eq!(ada.approve(&id, &digest).await, Vec::<String>::new());
    id
}
