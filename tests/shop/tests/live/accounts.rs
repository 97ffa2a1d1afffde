//! Accounts, tokens and policies, whichever database the shop is on.

use std::fs;
use std::path::Path;

use deadelus_shop::{AuthConfig, Claims, Config, Database, SigningKey, token};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::common::{Open, connect, open, seed};

/// As the migration of the plan makes it.
const TABLE: &str = "CREATE TABLE account (email TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE, \
     password_hash TEXT NOT NULL, role TEXT NOT NULL, bio TEXT, image TEXT)";

const OPEN: &str = "permit(principal, action, resource);";

const STRICT: &str = r#"
    permit(principal, action == Action::"listProducts", resource);
    permit(principal in Role::"customer", action in [Action::"readUser", Action::"placeOrder"], resource);
    permit(principal in Role::"customer", action == Action::"readOrder", resource)
    when { resource.owner == principal };"#;

/// A shop with a key that nobody has published yet, and policies that allow everything.
struct Case {
    folder: tempfile::TempDir,
    key: SigningKey,
    shop: Open,
}

impl Case {
    async fn of(database: Database) -> Self {
        seed(&database, 500).await;
        match &database {
            Database::Sqlite(path) => Connection::open(path).unwrap().execute_batch(TABLE).unwrap(),
            Database::Postgres(server) => connect(server).await.batch_execute(TABLE).await.unwrap(),
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let key = SigningKey::make(&path("private.json"), "first").unwrap();
        let mut config = Config::new(database);
        config.revision_file = Some(path("release.json"));
        config.auth = Some(AuthConfig {
            signing_key: path("private.json"),
            keys: path("jwks.json"),
            policies: path("policies.cedar"),
        });
        release(folder.path(), "auth-off");
        fs::write(path("policies.cedar"), OPEN).unwrap();
        Self { key, shop: open(config).await, folder }
    }

    fn publish_key(&self) {
        let set = json!({"keys": [self.key.public()]}).to_string();
        fs::write(self.folder.path().join("jwks.json"), set).unwrap();
    }

    fn publish_policies(&self, text: &str) {
        fs::write(self.folder.path().join("policies.cedar"), text).unwrap();
    }

    fn release(&self, revision: &str) {
        release(self.folder.path(), revision);
    }

    async fn post(&self, path: &str, user: Value) -> (u16, Value) {
        let reply = self.shop.post(path, &json!({ "user": user })).await;
        (reply.status, reply.body)
    }
}

fn release(folder: &Path, revision: &str) {
    fs::write(folder.join("release.json"), json!({ "revision": revision }).to_string()).unwrap();
}

pub(crate) async fn whoever_knows_the_password_gets_a_token_that_is_believed(database: Database) {
    let case = Case::of(database).await;
    let ann = json!({"email": "ann@example.test", "password": "correct horse", "username": "ann"});
    let login = json!({"email": "ann@example.test", "password": "correct horse"});
    let (status, body) = case.post("/users", ann.clone()).await;
    assert_eq!(status, 503, "nobody would believe the token: {body}");
    case.publish_key();
    // The account was made, and its owner is told of it.
    let (status, body) = case.post("/users", ann.clone()).await;
    assert_eq!((status, &body["user"]["email"]), (200, &json!("ann@example.test")), "{body}");
    for (field, other) in [("password", "wrong horse"), ("username", "another")] {
        let mut other_ann = ann.clone();
        other_ann[field] = other.into();
        assert_eq!(case.post("/users", other_ann).await.0, 409, "{field}");
    }
    let namesake =
        json!({"email": "bob@example.test", "password": "correct horse", "username": "ann"});
    assert_eq!(case.post("/users", namesake).await.0, 409);
    let (_, body) = case.post("/users/login", login.clone()).await;
    let token = body["user"]["token"].as_str().unwrap().to_owned();
    let current = case.shop.get_as("/user", &token).await;
    assert_eq!((current.status, &current.body["user"]["username"]), (200, &json!("ann")));
    assert_eq!(case.shop.get("/user").await.status, 401);
    for (change, status) in [
        (json!({"bio": "I order kettles"}), 200),
        (json!({"email": "ann@example.test", "image": "http://shop.test/ann.png"}), 200),
        (json!({"email": "bob@example.test"}), 422),
        (json!({"password": "short"}), 422),
    ] {
        let reply = case.shop.put_as("/user", &token, &json!({ "user": change })).await;
        assert_eq!(reply.status, status, "{change}: {}", reply.body);
    }
    let changed = case.shop.get_as("/user", &token).await.body;
    assert_eq!(changed["user"]["bio"], "I order kettles", "{changed}");
    assert_eq!(changed["user"]["image"], "http://shop.test/ann.png");
    for (field, value) in [("password", "wrong horse"), ("email", "bob@example.test")] {
        let mut wrong = login.clone();
        wrong[field] = value.into();
        let (status, body) = case.post("/users/login", wrong).await;
        assert_eq!(status, 401, "{body}");
        assert_eq!(body["error"], "no account with this address and this password");
    }
    for (field, value) in [("password", "short"), ("email", "ann"), ("username", "")] {
        let mut bad = ann.clone();
        bad[field] = value.into();
        assert_eq!(case.post("/users", bad).await.0, 422, "{field}");
    }
    for path in ["/users", "/users/login", "/user"] {
        case.release("v2");
        let status = case.post(path, login.clone()).await.0;
        assert!(matches!(status, 404 | 405), "{path}: {status}");
        case.release("auth-off");
    }
    case.shop.close().await;
}

pub(crate) async fn policies_are_told_in_report_only_and_decide_when_enforced(database: Database) {
    let case = Case::of(database).await;
    case.publish_key();
    let (first, second) = (case.shop.get("/orders/1").await, case.shop.get("/orders/2").await);
    let owner = first.body["customer"].as_str().unwrap();
    assert_ne!(first.body["customer"], second.body["customer"]);
    let now = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
    )
    .unwrap();
    let of = |aud: &str, lifetime| {
        token(&case.key, &Claims::lasting(owner, "customer", aud, now, lifetime))
    };
    let (good, expired, elsewhere) = (of("shop", 600), of("shop", -1), of("bank", 600));
    let get = async |path: &str, token: &str| {
        let reply = match token {
            "" => case.shop.get(path).await,
            token => case.shop.get_as(path, token).await,
        };
        (reply.status, reply.headers.get("x-access").cloned().unwrap_or_default())
    };
    let refused = "would be refused";
    let tried = [
        ("/orders/1", &good[..], (200, ""), 200),
        ("/orders/2", &good, (200, refused), 403),
        ("/orders/9999", &good, (404, refused), 403),
        ("/orders/1", "", (200, refused), 401),
        ("/orders/1", &expired, (200, refused), 401),
        ("/orders/1", &elsewhere, (200, refused), 401),
        ("/checkout/1", &good, (200, refused), 403),
        ("/products", "", (200, ""), 200),
        ("/products", &expired, (200, refused), 401),
        ("/nowhere", "", (404, ""), 404),
    ];
    case.release("auth-report");
    for (path, _, _, _) in &tried {
        assert!(get(path, "").await.1.is_empty(), "{path}: {OPEN}");
    }
    case.publish_policies(STRICT);
    for (path, token, wanted, _) in &tried {
        let seen = get(path, token).await;
        assert_eq!((seen.0, &seen.1[..]), *wanted, "{path}");
    }
    let told = case.shop.get("/internal/decisions").await.body;
    assert_eq!(told["mode"], "report_only", "{told}");
    assert_eq!((&told["allowed_signed_in"], &told["refused_signed_in"]), (&json!(1), &json!(3)));
    assert_eq!((&told["allowed_anonymous"], &told["refused_anonymous"]), (&json!(1), &json!(4)));
    assert_eq!(told["last_refusals"][0]["request"], "GET /orders/2");
    assert_eq!(told["last_refusals"][0]["who"], owner);
    case.release("auth-enforce");
    for (path, token, _, wanted) in &tried {
        assert_eq!(get(path, token).await, (*wanted, String::new()), "{path}");
    }
    // What was taken away allows nothing, and health is nobody's secret.
    fs::remove_file(case.folder.path().join("policies.cedar")).unwrap();
    assert_eq!(get("/products", "").await.0, 401);
    assert_eq!(get("/orders/1", &good).await.0, 403);
    fs::remove_file(case.folder.path().join("jwks.json")).unwrap();
    assert_eq!(get("/orders/1", &good).await.0, 401);
    assert_eq!(case.shop.get("/healthz").await.body["revision"], "auth-enforce");
    case.shop.close().await;
}
